//! A registry that is lost comes back: from the peer, or from the hosts' receipts.

use super::peers::{Peers, lose_registry, receipt, registry, seats_become};
use crate::vm::Vm;

#[test]
fn a_registry_that_one_peer_lost_comes_from_the_other() {
    let mut peers = Peers::new([2, 2]);
    let host = peers.host("host");
    host.ends_with(&Vm::script("guest", "exit 0"), 0);
    peers.register_at_other(&peers.host("second"));
    let before = peers.registries_are_equal(2);

    peers.one.kill();
    lose_registry(peers.one.home());
    peers.one.restart();
    assert_eq!(peers.registries_are_equal(2), before);
    host.ends_with(&Vm::script("guest", "exit 0"), 0);
}

#[test]
fn registries_that_both_lost_come_from_the_receipts() {
    let mut peers = Peers::new([2, 2]);
    let (first, second) = (peers.host("first"), peers.host("second"));
    let mut emulator = first.run(&peers.knows(Vm::polite("guest")));
    emulator.shows("ready");
    peers.register_at_other(&second);
    receipt(&first);
    receipt(&second);
    let before = peers.registries_are_equal(2);

    peers.one.kill();
    peers.other.kill();
    for home in [peers.one.home(), peers.other.home()] {
        lose_registry(home);
    }
    peers.one.restart();
    peers.other.restart();
    // The emulator that runs shows its host's receipt when it comes back, the other host at its start.
    seats_become(&peers.one, &["guest"]);
    second.ends_with(&peers.knows(Vm::script("guest", "exit 0")), 0);
    assert_eq!(peers.registries_are_equal(2), before, "the same homes, the same dates");
    assert!(emulator.log().contains("back to normal operation"), "{}", emulator.log());
}

#[test]
fn without_a_receipt_a_host_is_a_new_one() {
    let mut peers = Peers::new([2, 2]);
    let host = peers.host("host");
    host.ends_with(&Vm::script("guest", "exit 0"), 0);
    std::fs::write(receipt(&host), b"damaged").expect("written");
    let before = peers.registries_are_equal(1);
    // Known as it is, it gets another receipt.
    host.ends_with(&Vm::script("guest", "exit 0"), 0);
    ve_testbed::wait::for_text(&receipt(&host), "eyJ");
    assert_eq!(peers.registries_are_equal(1), before);

    std::fs::remove_file(receipt(&host)).expect("removed");
    peers.one.kill();
    peers.other.kill();
    for home in [peers.one.home(), peers.other.home()] {
        lose_registry(home);
    }
    peers.one.restart();
    assert_eq!(registry(&peers.one), []);
}
