//! What both sides have decided without each other settles the same way on both.

use ve_core::registry::{HostEntry, HostState};

use crate::harness::{AutoVe, HERE, Pair, THERE, autove, entry, host, identified};

/// Two that have heard of each other, and are parted now.
fn parted() -> Pair {
    let mut pair = Pair::in_contact();
    pair.part();
    pair
}

#[test]
fn a_host_that_registered_at_both_has_one_home() {
    let mut pair = parted();
    pair.register(HERE, [entry(1, AutoVe(1))]);
    pair.register(THERE, [entry(1, AutoVe(2))]);
    pair.connect(HERE);
    pair.pass(20_000);
    pair.assert_equal();
    assert_eq!(pair.sides[HERE].store.entries[&host(1)].1.home, AutoVe(1).id());
}

#[test]
fn a_retirement_beats_whatever_the_other_side_has_decided() {
    let mut pair = Pair::in_contact();
    pair.register(HERE, [entry(1, AutoVe(1))]);
    pair.settle();
    pair.part();
    pair.retire(THERE, host(1));
    let later = HostEntry { revision: 7, ..entry(1, AutoVe(1)) };
    pair.register(HERE, [later]);
    pair.connect(HERE);
    pair.pass(20_000);
    pair.assert_equal();
    assert_eq!(pair.sides[HERE].store.entries[&host(1)].1.state, HostState::Retired);
    assert_eq!(pair.sides[HERE].retirements(), [(host(1), false)]);
}

#[test]
fn of_two_keys_of_one_machine_the_same_one_stays_on_both() {
    for (here, there) in [(1, 2), (2, 1)] {
        let mut pair = Pair::with(autove(1, 1), autove(2, 2));
        pair.connect(HERE);
        pair.settle();
        pair.part();
        pair.register(HERE, [identified(here, AutoVe(1), "i-1")]);
        pair.register(THERE, [identified(there, AutoVe(2), "i-1")]);
        pair.connect(HERE);
        pair.pass(20_000);
        pair.assert_equal();
        let state = |number| pair.sides[HERE].store.entries[&host(number)].1.state;
        assert_eq!((state(1), state(2)), (HostState::Moved, HostState::Active));
    }
}
