//! A license whose hours are used up, or that has expired, serves no one: its hosts are guests of the
//! other peer as far as instances are free there, and at home again when it has been renewed.

use ve_core::{
    id::BootId,
    node::event::{Event, Record},
    time::{Elapsed, HOUR_MS, Moment, SECOND_MS, Utc},
};
use ve_store::{Embedded, Store};
use ve_testbed::{LicenseBuilder, install, wait};

use super::peers::{Peers, seats_become};
use crate::{
    emulator::Emulator,
    pair::PRIMARY_ID,
    site::{patient, seats},
    vm::Vm,
};

/// How much of its last hour the license has left.
const LEFT_MS: u64 = 5 * SECOND_MS;

/// What somebody hears who finds no instance at the other peer.
const NO_INSTANCE: &str = "ERROR VE License request was refused: no-free-instance-on-peer: ";

/// The license of the first server, for two hosts.
fn first(license: LicenseBuilder<'_>) -> LicenseBuilder<'_> {
    patient(license).id(PRIMARY_ID).autove(2)
}

/// Lets the first server's ledger know of an hour that is all but over.
fn use_hours(peers: &mut Peers) {
    peers.one.kill();
    let mut ledger = Embedded::open(&peers.one.home().join("ledger.db")).expect("a ledger");
    let position = ledger.remember().expect("a sound ledger").position + 1;
    let at = Utc(1_700_000_000);
    let charged_to = Moment { boot: BootId([1; 16]), elapsed: Elapsed(1_000), wall: at };
    let event = Event::HoursUsed {
        license_id: PRIMARY_ID.parse().expect("a license ID"),
        version: 1,
        used_ms: HOUR_MS - LEFT_MS,
        charged_to,
    };
    ledger.append(&[&[Record { position, at, event }]]).expect("room on the disk");
    ledger.close().expect("written");
    peers.one.restart();
    peers.are_in_step();
}

/// How many hosts stand as guests at the other peer.
fn guests(peers: &Peers) -> usize {
    let hosts = peers.other.list("instances");
    hosts.iter().filter(|host| host["standing"] == "guest").count()
}

/// Two hosts run at home until their license ends; one instance is free at the other peer.
fn tell(
    mut peers: Peers,
    why: &str,
    before: impl FnOnce(&mut Peers),
    end: impl FnOnce(&Peers),
    renewed: impl for<'a> FnOnce(LicenseBuilder<'a>) -> LicenseBuilder<'a>,
) {
    let names = ["first", "second"];
    let hosts = names.map(|name| peers.host(name));
    for host in &hosts {
        host.ends_with(&Vm::script("new", "exit 0"), 0);
    }
    let registered = peers.registries_are_equal(2);
    assert!(registered.iter().all(|entry| entry.home == PRIMARY_ID), "{registered:?}");
    before(&mut peers);
    let mut emulators: Vec<Emulator> = hosts
        .iter()
        .zip(names)
        .map(|(host, name)| host.run(&peers.knows(Vm::polite(name))))
        .collect();
    for emulator in &mut emulators {
        emulator.shows("ready");
    }
    let processes: Vec<u32> = emulators.iter().map(Emulator::guest).collect();
    end(&peers);

    let unlucky = wait::until("a host without an instance", || {
        emulators.iter().position(|emulator| emulator.log().contains(NO_INSTANCE))
    });
    let lucky = names[1 - unlucky];
    seats_become(&peers.one, &[]);
    wait::until("the only guest", || (guests(&peers) == 1).then_some(()));
    seats_become(&peers.other, &[lucky]);
    let log = emulators[unlucky].log();
    assert!(log.contains("WARN VE Charon will be terminated within 1 hour!"), "{log}");
    assert!(peers.one.log().contains(why), "{}", peers.one.log());
    // The other one says what its peer's license is worth.
    wait::until("the peer's standing", || {
        let peer = peers.other.list("peers").pop()?;
        (peer["state"] == "in-step" && peer["serves"] == false).then_some(())
    });
    let next = peers.knows(Vm::script("next", "exit 0"));
    let refused = hosts[unlucky].ends_with(&next, 77);
    assert!(refused.log.contains("no-free-instance-on-peer: "), "{}", refused.log);
    hosts[1 - unlucky].ends_with(&next, 0);

    // A new version of the license brings everybody home.
    install(&peers.vendor, peers.one.home(), |license| renewed(first(license)));
    seats_become(&peers.one, &names);
    seats_become(&peers.other, &[]);
    wait::until("no guest", || (guests(&peers) == 0).then_some(()));
    emulators[unlucky].logs("The license is verified, back to normal operation.");
    assert_eq!(emulators.iter().map(Emulator::guest).collect::<Vec<_>>(), processes);
    assert_eq!(peers.registries_are_equal(2), registered, "nobody was registered anew");
    assert_eq!(seats(&peers.one), names);
}

#[test]
fn hosts_whose_hours_are_used_up_go_on_at_the_peer_as_far_as_there_is_room() {
    let peers = Peers::with([2, 1], |license| license.hours(1));
    tell(peers, "hours-exhausted", use_hours, |_| {}, |license| license.version(2).hours(100));
}

#[test]
fn hosts_whose_license_has_expired_go_on_at_the_peer_as_far_as_there_is_room() {
    let expire = |peers: &Peers| {
        install(&peers.vendor, peers.one.home(), |license| {
            first(license).version(2).expires("2026-01-02 00:00:00")
        });
    };
    tell(Peers::new([2, 1]), "license-expired", |_| {}, expire, |license| license.version(3));
}
