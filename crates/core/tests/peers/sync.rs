//! What one side registers is soon on the other, and only what is new travels.

use ve_core::{
    node::{
        io::Note,
        peer::{MAX_CHANGES, PeerMessage, PeerState, WINDOW},
    },
    registry::HostEntry,
};

use crate::harness::{AutoVe, Disk, HERE, Pair, THERE, entry};

/// Hosts of the first server.
fn hosts(range: std::ops::Range<u16>) -> impl Iterator<Item = HostEntry> {
    range.map(|number| entry(number, AutoVe(1)))
}

#[test]
fn what_one_side_registers_is_on_both() {
    let mut pair = Pair::in_contact();
    pair.register(HERE, [entry(1, AutoVe(1))]);
    pair.register(THERE, [entry(2, AutoVe(2))]);
    pair.settle();
    pair.assert_equal();
    assert_eq!(pair.sides[HERE].store.entries.len(), 2);
}

#[test]
fn a_host_travels_once_and_never_comes_back_as_an_echo() {
    let mut pair = Pair::in_contact();
    pair.sent.clear();
    pair.register(HERE, hosts(0..3));
    pair.settle();
    pair.pass(60_000);
    assert_eq!(pair.take_entries_to(THERE), 3);
    assert_eq!(pair.take_entries_to(HERE), 0, "an echo");
}

#[test]
fn after_an_outage_only_what_has_changed_is_sent() {
    let mut pair = Pair::in_contact();
    pair.register(HERE, hosts(0..40));
    pair.settle();
    pair.pass(20_000);
    pair.part();
    pair.register(HERE, hosts(40..43));
    pair.register(THERE, [entry(50, AutoVe(2))]);
    pair.sent.clear();
    pair.connect(THERE);
    pair.pass(30_000);
    pair.assert_equal();
    assert_eq!(pair.take_entries_to(THERE), 3);
    assert_eq!(pair.take_entries_to(HERE), 1);
}

#[test]
fn a_restart_of_either_side_sends_nothing_again() {
    for side in [HERE, THERE] {
        let mut pair = Pair::in_contact();
        pair.register(HERE, hosts(0..10));
        pair.register(THERE, [entry(50, AutoVe(2))]);
        pair.settle();
        pair.pass(20_000);
        pair.crash(side);
        pair.sent.clear();
        pair.connect(HERE);
        pair.pass(30_000);
        pair.assert_equal();
        for side in &pair.sides {
            assert_eq!(side.peer(pair.now).state, PeerState::InStep);
        }
        let sent = (pair.take_entries_to(HERE), pair.take_entries_to(THERE));
        assert_eq!(sent, (0, 0), "side {side}");
    }
}

#[test]
fn both_sides_catch_up_at_the_same_time() {
    let mut pair = Pair::with(
        crate::harness::License { instances: 2_000, ..crate::harness::autove(1, 1) },
        crate::harness::License { instances: 2_000, ..crate::harness::autove(2, 2) },
    );
    pair.register(HERE, hosts(0..900));
    pair.register(THERE, (1_000..1_900).map(|number| entry(number, AutoVe(2))));
    pair.connect(HERE);
    pair.settle();
    pair.assert_equal();
    assert_eq!(pair.sides[HERE].store.entries.len(), 1_800);
}

#[test]
fn no_more_is_on_its_way_than_the_window_allows() {
    let license = crate::harness::License { instances: 9_000, ..crate::harness::autove(1, 1) };
    let mut pair = Pair::with(license, crate::harness::autove(2, 2));
    let all = u16::try_from(MAX_CHANGES * (WINDOW + 3)).unwrap();
    pair.register(HERE, hosts(0..all));
    pair.set_disk(THERE, Disk::Slow);
    pair.connect(HERE);
    pair.settle();
    let sent = pair.sent.iter().filter(|(_, message)| is_changes(message)).count();
    assert_eq!(sent, WINDOW);
    let state = pair.sides[THERE].peer(pair.now).state;
    assert_eq!(state, PeerState::CatchingUp { done: 0, of: u64::from(all) });
    // Each write that is done makes room for as much as was taken by it.
    while pair.sides[THERE].settle_one(pair.now, true) {
        pair.collect(THERE);
        pair.settle();
    }
    pair.assert_equal();
    assert_eq!(pair.sides[THERE].peer(pair.now).state, PeerState::InStep);
}

fn is_changes(message: &PeerMessage) -> bool {
    matches!(message, PeerMessage::Changes { .. })
}

#[test]
fn nothing_is_told_before_it_is_durable() {
    let mut pair = Pair::in_contact();
    pair.set_disk(HERE, Disk::Slow);
    assert_eq!(pair.sides[HERE].import(pair.now, vec![entry(1, AutoVe(1))]), None);
    pair.settle();
    assert_eq!(pair.sides[THERE].store.entries.len(), 0);
    pair.sides[HERE].mend(pair.now);
    pair.collect(HERE);
    pair.settle();
    pair.assert_equal();
}

#[test]
fn the_log_hears_of_contact_and_of_being_in_step_once() {
    let mut pair = Pair::new();
    pair.register(HERE, hosts(0..2));
    pair.connect(HERE);
    pair.pass(60_000);
    let said: Vec<String> = pair.sides[THERE]
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::PeerInContact { license_id, address } => {
                Some(format!("contact {license_id} {address}"))
            }
            Note::PeerInStep { license_id, changes } => {
                Some(format!("in step {license_id} {changes}"))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        said,
        ["contact 01.00000001.002.001 192.0.2.1:8083", "in step 01.00000001.002.001 2"]
    );
}

#[test]
fn two_that_have_nothing_are_in_step_at_once() {
    let pair = Pair::in_contact();
    for side in &pair.sides {
        assert_eq!(side.peer(pair.now).state, PeerState::InStep);
    }
}
