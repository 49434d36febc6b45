//! Hosts go on at the other peer while their home is gone, and come home again.

use super::peers::{Peers, receipt, seats_become, stands_as};
use crate::{hooks, pair::host_of, vm::Vm};

#[test]
fn a_host_is_a_guest_while_its_home_is_gone() {
    let mut peers = Peers::new([1, 1]);
    let host = peers.host("host");
    let mut emulator = host.run(&peers.knows(Vm::polite("guest")));
    emulator.shows("ready");
    let guest = emulator.guest();
    peers.registries_are_equal(1);
    stands_as(&peers.one, "served");
    stands_as(&peers.other, "elsewhere");

    peers.one.kill();
    emulator.logs("Switched to backup license server: ");
    seats_become(&peers.other, &["guest"]);
    stands_as(&peers.other, "guest");

    peers.one.restart();
    emulator.logs("Switched to primary license server: ");
    seats_become(&peers.one, &["guest"]);
    seats_become(&peers.other, &[]);
    stands_as(&peers.other, "elsewhere");
    assert_eq!(emulator.guest(), guest, "the same process");
}

#[test]
fn a_host_whose_home_is_the_backup_starts_there_and_goes_back_there() {
    let mut peers = Peers::new([1, 1]);
    let host = peers.host("host");
    peers.register_at_other(&host);
    receipt(&host);
    let vm = hooks::recorded(peers.knows(Vm::polite("guest")), &["lost", "failover", "failback"]);
    let mut emulator = host.run(&vm);
    emulator.shows("ready");
    // A machine under load may have been asked by the primary first.
    seats_become(&peers.other, &["guest"]);
    seats_become(&peers.one, &[]);

    peers.other.kill();
    emulator.logs("Switched to primary license server: ");
    let ran = hooks::until(&host, "failover");
    assert_eq!(hooks::one(&ran, "failover").server, host_of(&peers.one));
    stands_as(&peers.one, "guest");

    peers.other.restart();
    let ran = hooks::until(&host, "failback");
    let failback = hooks::one(&ran, "failback");
    assert_eq!((&failback.server, failback.role.as_str()), (&host_of(&peers.other), "backup"));
    seats_become(&peers.other, &["guest"]);
    seats_become(&peers.one, &[]);
}

#[test]
fn where_no_instance_is_free_the_grace_period_runs_until_the_home_is_back() {
    let mut peers = Peers::new([1, 1]);
    let (first, second) = (peers.host("first"), peers.host("second"));
    peers.register_at_other(&second);
    let mut emulator = first.run(&peers.knows(Vm::polite("guest")));
    emulator.shows("ready");
    let guest = emulator.guest();
    peers.registries_are_equal(2);

    peers.one.kill();
    let log = emulator.logs("ERROR VE License request was refused: no-free-instance-on-peer: ");
    assert!(log.contains("WARN VE Charon will be terminated within 1 hour!"), "{log}");
    // A start is refused with the same words.
    let refused = first.ends_with(&peers.knows(Vm::script("next", "exit 0")), 77);
    assert!(refused.log.contains("no-free-instance-on-peer: "), "{}", refused.log);

    peers.one.restart();
    emulator.logs("The license is verified, back to normal operation.");
    seats_become(&peers.one, &["guest"]);
    assert_eq!(emulator.guest(), guest, "the same process");
}
