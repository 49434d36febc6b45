//! A host in a cloud: `ve-emulator` asks the provider's metadata service at its own address, and the
//! server believes what the provider has signed.
//!
//! The address is of the machine, so the test runs once more in a network namespace of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use ve_testbed::{MachineDocument, Provider, skip};

use super::peers::Peers;
use crate::{emulator::Ended, host::Host, vm::Vm};

/// Where a provider's machines ask.
const SERVICE: (Ipv4Addr, u16) = (Ipv4Addr::new(169, 254, 169, 254), 80);

/// What the service wants to see before it says anything.
const TOKEN: &str = "a-token-of-this-machine";

/// Tells the second run of a test that it is one.
const INSIDE: &str = "VE_TEST_HAS_ITS_OWN_NETWORK";

/// Runs a command in a network of its own that has the service's address.
fn in_a_network(command: &str) -> Command {
    let script =
        format!("ip link set lo up && ip address add {}/32 dev lo && exec \"$@\"", SERVICE.0);
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--map-root-user", "sh", "-c", &script, "sh", command]);
    unshare
}

/// What makes a command run on a machine of Amazon's, as far as it can see.
fn on_amazon() -> Vec<String> {
    let script = "mount -t tmpfs tmpfs /sys && mkdir -p /sys/class/dmi/id && \
                  echo 'Amazon EC2' > /sys/class/dmi/id/sys_vendor && exec \"$@\"";
    ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"].map(str::to_owned).into()
}

/// Why this machine doesn't allow that, if it doesn't.
fn refused() -> Option<String> {
    let mut command = in_a_network("unshare");
    let output = match command.args(&on_amazon()[1..]).arg("true").output() {
        Ok(output) => output,
        Err(error) => return Some(format!("unshare can't be started: {error}")),
    };
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    (!output.status.success()).then(said)
}

/// Whether this is the second run, which has the network. In the first one that is made and told of.
fn has_its_own_network() -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    if let Some(why) = refused() {
        skip(format_args!("no network of its own for a test here: {why}"));
        return false;
    }
    let test = env::current_exe().expect("the test's own path");
    let mut command = in_a_network(test.to_str().expect("a path in UTF-8"));
    let name = thread::current().name().expect("tests have names").to_owned();
    let output = command.args(["--exact", &name, "--nocapture"]).env(INSIDE, "1").output();
    let output = output.expect("a test that runs");
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && said[0].contains("1 passed"), "{}{}", said[0], said[1]);
    false
}

/// A metadata service, as long as this process runs.
struct Service {
    is_on: Arc<AtomicBool>,
}

impl Service {
    fn start(says: MachineDocument) -> Self {
        let listener = TcpListener::bind(SERVICE).expect("the service's address");
        let is_on = Arc::new(AtomicBool::new(true));
        let service = Self { is_on: Arc::clone(&is_on) };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Who hangs up early has no answer.
                let _ = answer(&stream, &says, is_on.load(Ordering::Relaxed));
            }
        });
        service
    }

    /// Answers nothing but that it is switched off, as an administrator can have it.
    fn switch_off(&self) {
        self.is_on.store(false, Ordering::Relaxed);
    }
}

fn answer(mut stream: &TcpStream, says: &MachineDocument, is_on: bool) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let headers: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let has_token = headers.contains(&format!("X-aws-ec2-metadata-token: {TOKEN}"));
    let wants_time = |header: &String| header.starts_with("X-aws-ec2-metadata-token-ttl-seconds: ");
    let identity = "/latest/dynamic/instance-identity";
    let (status, text) = match request.trim_end_matches(" HTTP/1.1") {
        _ if !is_on => ("403 Forbidden", ""),
        "PUT /latest/api/token" if headers.iter().any(wants_time) => ("200 OK", TOKEN),
        get if !has_token || !get.starts_with("GET ") => ("401 Unauthorized", ""),
        get if get.ends_with(&format!("{identity}/document")) => ("200 OK", &*says.document),
        get if get.ends_with(&format!("{identity}/signature")) => ("200 OK", &*says.signature),
        _ => ("404 Not Found", ""),
    };
    let length = text.len();
    write!(stream, "HTTP/1.1 {status}\r\nServer: EC2ws\r\nContent-Length: {length}\r\n\r\n{text}")
}

/// Starts an emulator that ends at once, in the cloud.
fn runs(peers: &Peers, host: &Host, code: i32) -> Ended {
    let vm = Vm::script("guest", "exit 0").at(&peers.one.address());
    host.run_after(&on_amazon(), &vm).ends_with(code)
}

/// What a server lists of its hosts: state, platform and the provider's name for them.
fn listed(peers: &Peers) -> Vec<(String, String, String)> {
    let hosts = peers.one.list("instances");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_owned();
    let mut listed: Vec<_> = hosts
        .iter()
        .map(|host| (text(&host["state"]), text(&host["platform"]), text(&host["identity_id"])))
        .collect();
    listed.sort();
    listed
}

#[test]
fn a_machine_that_is_set_up_anew_keeps_its_instance_by_its_providers_word() {
    if !has_its_own_network() {
        return;
    }
    let provider = Provider::new();
    let service = Service::start(provider.document("i-0123456789abcdef0"));
    let mut peers = Peers::new([1, 1]);
    peers.one.kill();
    provider.trust_in(peers.one.home());
    peers.one.restart();
    peers.are_in_step();
    let host = peers.host("host");
    runs(&peers, &host, 0);
    let row = |state: &str| {
        let id = "123456789012/eu-central-1/i-0123456789abcdef0";
        (state.to_owned(), "amazon.aws".to_owned(), id.to_owned())
    };
    assert_eq!(listed(&peers), [row("active")]);

    // Its disk is new: no key, no receipt. The license has no second instance.
    fs::remove_dir_all(host.file("state")).expect("a state folder");
    runs(&peers, &host, 0);
    assert_eq!(listed(&peers), [row("active"), row("moved")]);

    fs::remove_dir_all(host.file("state")).expect("a state folder");
    service.switch_off();
    let refused = runs(&peers, &host, 77);
    assert!(refused.log.contains("instance-limit: "), "{}", refused.log);
    assert_eq!(listed(&peers), [row("active"), row("moved")]);
}
