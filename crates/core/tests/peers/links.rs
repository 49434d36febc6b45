//! Several links at once, and the loss of some.

use ve_core::node::{io::Note, peer::PeerState};

use crate::harness::{AutoVe, Disk, HERE, License, Pair, THERE, autove, entry};

#[test]
fn two_links_are_as_good_as_one() {
    let mut pair = Pair::new();
    pair.connect(HERE);
    pair.connect(THERE);
    pair.register(HERE, [entry(1, AutoVe(1))]);
    pair.pass(30_000);
    pair.sent.clear();
    pair.register(HERE, [entry(2, AutoVe(1))]);
    pair.register(THERE, [entry(3, AutoVe(2))]);
    pair.pass(30_000);
    pair.assert_equal();
    assert_eq!((pair.take_entries_to(HERE), pair.take_entries_to(THERE)), (1, 1));
}

#[test]
fn either_link_may_be_lost_at_any_moment() {
    for lost in [0, 1] {
        for delivered in 0..24 {
            let mut pair = Pair::with(License { instances: 5_000, ..autove(1, 1) }, autove(2, 2));
            pair.register(HERE, (0..1_000).map(|number| entry(number, AutoVe(1))));
            pair.register(THERE, (2_000..2_050).map(|number| entry(number, AutoVe(2))));
            let links = [pair.connect(HERE), pair.connect(THERE)];
            for step in 0..delivered {
                pair.deliver(links[step % 2], step / 2 % 2);
            }
            pair.cut(links[lost]);
            pair.settle();
            for side in &pair.sides {
                assert_eq!(side.peer(pair.now).state, PeerState::InStep, "{lost} {delivered}");
                // With the other link's status heard, contact never ended.
                let lost = side.notes.iter().any(|note| matches!(note, Note::PeerLost { .. }));
                assert!(!lost || delivered < 4, "{delivered}");
            }
            pair.assert_equal();
            pair.register(HERE, [entry(3_000, AutoVe(1))]);
            pair.settle();
            pair.assert_equal();
        }
    }
}

/// A server whose own disk is full takes nothing. Its peer sends everything anew over the link that is
/// left, whenever the other one is lost, and is no liar for that.
#[test]
fn a_link_that_flaps_beside_a_full_disk_makes_no_liar() {
    let mut pair = Pair::with(License { instances: 20_000, ..autove(1, 1) }, autove(2, 2));
    pair.register(HERE, (0..10_000).map(|number| entry(number, AutoVe(1))));
    pair.set_disk(THERE, Disk::Full);
    pair.connect(HERE);
    pair.pass(1_000);
    for _ in 0..8 {
        let second = pair.connect(THERE);
        pair.settle();
        pair.cut(second);
        pair.pass(10_000);
    }
    assert_eq!(pair.refusals, []);
    pair.set_disk(THERE, Disk::Fine);
    pair.pass(40_000);
    pair.assert_equal();
}

#[test]
fn contact_ends_with_the_last_link() {
    let mut pair = Pair::in_contact();
    let second = pair.connect(THERE);
    pair.settle();
    let first = pair.links()[0];
    pair.cut(first);
    pair.settle();
    assert!(pair.sides[HERE].peer(pair.now).status.is_some());
    pair.cut(second);
    let view = pair.sides[HERE].peer(pair.now);
    assert_eq!((view.state, view.status, view.links), (PeerState::Connecting, None, 0));
    // Who it was is still known.
    assert_eq!(view.license_id, Some(&AutoVe(2).id()));
    assert_eq!(view.instances, Some(100));
    let lost = pair.sides[HERE].notes.iter().filter(|note| matches!(note, Note::PeerLost { .. }));
    assert_eq!(lost.count(), 1);
}

#[test]
fn the_peer_is_known_after_a_restart() {
    let mut pair = Pair::in_contact();
    pair.crash(HERE);
    let view = pair.sides[HERE].peer(pair.now);
    assert_eq!((view.license_id, view.instances), (Some(&AutoVe(2).id()), Some(100)));
}
