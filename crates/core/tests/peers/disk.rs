//! Disks that are full: nothing is acknowledged that isn't durable, and nothing is missing later.

use ve_core::node::{io::Note, peer::PeerMessage};

use crate::harness::{AutoVe, Disk, HERE, License, Pair, THERE, autove, entry, host};

#[test]
fn what_could_not_be_written_is_neither_taken_nor_forgotten() {
    let mut pair = Pair::in_contact();
    pair.set_disk(THERE, Disk::Full);
    pair.register(HERE, [entry(1, AutoVe(1))]);
    pair.register(HERE, [entry(2, AutoVe(1))]);
    pair.settle();
    assert!(!pair.sent.iter().any(|(_, message)| matches!(message, PeerMessage::Taken { .. })));
    pair.pass(30_000);
    assert_eq!(pair.sides[THERE].store.entries.len(), 0);
    pair.set_disk(THERE, Disk::Fine);
    pair.pass(30_000);
    pair.assert_equal();
    let notes = &pair.sides[THERE].notes;
    let told = |wanted: fn(&Note) -> bool| notes.iter().filter(|note| wanted(note)).count();
    assert_eq!(told(|note| matches!(note, Note::RegistryFailed(_))), 1);
    assert_eq!(told(|note| matches!(note, Note::RegistryRecovered)), 1);
}

/// The first write fails and the next ones don't: nothing may be passed over.
#[test]
fn a_write_that_fails_alone_is_not_passed_over() {
    let mut pair = Pair::with(License { instances: 5_000, ..autove(1, 1) }, autove(2, 2));
    pair.register(HERE, (0..2_000).map(|number| entry(number, AutoVe(1))));
    pair.set_disk(THERE, Disk::Slow);
    pair.connect(HERE);
    pair.settle();
    while pair.sides[THERE].settle_one(pair.now, true) {
        pair.collect(THERE);
        pair.settle();
        // Every other one fails.
        pair.sides[THERE].settle_one(pair.now, false);
        pair.collect(THERE);
        pair.pass(11_000);
    }
    pair.heal();
    pair.assert_equal();
}

/// A batch is merged while the one before it is written. That fails, the later one becomes durable, and
/// the server is killed: it must not believe that it has everything up to there.
#[test]
fn a_later_batch_does_not_hide_one_that_failed() {
    let mut pair = Pair::with(License { instances: 5_000, ..autove(1, 1) }, autove(2, 2));
    pair.register(HERE, (0..2_000).map(|number| entry(number, AutoVe(1))));
    pair.set_disk(THERE, Disk::Slow);
    pair.connect(HERE);
    pair.settle();
    // Who the peer is; the first batch; the second one.
    for succeeds in [true, false, true] {
        assert!(pair.sides[THERE].settle_one(pair.now, succeeds));
        pair.collect(THERE);
    }
    assert!(!pair.sides[THERE].store.entries.is_empty());
    assert!(!pair.sent.iter().any(|(_, message)| matches!(message, PeerMessage::Taken { .. })));
    pair.crash(THERE);
    pair.heal();
    pair.assert_equal();
}

#[test]
fn a_full_disk_and_a_lost_link_together_lose_nothing() {
    let mut pair = Pair::in_contact();
    pair.set_disk(THERE, Disk::Full);
    pair.register(HERE, [entry(1, AutoVe(1))]);
    pair.settle();
    pair.part();
    pair.set_disk(THERE, Disk::Fine);
    pair.connect(HERE);
    pair.pass(20_000);
    pair.assert_equal();
}

/// The registry waits for the ledger, and the peer for both.
#[test]
fn a_retirement_waits_for_the_ledger() {
    let mut pair = Pair::in_contact();
    pair.register(HERE, [entry(1, AutoVe(1))]);
    pair.settle();
    let before = pair.sides[THERE].store.hosts();
    pair.sides[THERE].ledger_disk = Disk::Full;
    pair.retire(HERE, host(1));
    pair.pass(30_000);
    assert_eq!(pair.sides[THERE].store.hosts(), before);
    pair.sides[THERE].ledger_disk = Disk::Fine;
    pair.pass(30_000);
    pair.assert_equal();
    assert_eq!(pair.sides[THERE].retirements(), [(host(1), false)], "once");
}

/// A later change of the same host is under way when an earlier one fails.
#[test]
fn of_two_changes_of_a_host_that_fail_nothing_stays_behind() {
    let mut pair = Pair::in_contact();
    pair.register(HERE, [entry(1, AutoVe(1))]);
    pair.settle();
    pair.pass(20_000);
    pair.set_disk(HERE, Disk::Slow);
    for revision in [2, 3] {
        let entry = ve_core::registry::HostEntry { revision, ..entry(1, AutoVe(1)) };
        pair.sides[HERE].import(pair.now, vec![entry]);
    }
    pair.sides[HERE].settle_one(pair.now, false);
    pair.sides[HERE].settle_one(pair.now, false);
    pair.sides[HERE].mend(pair.now);
    // With this, numbers are durable that are higher than theirs.
    pair.register(HERE, [entry(2, AutoVe(1))]);
    pair.heal();
    pair.assert_equal();
    assert_eq!(pair.sides[THERE].store.entries[&host(1)].1.revision, 1);
}

/// An entry that is being changed is not passed over while it may still fall back.
#[test]
fn a_change_in_flux_does_not_hide_the_one_before() {
    let mut pair = Pair::new();
    pair.register(HERE, [entry(1, AutoVe(1)), entry(2, AutoVe(1))]);
    pair.set_disk(HERE, Disk::Slow);
    let newer = ve_core::registry::HostEntry { revision: 2, ..entry(1, AutoVe(1)) };
    pair.sides[HERE].import(pair.now, vec![newer]);
    pair.connect(HERE);
    pair.settle();
    pair.sides[HERE].settle_one(pair.now, false);
    pair.collect(HERE);
    pair.heal();
    pair.assert_equal();
    assert_eq!(pair.sides[THERE].store.entries.len(), 2);
}

/// What the peer says is no news beside a registration that then fails: it must not go with that.
#[test]
fn what_fails_here_does_not_take_the_peers_change_with_it() {
    let mut pair = Pair::in_contact();
    pair.set_disk(HERE, Disk::Slow);
    pair.sides[HERE].import(pair.now, vec![entry(1, AutoVe(1))]);
    pair.register(THERE, [entry(1, AutoVe(2))]);
    pair.settle();
    pair.sides[HERE].settle_one(pair.now, false);
    pair.heal();
    pair.assert_equal();
    assert_eq!(pair.sides[HERE].store.entries.len(), 1);
}
