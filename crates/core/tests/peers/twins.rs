//! One key on two machines that were let in while the servers had no contact.

use ve_core::{
    node::io::{Answer, Note},
    reason::ReasonCode,
};

use crate::harness::{HERE, Pair, THERE};

#[track_caller]
fn granted(answer: &Answer) {
    assert!(matches!(answer, Answer::Granted(_)), "{answer:?}");
}

#[track_caller]
fn refused(answer: &Answer) -> String {
    match answer {
        Answer::Refused(refusal) if refusal.code == ReasonCode::DuplicateInstance => {
            refusal.sentence.clone()
        }
        other => panic!("expected a duplicate, got {other:?}"),
    }
}

fn clones_noted(pair: &Pair, side: usize) -> usize {
    let cloned = |note: &&Note| matches!(note, Note::HostCloned { at_peer: true, .. });
    pair.sides[side].notes.iter().filter(cloned).count()
}

/// Host 1 is let in at `first` in boot 1, then at the other side in boot 2; then there is contact.
fn two_machines(first: usize) -> Pair {
    let mut pair = Pair::new();
    granted(&pair.login(first, 1, 1));
    pair.pass(5_000);
    granted(&pair.login(1 - first, 1, 2));
    pair.connect(HERE);
    pair.pass(11_000);
    pair
}

#[test]
fn the_first_stays_and_the_second_is_refused_at_its_check() {
    for first in [HERE, THERE] {
        let mut pair = two_machines(first);
        let second = 1 - first;
        assert_eq!((pair.pong(second), pair.pong(first)), (0, 1), "only the first is asked");
        pair.pass(1_000);
        granted(&pair.check(first, 1));
        let sentence = refused(&pair.check(second, 1));
        assert_eq!(sentence.matches("10.1.0.1:40000").count(), 2, "{sentence}");
        assert_eq!((clones_noted(&pair, first), clones_noted(&pair, second)), (0, 1));
        // It stays so, at either side.
        pair.pass(1_000);
        refused(&pair.login(second, 1, 2));
        pair.pass(60_000);
        granted(&pair.check(first, 1));
        // The first goes, and the second may have the key.
        pair.close(first, 1);
        pair.pass(1_000);
        granted(&pair.login(second, 1, 2));
    }
}

/// Of two that were let in at the same second, that with the smaller license ID stays.
#[test]
fn both_sides_decide_the_same_about_two_of_the_same_age() {
    let mut pair = Pair::new();
    granted(&pair.login(THERE, 1, 2));
    granted(&pair.login(HERE, 1, 1));
    pair.connect(THERE);
    pair.pass(11_000);
    assert_eq!((pair.pong(HERE), pair.pong(THERE)), (1, 0));
    pair.pass(1_000);
    granted(&pair.check(HERE, 1));
    refused(&pair.check(THERE, 1));
}

/// A machine that was booted anew has left a link behind that only looks alive.
#[test]
fn who_does_not_answer_displaces_nobody() {
    let mut pair = two_machines(HERE);
    pair.pass(30_000);
    granted(&pair.check(THERE, 1));
    pair.close(HERE, 1);
    pair.pass(30_000);
    granted(&pair.check(THERE, 1));
    assert_eq!((clones_noted(&pair, HERE), clones_noted(&pair, THERE)), (0, 0));
}

#[test]
fn one_machine_that_uses_both_servers_is_never_asked() {
    let mut pair = Pair::new();
    granted(&pair.login(HERE, 1, 1));
    granted(&pair.login(THERE, 1, 1));
    pair.connect(HERE);
    pair.pass(60_000);
    assert_eq!((pair.pong(HERE), pair.pong(THERE)), (0, 0));
    granted(&pair.check(HERE, 1));
    granted(&pair.check(THERE, 1));
}

/// A short loss of its link does not cost the first its place.
#[test]
fn the_first_comes_back_to_its_session() {
    let mut pair = two_machines(HERE);
    pair.close(HERE, 1);
    pair.pass(1_000);
    granted(&pair.come_back(HERE, 1, 1));
    pair.pass(11_000);
    assert!(pair.pong(HERE) > 0);
    pair.pass(1_000);
    refused(&pair.check(THERE, 1));
    // The second, which was let in later, would have been refused.
    let mut pair = two_machines(HERE);
    pair.close(THERE, 1);
    pair.pass(1_000);
    refused(&pair.come_back(THERE, 1, 2));
}

#[test]
fn without_contact_nobody_is_refused() {
    let mut pair = two_machines(HERE);
    pair.pong(HERE);
    pair.pass(1_000);
    pair.part();
    granted(&pair.check(THERE, 1));
    granted(&pair.check(HERE, 1));
}
