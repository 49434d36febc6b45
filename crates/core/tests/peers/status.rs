//! How the two stand, and what the lists say of it.

use ve_core::node::{
    io::Note,
    peer::{Lag, PeerMessage},
};

use crate::harness::{AutoVe, Disk, HERE, License, Pair, THERE, WALL_AT_START, autove, entry};

fn statuses_to(pair: &Pair, to: usize) -> usize {
    let is_status = |message: &PeerMessage| matches!(message, PeerMessage::Status(_));
    pair.sent.iter().filter(|(side, message)| *side == to && is_status(message)).count()
}

#[test]
fn numbers_that_change_fast_are_told_once_a_second() {
    let mut pair = Pair::in_contact();
    pair.pass(20_000);
    pair.sent.clear();
    for number in 0..50 {
        pair.register(HERE, [entry(number, AutoVe(1))]);
        pair.settle();
    }
    assert_eq!(statuses_to(&pair, THERE), 1);
    pair.pass(1_000);
    assert_eq!(statuses_to(&pair, THERE), 2);
    let homed = pair.sides[THERE].peer(pair.now).status.map(|status| status.homed);
    assert_eq!(homed, Some(50));
    pair.pass(60_000);
    assert_eq!(statuses_to(&pair, THERE), 2, "nothing has changed");
}

#[test]
fn a_clock_that_is_off_is_noted_once_for_each_contact() {
    for (off_s, noted) in [(60, 0), (61, 1), (-61, 1)] {
        let mut pair = Pair::new();
        let link = pair.connect(THERE);
        for instances in [5, 6, 7] {
            let status = ve_core::node::peer::PeerStatus {
                license_id: AutoVe(2).id(),
                instances,
                serves: Ok(()),
                homed: 0,
                guests: 0,
                wall: WALL_AT_START.plus_seconds(off_s),
            };
            pair.sides[HERE].hear(pair.now, link, PeerMessage::Status(status));
        }
        let notes = pair.sides[HERE].notes.iter();
        let off: Vec<&Note> = notes.filter(|note| matches!(note, Note::PeerClockOff(_))).collect();
        assert_eq!(off.len(), noted, "{off_s}");
        assert!(off.iter().all(|note| **note == Note::PeerClockOff(off_s)));
    }
}

#[test]
fn lag_shows_on_both_sides_and_goes_away() {
    let mut pair = Pair::in_contact();
    pair.set_disk(THERE, Disk::Slow);
    pair.register(HERE, [entry(1, AutoVe(1)), entry(2, AutoVe(1))]);
    pair.settle();
    pair.move_clocks(3_000);
    let lag = Lag { changes: 2, behind_ms: 3_000 };
    assert_eq!(pair.sides[HERE].peer(pair.now).ahead, lag);
    assert_eq!(pair.sides[THERE].peer(pair.now).behind, lag);
    pair.sides[THERE].mend(pair.now);
    pair.collect(THERE);
    pair.settle();
    assert_eq!(pair.sides[HERE].peer(pair.now).ahead, Lag::default());
    assert_eq!(pair.sides[THERE].peer(pair.now).behind, Lag::default());
}

#[test]
fn the_lists_say_whether_one_server_could_carry_all() {
    let small = License { instances: 3, ..autove(2, 2) };
    let mut pair = Pair::with(autove(1, 1), small);
    pair.register(HERE, (0..3).map(|number| entry(number, AutoVe(1))));
    pair.connect(HERE);
    pair.settle();
    pair.register(THERE, (10..12).map(|number| entry(number, AutoVe(2))));
    pair.settle();
    for (side, missing) in [(HERE, (0, Some(2))), (THERE, (2, Some(0)))] {
        let view = pair.sides[side].peer(pair.now);
        assert_eq!((view.missing_here, view.missing_there), missing);
    }
    assert_eq!(pair.sides[HERE].peer(pair.now).homed, 2);
}
