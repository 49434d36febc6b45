//! Who is no peer is told why, and the log hears of it.

use ve_core::{
    license::Mode,
    node::{
        io::{AutoVeRules, Input, Note},
        peer::{MAX_PEER_LINKS, PeerFailure, PeerState},
    },
    reason::ReasonCode,
};

use crate::harness::{HERE, License, Pair, THERE, autove, general};

#[test]
fn who_is_no_peer_is_refused() {
    let own = autove(1, 1);
    for (other, why) in [
        (general(2, 2), "license 01.00000001.002.002 is for general mode"),
        (
            License { customer: "Somebody/Else", ..autove(2, 2) },
            "another customer's: Somebody/Else",
        ),
        (autove(2, 1), "it can't be its own peer"),
        (autove(1, 2), "both servers have license 01.00000001.002.001"),
    ] {
        let mut pair = Pair::with(own, other);
        pair.connect(THERE);
        let (side, refusal) = &pair.refusals[0];
        assert_eq!(*side, HERE);
        assert_eq!(refusal.code, ReasonCode::LicenseNotAvailable);
        assert!(refusal.sentence.contains(why), "{refusal}");
        let note = Note::PeerRefused {
            address: "192.0.2.2:8083".parse().unwrap(),
            refusal: refusal.clone(),
        };
        assert!(pair.sides[HERE].notes.contains(&note), "{refusal}");
    }
}

#[test]
fn a_server_in_general_mode_has_no_peers() {
    let mut pair = Pair::with(general(1, 1), autove(2, 2));
    pair.connect(HERE);
    let (side, refusal) = &pair.refusals[0];
    assert_eq!(*side, HERE);
    assert!(refusal.sentence.contains("this server is in general mode"), "{refusal}");
    let view = pair.sides[HERE].peer(pair.now);
    assert!(matches!(view.state, PeerState::Refused(_)), "one is configured: {view:?}");
    assert_eq!((view.license_id, view.homed, view.missing_here), (None, None, None));
    let rules = AutoVeRules { has_peer: false, ..AutoVeRules::default() };
    pair.input(HERE, Input::AutoVe(rules));
    assert!(pair.sides[HERE].node.peer(pair.now).is_none());
}

#[test]
fn who_dials_hears_of_its_failure_once() {
    let mut pair = Pair::with(autove(1, 1), general(2, 2));
    for _ in 0..3 {
        pair.connect(HERE);
    }
    let failures: Vec<&Note> =
        pair.sides[HERE].notes.iter().filter(|note| matches!(note, Note::PeerFailed(_))).collect();
    assert_eq!(failures.len(), 1);
    let state = pair.sides[HERE].peer(pair.now).state;
    assert!(matches!(state, PeerState::Refused(_)), "{state:?}");
    let gone = PeerFailure::Unreachable("connection refused".into());
    pair.input(HERE, Input::PeerFailed { refusal: gone.clone() });
    pair.input(HERE, Input::PeerFailed { refusal: gone });
    let state = pair.sides[HERE].peer(pair.now).state;
    assert_eq!(state, PeerState::Unreachable("connection refused".into()));
    let failures = pair.sides[HERE].notes.iter().filter(|note| matches!(note, Note::PeerFailed(_)));
    assert_eq!(failures.count(), 2);
}

#[test]
fn links_are_judged_anew_when_the_own_license_changes() {
    let mut pair = Pair::in_contact();
    let now = pair.now;
    let license = License { mode: Mode::General, ..autove(1, 1) };
    pair.sides[HERE].install(now, license);
    pair.collect(HERE);
    assert_eq!(pair.refusals.len(), 1);
    assert!(pair.links().is_empty());
    assert!(pair.sides[HERE].notes.iter().any(|note| matches!(note, Note::PeerLost { .. })));
}

/// The peer knows this server by the license that it was shown: nobody is at fault, and both begin
/// anew.
#[test]
fn links_end_in_peace_when_another_license_is_served() {
    let mut pair = Pair::in_contact();
    let now = pair.now;
    pair.sides[HERE].install(now, autove(3, 1));
    pair.collect(HERE);
    let codes: Vec<ReasonCode> = pair.refusals.iter().map(|(_, refusal)| refusal.code).collect();
    assert_eq!(codes, [ReasonCode::ServerBusy]);
    pair.connect(HERE);
    pair.settle();
    assert_eq!(pair.refusals.len(), 1);
    assert_eq!(pair.sides[THERE].peer(pair.now).license_id, Some(&autove(3, 1).id()));
}

#[test]
fn another_server_is_the_peer_only_while_the_known_one_is_not_there() {
    let mut pair = Pair::in_contact();
    pair.register(THERE, [crate::harness::entry(1, crate::harness::AutoVe(2))]);
    pair.settle();
    // A third server, spoken by hand.
    let link = ve_core::id::LinkId(900);
    let third = ve_core::license::Verified::vouch(autove(3, 3).credential());
    let address: ve_core::text::Name = "192.0.2.3:8083".parse().unwrap();
    let opened = |peer| Input::PeerOpened { link, peer, address: address.clone(), dialed: false };
    pair.input(HERE, opened(third.clone()));
    assert!(pair.refusals[0].1.sentence.contains("is in contact with it"), "{:?}", pair.refusals);
    pair.part();
    pair.refusals.clear();
    pair.input(HERE, opened(third));
    assert_eq!(pair.refusals, []);
}

#[test]
fn there_are_only_so_many_links() {
    let mut pair = Pair::new();
    for _ in 0..MAX_PEER_LINKS {
        pair.connect(HERE);
    }
    assert_eq!(pair.refusals, []);
    pair.connect(THERE);
    assert_eq!(pair.refusals[0].1.code, ReasonCode::ServerBusy);
    pair.settle();
    assert_eq!(pair.links().len(), MAX_PEER_LINKS);
}
