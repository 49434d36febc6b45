//! Networks that fail without a word: a firewall that drops, a cable that is pulled, on hosts of
//! their own.

use std::{process::Command, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;
use ve_core::{license::Lease, time::SECOND_MS};
use ve_testbed::{Far, Host as Machine, LicenseBuilder, Network, Server, install, skip, vendor};

use crate::{
    emulator::Emulator,
    host::Host,
    pair::{BACKUP_ID, PRIMARY_ID, Pair},
    processes,
    site::{grace, patient, seats},
    vm::{PROMPT, Vm},
};

/// Servers on machines of their own, and the emulators' host.
struct Site {
    servers: Vec<Server>,
    host: Host,
    folder: TempDir,
    /// Last: the processes in it have ended by then.
    network: Network,
}

impl Site {
    /// `None` where the machine allows no such network, which is said.
    fn new(ids: &[&str], edit: fn(LicenseBuilder<'_>) -> LicenseBuilder<'_>) -> Option<Self> {
        let count = u8::try_from(ids.len()).expect("a few");
        let network = match Network::new(count) {
            Ok(network) => network,
            Err(why) => {
                skip(format_args!("no network namespaces here: {why}"));
                return None;
            }
        };
        let folder = tempfile::tempdir().expect("a folder");
        let vendor = vendor(&folder.path().join("vendor"));
        let servers: Vec<Server> = (0..)
            .zip(ids)
            .map(|(index, id)| {
                let home = folder.path().join(format!("home-{index}"));
                install(&vendor, &home, |license| edit(patient(license).id(id)));
                Server::start_on(network.server(index), &home)
            })
            .collect();
        let host =
            Host::new(&folder.path().join("host"), vendor.public_file(), &servers[0].address());
        Some(Self { servers, host, folder, network })
    }

    /// Starts an emulator on `machine`.
    fn run(&self, machine: &Machine, vm: &Vm) -> Emulator {
        self.host.run_with(vm, |command| {
            *command = on(machine, command);
            command
        })
    }
}

/// The same command on another machine.
fn on(machine: &Machine, command: &Command) -> Command {
    let mut there = machine.command(command.get_program().as_ref());
    there.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => there.env(name, value),
            None => there.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        there.current_dir(folder);
    }
    there
}

/// Something that is done to the primary.
type Act<'a> = &'a dyn Fn();

/// How often the log says so.
fn times(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[test]
fn real_emulators_outlive_a_silent_cut_a_pulled_cable_and_a_server_that_hangs() {
    let Some(site) = Site::new(&[PRIMARY_ID, BACKUP_ID], |license| license) else {
        return;
    };
    let backup = format!("backup_server = \"{}\"", site.servers[1].address());
    let knows = |vm: Vm| vm.license(&backup).license("primary_probe = \"1s\"");
    let client = site.network.client();
    let mut emulators = [Vm::sun4m("ss5"), Vm::sun4u("ultra")].map(|vm| {
        let mut emulator = site.run(&client, &knows(vm));
        emulator.shows(PROMPT);
        emulator
    });
    let guests = emulators.each_ref().map(Emulator::guest);
    let primary = site.network.server(0);
    let hang = |signal: Signal| {
        let id = i32::try_from(site.servers[0].process_id()).ok();
        let id = id.and_then(rustix::process::Pid::from_raw).expect("a process");
        rustix::process::kill_process(id, signal).expect("a running server");
    };
    let faults: [(&str, Act<'_>, Act<'_>); 3] = [
        ("silence", &|| primary.silence(), &|| primary.end_silence()),
        ("a pulled cable", &|| primary.unplug(), &|| primary.plug_in()),
        ("a hung process", &|| hang(Signal::STOP), &|| hang(Signal::CONT)),
    ];
    for (round, (fault, breaks, heals)) in (1..).zip(faults) {
        breaks();
        await_times(&mut emulators, "Switched to backup license server: ", round, fault);
        assert_eq!(seats(&site.servers[1]).len(), 2, "{fault}");
        heals();
        await_times(&mut emulators, "Switched to primary license server: ", round, fault);
        await_times(&mut emulators, "Logged out from license server: ", round, fault);
        assert_eq!(seats(&site.servers[1]), [""; 0], "{fault}");
        assert_eq!(seats(&site.servers[0]).len(), 2, "{fault}");
    }
    assert_eq!(emulators.each_ref().map(Emulator::guest), guests, "the same processes");
    for emulator in &emulators {
        assert!(!emulator.log().contains("asked to shut down"), "{}", emulator.log());
    }
    drop(emulators);
    processes::none_left_in(site.host.folder());
    drop(site.folder);
}

/// Waits until the logs have said it so often.
#[track_caller]
fn await_times(emulators: &mut [Emulator], text: &str, count: usize, fault: &str) {
    for emulator in emulators {
        ve_testbed::wait::until(
            format_args!("{text:?} after {fault} in\n{}", emulator.log()),
            || (times(&emulator.log(), text) >= count).then_some(()),
        );
    }
}

/// One seat, which stays reserved until its holder can't be running any more.
fn one_seat(license: LicenseBuilder<'_>) -> LicenseBuilder<'_> {
    let license = grace(license, 8 * SECOND_MS).instances(1);
    license.with(|license| license.lease = Lease::Grace)
}

/// The second emulator runs on the server's own machine, so only the first one's cable is pulled.
#[test]
fn a_lease_of_grace_gives_no_seat_twice_across_a_partition() {
    let Some(site) = Site::new(&[PRIMARY_ID], one_seat) else { return };
    let server = site.network.server(0);
    let mut first = site.run(&site.network.client(), &Vm::polite("first"));
    first.shows("ready");
    server.unplug();
    let patient = Vm::polite("second").license("start_wait = \"10m\"");
    let mut second = site.run(server, &patient);
    second.logs("License request was refused: instance-limit: ");
    second.shows("ready");
    let still_runs = processes::children(first.id());
    assert!(still_runs.is_empty(), "{still_runs:?}\n{}\n{}", first.log(), second.log());
    assert_eq!(seats(&site.servers[0]), ["second"]);
    let first = first.ends_with(75);
    assert!(first.log.contains("The guest is asked to shut down, "), "{}", first.log);
    second.terminate();
    second.ends_with(0);
}

/// Three quarters of a second to the primary and back, much more than the backup's head start is.
#[test]
fn a_primary_that_is_far_away_is_no_loss_and_still_the_primary() {
    let mut pair = Pair::new(|license| license);
    let far = Far::away(&pair.primary.address(), Duration::from_millis(375));
    let host = pair.host.file("far");
    let host = Host::new(&host, pair.vendor.public_file(), &far.address());
    let mut emulator = host.run(&pair.knows(Vm::polite("far")));
    emulator.shows("ready");
    let guest = emulator.guest();
    // The backup was quicker, for a moment.
    pair.seats_are(&["far"], &[]);
    assert!(!emulator.log().contains("terminated within"), "{}", emulator.log());
    pair.primary.kill();
    emulator.logs("WARN VE Charon will be terminated within 1 hour!");
    pair.seats_of_the_backup(&["far"]);
    pair.primary.restart();
    pair.seats_are(&["far"], &[]);
    assert_eq!(times(&emulator.log(), "terminated within"), 1, "{}", emulator.log());
    assert_eq!(emulator.guest(), guest, "the same process");
    emulator.terminate();
    emulator.ends_with(0);
}
