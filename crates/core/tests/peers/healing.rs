//! A registry that is lost, or put back to an old copy, is brought forward, never the other way round.

use ve_core::{node::peer::PeerState, registry::HostState};

use crate::harness::{AutoVe, HERE, Pair, Store, THERE, entry, host};

fn pair_with_hosts() -> Pair {
    let mut pair = Pair::in_contact();
    pair.register(HERE, (0..5).map(|number| entry(number, AutoVe(1))));
    pair.register(THERE, (10..15).map(|number| entry(number, AutoVe(2))));
    pair.settle();
    pair.pass(20_000);
    pair
}

#[test]
fn a_lost_registry_is_refilled_from_the_other_side() {
    for lost in [HERE, THERE] {
        let mut pair = pair_with_hosts();
        let before = pair.sides[lost].store.hosts();
        pair.crash_with(lost, Store { may_lack_hosts: true, ..Store::default() });
        pair.sent.clear();
        pair.connect(HERE);
        pair.pass(40_000);
        pair.assert_equal();
        assert_eq!(pair.sides[lost].store.hosts(), before);
        assert_eq!(pair.take_entries_to(lost), 10);
        assert_eq!(pair.take_entries_to(1 - lost), 0);
        assert_eq!(pair.sides[lost].peer(pair.now).state, PeerState::InStep);
    }
}

#[test]
fn an_old_copy_is_brought_forward_and_what_is_registered_in_it_counts_as_well() {
    for side in [HERE, THERE] {
        let mut pair = pair_with_hosts();
        let old = pair.sides[side].store.clone();
        let home = AutoVe(1 + u16::try_from(side).unwrap());
        pair.register(side, (20..25).map(|number| entry(number, home)));
        pair.settle();
        // The same numbers are given to other changes, before the other side hears of it.
        pair.crash_with(side, old);
        pair.register(side, (30..37).map(|number| entry(number, home)));
        pair.register(1 - side, [entry(40, AutoVe(3 - home.0))]);
        pair.connect(THERE);
        pair.pass(40_000);
        pair.assert_equal();
        assert_eq!(pair.sides[side].store.entries.len(), 10 + 5 + 7 + 1, "side {side}");
    }
}

#[test]
fn a_host_that_is_retired_while_the_two_are_parted_is_retired_on_both() {
    let mut pair = pair_with_hosts();
    pair.part();
    pair.retire(HERE, host(12));
    pair.connect(HERE);
    pair.settle();
    pair.assert_equal();
    assert_eq!(pair.sides[THERE].store.entries[&host(12)].1.state, HostState::Retired);
    assert_eq!(pair.sides[HERE].retirements(), [(host(12), true)]);
    assert_eq!(pair.sides[THERE].retirements(), [(host(12), false)]);
}

#[test]
fn a_retired_host_does_not_come_back_with_an_old_copy() {
    for side in [HERE, THERE] {
        let mut pair = pair_with_hosts();
        let old = pair.sides[side].store.clone();
        pair.retire(HERE, host(12));
        pair.settle();
        pair.crash_with(side, old);
        pair.connect(HERE);
        pair.pass(40_000);
        pair.assert_equal();
        for side in &pair.sides {
            assert_eq!(side.peer(pair.now).state, PeerState::InStep);
        }
        assert_eq!(pair.sides[HERE].store.entries[&host(12)].1.state, HostState::Retired);
    }
}

#[test]
fn retired_on_both_sides_at_once_is_retired_once() {
    let mut pair = pair_with_hosts();
    pair.part();
    pair.retire(HERE, host(1));
    pair.retire(THERE, host(1));
    pair.connect(HERE);
    pair.pass(20_000);
    pair.assert_equal();
    assert_eq!(pair.sides[HERE].retirements(), [(host(1), true)]);
    assert_eq!(pair.sides[THERE].retirements(), [(host(1), true)]);
}

/// Numbers from before the spans that are remembered are as good as others.
#[test]
fn more_starts_than_are_remembered_lose_nothing() {
    let mut pair = Pair::in_contact();
    for number in 0..80 {
        pair.part();
        pair.register(HERE, [entry(number, AutoVe(1))]);
        pair.crash(HERE);
    }
    pair.connect(HERE);
    pair.pass(20_000);
    pair.assert_equal();
    pair.crash_with(THERE, Store::default());
    pair.connect(HERE);
    pair.pass(20_000);
    pair.assert_equal();
    for _ in 0..80 {
        pair.crash(HERE);
    }
    pair.sent.clear();
    pair.connect(HERE);
    pair.pass(20_000);
    assert_eq!(pair.sides[THERE].peer(pair.now).state, PeerState::InStep);
}
