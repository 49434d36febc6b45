//! How the two stand, and what the lists say of it.

use ve_core::node::{
    Standing,
    io::{Input, Note},
    peer::{Lag, PeerFailure, PeerMessage, PeerState},
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

/// Two whose clocks are apart, one of which is then set right.
#[test]
fn a_clock_that_was_set_right_is_noted_by_both() {
    let mut pair = Pair::new();
    pair.set_wall_off(THERE, 90);
    pair.connect(HERE);
    pair.pass(20_000);
    let about_clocks = |pair: &Pair, side: usize| -> Vec<Note> {
        let notes = pair.sides[side].notes.iter();
        notes
            .filter(|note| matches!(note, Note::PeerClockOff(_) | Note::PeerClockRight))
            .cloned()
            .collect()
    };
    assert_eq!(about_clocks(&pair, HERE), [Note::PeerClockOff(90)]);
    pair.set_wall_off(THERE, 0);
    pair.pass(40_000);
    assert_eq!(about_clocks(&pair, HERE), [Note::PeerClockOff(90), Note::PeerClockRight]);
    assert_eq!(about_clocks(&pair, THERE), [Note::PeerClockOff(-90), Note::PeerClockRight]);
    pair.sent.clear();
    pair.pass(60_000);
    assert_eq!(statuses_to(&pair, THERE), 0, "nobody needs to hear the time any more");
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
    assert_eq!(pair.sides[HERE].peer(pair.now).ahead, Some(lag));
    assert_eq!(pair.sides[THERE].peer(pair.now).behind, Some(lag));
    pair.sides[THERE].mend(pair.now);
    pair.collect(THERE);
    pair.settle();
    assert_eq!(pair.sides[HERE].peer(pair.now).ahead, Some(Lag::default()));
    assert_eq!(pair.sides[THERE].peer(pair.now).behind, Some(Lag::default()));
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
    for (side, missing) in [(HERE, (Some(0), Some(2))), (THERE, (Some(2), Some(0)))] {
        let view = pair.sides[side].peer(pair.now);
        assert_eq!((view.missing_here, view.missing_there), missing);
    }
    assert_eq!(pair.sides[HERE].peer(pair.now).homed, Some(2));
}

#[test]
fn a_host_without_an_instance_is_called_the_same_on_both() {
    let small = License { instances: 2, ..autove(2, 2) };
    let mut pair = Pair::with(autove(1, 1), small);
    pair.connect(HERE);
    pair.settle();
    pair.register(THERE, (10..12).map(|number| entry(number, AutoVe(2))));
    pair.settle();
    // Of the other home, so this server does not judge whether there is room.
    pair.register(HERE, [entry(12, AutoVe(2))]);
    pair.settle();
    for (side, others) in [(HERE, Standing::Elsewhere), (THERE, Standing::Served)] {
        let standings: Vec<Standing> =
            pair.sides[side].node.hosts_after(None).map(|view| view.standing).collect();
        let unserved = standings.iter().filter(|standing| **standing == Standing::Unserved);
        assert_eq!((unserved.count(), standings.len()), (1, 3), "{standings:?}");
        assert_eq!(standings.iter().filter(|standing| **standing == others).count(), 2);
    }
}

#[test]
fn what_nobody_knows_is_no_zero() {
    let mut pair = Pair::new();
    let view = pair.sides[HERE].peer(pair.now);
    assert_eq!((view.homed, view.behind, view.ahead), (None, None, None));
    assert_eq!((view.missing_here, view.missing_there), (None, None));
    let link = pair.connect(HERE);
    pair.settle();
    let view = pair.sides[HERE].peer(pair.now);
    assert_eq!((view.behind, view.ahead), (Some(Lag::default()), Some(Lag::default())));
    pair.cut(link);
    pair.register(HERE, [entry(1, AutoVe(1))]);
    let view = pair.sides[HERE].peer(pair.now);
    assert_eq!((view.homed, view.missing_here), (Some(0), Some(0)));
    assert_eq!((view.behind, view.ahead), (None, None));
}

#[test]
fn a_wrong_address_shows_while_the_right_peer_is_there() {
    let mut pair = Pair::new();
    pair.connect(THERE);
    pair.settle();
    let wrong = PeerFailure::Unreachable("nobody there".into());
    pair.input(HERE, Input::PeerFailed { refusal: wrong.clone() });
    let view = pair.sides[HERE].peer(pair.now);
    assert_eq!((view.state, view.failure), (PeerState::InStep, Some(&wrong)));
    // What is configured leads to the peer after all.
    pair.connect(HERE);
    pair.settle();
    assert_eq!(pair.sides[HERE].peer(pair.now).failure, None);
}
