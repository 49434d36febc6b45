//! The servers and the network; does what the crowd asks for.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use ve_core::{
    license::Lease,
    time::{HOUR_MS, MINUTE_MS},
};
use ve_testbed::{Host, Network, Server, Vendor, install, vendor};

use crate::orders::{CROWD, DONE, Measurement, Orders, Request};

/// How many emulators ride through the loss of their primary.
const FAILOVER: usize = 1_000;
/// How many come back to a server that was restarted.
const RESTART: usize = 10_000;

pub(crate) fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let vendor = vendor(&folder.path().join("vendor"));
    let argument = |name: &str| {
        env::args().find_map(|argument| argument.strip_prefix(name).map(str::to_owned))
    };
    let only = argument("--emulators=").and_then(|count| count.parse().ok());
    let restart_only = argument("--only=").is_some_and(|what| what == "restart");
    match Network::new(2) {
        _ if restart_only => {}
        Ok(network) => {
            failover(folder.path(), &vendor, Some(&network), only.unwrap_or(FAILOVER));
        }
        Err(why) => {
            println!("no network namespaces here, so no silent cut: {why}");
            failover(folder.path(), &vendor, None, only.unwrap_or(FAILOVER));
        }
    }
    let home = folder.path().join("alone");
    let emulators = only.unwrap_or(RESTART);
    let server = open(&vendor, &home, "01.00000001.002.046", emulators, None);
    measure(folder.path(), &vendor, Measurement::Restart, emulators, vec![server], None);
}

fn failover(folder: &Path, vendor: &Vendor, network: Option<&Network>, emulators: usize) {
    let host = |index| network.map(|network| network.server(index));
    let servers = vec![
        open(vendor, &folder.join("primary"), "01.00000001.002.044", emulators, host(0)),
        open(vendor, &folder.join("backup"), "01.00000001.002.045", emulators, host(1)),
    ];
    measure(folder, vendor, Measurement::Failover, emulators, servers, network);
}

/// A server with a seat for each of them, and no more.
fn open(vendor: &Vendor, home: &Path, id: &str, emulators: usize, host: Option<&Host>) -> Server {
    let instances = u32::try_from(emulators).expect("not that many");
    install(vendor, home, |license| {
        license.id(id).instances(instances).with(|license| {
            license.grace_ms = HOUR_MS;
            license.check_interval_ms = HOUR_MS;
            license.lease = Lease::For(10 * MINUTE_MS);
        })
    });
    // All of them come from one address, which is not how it is meant.
    fs::write(home.join("config.toml"), "[limits]\nmax_links_per_address = 20000\n")
        .expect("a configuration");
    match host {
        Some(host) => Server::start_on(host, home),
        None => Server::start(home),
    }
}

fn measure(
    folder: &Path,
    vendor: &Vendor,
    what: Measurement,
    emulators: usize,
    mut servers: Vec<Server>,
    network: Option<&Network>,
) {
    let orders = Orders {
        what,
        emulators,
        servers: servers.iter().map(Server::address).collect(),
        vendor_key: vendor.public_file().to_owned(),
        state: folder.join("state"),
    };
    let program = env::current_exe().expect("this program");
    let mut command = match network {
        Some(network) => network.client().command(&program),
        None => Command::new(program),
    };
    command.env(CROWD, serde_json::to_string(&orders).expect("plain data"));
    let errors = File::create(folder.join("crowd.err")).expect("a file");
    let mut crowd = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .expect("the crowd starts");
    let mut answers = crowd.stdin.take().expect("a pipe");
    for line in BufReader::new(crowd.stdout.take().expect("a pipe")).lines() {
        let line = line.expect("text");
        match Request::read(&line) {
            Some(Request::Silence | Request::EndSilence) if network.is_none() => {
                writeln!(answers, "can't").expect("the crowd listens");
            }
            Some(request) => {
                obey(request, &mut servers[0], network);
                writeln!(answers, "{DONE}").expect("the crowd listens");
            }
            None => println!("{line}"),
        }
    }
    let status = crowd.wait().expect("the crowd's end");
    let errors = fs::read_to_string(folder.join("crowd.err")).unwrap_or_default();
    assert!(status.success(), "{status}\n{errors}");
}

fn obey(request: Request, primary: &mut Server, network: Option<&Network>) {
    let signal = |server: &Server, signal| {
        let id = i32::try_from(server.process_id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process"), signal).expect("a running server");
    };
    match request {
        Request::Kill => primary.kill(),
        Request::Start => {
            // One that was drained has ended by itself.
            primary.kill();
            primary.restart();
        }
        Request::Drain => signal(primary, Signal::TERM),
        Request::Hang => signal(primary, Signal::STOP),
        Request::GoOn => signal(primary, Signal::CONT),
        Request::Silence => network.expect("asked before").server(0).silence(),
        Request::EndSilence => network.expect("asked before").server(0).end_silence(),
    }
}
