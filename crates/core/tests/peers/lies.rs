//! A peer that breaks the rules is cut off, and has done no harm.

use ve_core::{
    id::{LinkId, SpanId},
    node::peer::{
        Lag, MAX_CHANGES, MAX_PRESENCES, PeerMessage, PeerState, PeerStatus, Presence, WINDOW,
    },
    reason::ReasonCode,
    registry::{HostEntry, Position, Span},
};

use crate::harness::{AutoVe, Disk, HERE, Pair, THERE, WALL_AT_START, entry, host};

fn status(license: u16) -> PeerMessage {
    PeerMessage::Status(PeerStatus {
        license_id: AutoVe(license).id(),
        instances: 100,
        serves: Ok(()),
        homed: 0,
        guests: 0,
        wall: WALL_AT_START,
    })
}

fn at(number: u64) -> Position {
    Position { span: SpanId([9; 16]), number }
}

fn changes(entries: Vec<HostEntry>, upto: u64) -> PeerMessage {
    PeerMessage::Changes { entries, upto: at(upto), last: upto }
}

fn pull(spans: usize) -> PeerMessage {
    let spans = vec![Span { id: SpanId([9; 16]), after: 0 }; spans];
    PeerMessage::Pull { after: None, spans, last: 0 }
}

fn presences(count: u16) -> PeerMessage {
    let presence = |number| Presence {
        host: host(number),
        boot: None,
        since: None,
        beside: None,
        address: "10.0.0.1:4000".parse().unwrap(),
        emulators: 1,
    };
    PeerMessage::Presence { reset: true, present: (0..count).map(presence).collect(), gone: vec![] }
}

/// A server whose peer is spoken by hand; its writes don't end.
fn server() -> (Pair, LinkId) {
    let mut pair = Pair::new();
    pair.set_disk(HERE, Disk::Slow);
    let link = pair.connect(THERE);
    (pair, link)
}

#[test]
fn who_breaks_a_rule_is_cut_off() {
    let many = |count: usize| -> Vec<HostEntry> {
        (0..u16::try_from(count).unwrap()).map(|number| entry(number, AutoVe(2))).collect()
    };
    let revised = |revision| vec![HostEntry { revision, ..entry(1, AutoVe(2)) }];
    for (messages, what) in [
        (vec![pull(1)], "the first message is no status"),
        (vec![status(3)], "another license than its credential"),
        (vec![status(2), changes(many(MAX_CHANGES + 1), 1_000)], "too many changes"),
        (vec![status(2), changes(revised(0), 1)], "an impossible revision"),
        (vec![status(2), changes(revised(u64::MAX), 1)], "an impossible revision"),
        (
            vec![status(2), PeerMessage::Changes { entries: vec![], upto: at(2), last: 1 }],
            "after its last",
        ),
        (vec![status(2), pull(0)], "names no spans"),
        (vec![status(2), pull(65)], "or too many"),
        (vec![status(2), PeerMessage::Taken { upto: at(1) }], "taken what it was not sent"),
        (vec![status(2), presences(u16::try_from(MAX_PRESENCES + 1).unwrap())], "too many hosts"),
        (vec![status(2); 101], "too fast"),
    ] {
        let (mut pair, link) = server();
        for message in messages {
            pair.sides[HERE].hear(pair.now, link, message);
            pair.collect(HERE);
        }
        let (_, refusal) = pair.refusals.first().unwrap_or_else(|| panic!("not refused: {what}"));
        assert_eq!(refusal.code, ReasonCode::BadRequest);
        assert!(refusal.sentence.contains(what), "{refusal}");
    }
}

#[test]
fn who_does_not_wait_for_the_window_is_cut_off() {
    let (mut pair, link) = server();
    pair.sides[HERE].hear(pair.now, link, status(2));
    for number in 1..=WINDOW {
        let message =
            changes(vec![entry(u16::try_from(number).unwrap(), AutoVe(2))], number as u64);
        pair.sides[HERE].hear(pair.now, link, message);
        pair.collect(HERE);
    }
    assert_eq!(pair.refusals, []);
    pair.sides[HERE].hear(pair.now, link, changes(vec![], 99));
    pair.collect(HERE);
    assert!(pair.refusals[0].1.sentence.contains("does not wait"), "{:?}", pair.refusals);
}

#[test]
fn at_the_limits_nobody_is_cut_off() {
    let (mut pair, link) = server();
    let full = (0..u16::try_from(MAX_CHANGES).unwrap()).map(|number| entry(number, AutoVe(2)));
    for message in [
        status(2),
        pull(64),
        changes(full.collect(), 256),
        presences(u16::try_from(MAX_PRESENCES).unwrap()),
    ] {
        pair.sides[HERE].hear(pair.now, link, message);
        pair.collect(HERE);
    }
    assert_eq!(pair.refusals, []);
}

/// Positions are the other side's own affair: a wrong one costs work, and loses nothing here.
#[test]
fn a_pull_from_an_unknown_or_future_position_gets_everything() {
    for after in [Some(at(7)), Some(at(u64::MAX)), None] {
        let (mut pair, link) = server();
        pair.sides[HERE].mend(pair.now);
        pair.register(HERE, [entry(1, AutoVe(1))]);
        pair.sides[HERE].hear(pair.now, link, status(2));
        let spans = vec![Span { id: SpanId([9; 16]), after: 0 }];
        pair.sides[HERE].hear(pair.now, link, PeerMessage::Pull { after, spans, last: 5 });
        pair.collect(HERE);
        assert_eq!(pair.take_entries_to(THERE), 1);
    }
}

/// A peer of an older version says nothing of presence; nothing waits for that.
#[test]
fn four_kinds_of_messages_are_enough() {
    let (mut pair, link) = server();
    pair.sides[HERE].mend(pair.now);
    pair.register(HERE, [entry(1, AutoVe(1))]);
    for message in [status(2), pull(1), changes(vec![entry(2, AutoVe(2))], 1)] {
        pair.sides[HERE].hear(pair.now, link, message);
        pair.collect(HERE);
    }
    let told = |wanted: fn(&PeerMessage) -> bool| {
        pair.sent.iter().find(|(to, message)| *to == THERE && wanted(message)).cloned()
    };
    assert!(
        told(|message| matches!(message, PeerMessage::Taken { upto } if *upto == at(1))).is_some()
    );
    let Some((_, PeerMessage::Changes { upto, .. })) =
        told(|message| matches!(message, PeerMessage::Changes { .. }))
    else {
        panic!("nothing was sent");
    };
    pair.sides[HERE].hear(pair.now, link, PeerMessage::Taken { upto });
    let view = pair.sides[HERE].peer(pair.now);
    assert_eq!((view.state, view.ahead), (PeerState::InStep, Some(Lag::default())));
}
