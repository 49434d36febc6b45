//! Which hosts have emulators at the other side.

use std::collections::BTreeSet;

use ve_core::{
    id::HostKey,
    node::{
        io::{Answer, Note},
        peer::PeerMessage,
    },
    reason::ReasonCode,
};

use crate::harness::{HERE, License, Pair, THERE, autove, host};

/// What one side has heard of the other's hosts, by the rules of the protocol.
fn heard(pair: &Pair, by: usize) -> BTreeSet<HostKey> {
    let mut there = BTreeSet::new();
    for (to, message) in &pair.sent {
        let PeerMessage::Presence { reset, present, gone } = message else { continue };
        if *to == by {
            if *reset {
                there.clear();
            }
            there.extend(present.iter().map(|presence| presence.host));
            for host in gone {
                there.remove(host);
            }
        }
    }
    there
}

fn presences(pair: &Pair) -> usize {
    let is_presence = |message: &PeerMessage| matches!(message, PeerMessage::Presence { .. });
    pair.sent.iter().filter(|(_, message)| is_presence(message)).count()
}

#[track_caller]
fn code(answer: &Answer) -> ReasonCode {
    match answer {
        Answer::Refused(refusal) => refusal.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_host_that_logs_in_is_registered_and_present_on_both() {
    let mut pair = Pair::in_contact();
    assert!(matches!(pair.login(HERE, 1, 1), Answer::Granted(_)));
    pair.pass(200);
    pair.assert_equal();
    assert_eq!(pair.sides[THERE].store.entries.len(), 1);
    assert_eq!(heard(&pair, THERE), BTreeSet::from([host(1)]));
    pair.close(HERE, 1);
    pair.pass(200);
    assert_eq!(heard(&pair, THERE), BTreeSet::new());
}

#[test]
fn a_clone_is_noticed_at_the_other_side_as_long_as_there_is_contact() {
    let mut pair = Pair::in_contact();
    pair.login(HERE, 1, 1);
    pair.pass(200);
    assert_eq!(code(&pair.login(THERE, 1, 2)), ReasonCode::DuplicateInstance);
    let cloned = |note: &&Note| matches!(note, Note::HostCloned { at_peer: true, .. });
    assert_eq!(pair.sides[THERE].notes.iter().filter(cloned).count(), 1);
    // Without contact, nothing is known of where it is.
    pair.close(THERE, 1);
    pair.part();
    assert!(matches!(pair.login(THERE, 1, 2), Answer::Granted(_)));
}

#[test]
fn a_new_contact_begins_with_all_who_are_there() {
    let mut pair = Pair::in_contact();
    pair.login(HERE, 1, 1);
    pair.login(HERE, 2, 1);
    pair.part();
    pair.close(HERE, 1);
    pair.login(HERE, 3, 1);
    pair.sent.clear();
    pair.connect(THERE);
    pair.settle();
    assert_eq!(heard(&pair, THERE), BTreeSet::from([host(2), host(3)]));
    assert_eq!(code(&pair.login(THERE, 3, 2)), ReasonCode::DuplicateInstance);
}

/// What the lost link had said last counts no more than what the other one says.
#[test]
fn presence_goes_on_over_the_link_that_is_left() {
    for lost in [0, 1] {
        let mut pair = Pair::new();
        let links = [pair.connect(HERE), pair.connect(THERE)];
        pair.login(HERE, 1, 1);
        pair.pass(1_200);
        pair.cut(links[lost]);
        pair.close(HERE, 1);
        pair.login(HERE, 2, 1);
        pair.pass(1_200);
        assert_eq!(code(&pair.login(THERE, 2, 2)), ReasonCode::DuplicateInstance, "{lost}");
        assert!(matches!(pair.login(THERE, 1, 2), Answer::Granted(_)), "{lost}");
    }
}

#[test]
fn many_hosts_are_said_a_few_messages_at_a_time() {
    let mut pair = Pair::with(License { instances: 5_000, ..autove(1, 1) }, autove(2, 2));
    for number in 0..3_000 {
        assert!(matches!(pair.login(HERE, number, 1), Answer::Granted(_)));
    }
    pair.connect(HERE);
    pair.settle();
    pair.pass(0);
    let at_once = presences(&pair);
    assert!((1..=9).contains(&at_once), "{at_once}");
    pair.pass(1_000);
    assert_eq!(heard(&pair, THERE).len(), 3_000);
    let all = presences(&pair);
    assert!(all <= 20, "{all}");
}

#[test]
fn without_a_peer_nothing_is_said() {
    let mut pair = Pair::new();
    pair.login(HERE, 1, 1);
    pair.close(HERE, 1);
    assert_eq!(pair.sent, []);
}

/// What was to be said over a lost link keeps nobody awake.
#[test]
fn a_link_that_is_lost_with_hosts_to_tell_leaves_nothing_due() {
    let mut pair = Pair::with(License { instances: 5_000, ..autove(1, 1) }, autove(2, 2));
    for number in 0..2_500 {
        pair.login(HERE, number, 1);
    }
    let first = pair.connect(HERE);
    pair.settle();
    pair.connect(THERE);
    pair.cut(first);
    pair.move_clocks(200);
    pair.input(HERE, ve_core::node::io::Input::Tick);
    assert!(pair.sides[HERE].node.deadline() > pair.now.elapsed);
}
