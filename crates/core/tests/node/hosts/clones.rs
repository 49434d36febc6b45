//! One key alive on two machines.

use ve_core::{
    id::SessionId,
    node::io::{Note, RequestId},
};

use super::*;
use crate::harness::Disk;

/// A server on which host 1 runs an emulator in boot 1.
fn running() -> (Server, LinkId, SessionId) {
    let mut server = Server::with([autove(2)]);
    let link = server.link(1);
    let grant = server.login(link, emulator("vm").on(facts())).granted();
    server.effects.clear();
    (server, link, grant.session)
}

fn is_clone(note: &Note, there: bool) -> bool {
    matches!(note, Note::HostCloned { host, at_peer, .. } if *host == key(1) && *at_peer == there)
}

#[test]
fn a_machine_that_answers_is_not_taken_over_by_its_clone() {
    let (mut server, link, session) = running();
    let clone = server.link_of(key(1), "10.0.0.99");
    let asked: Vec<_> =
        ["vm", "other"].map(|vm| server.ask_login(clone, emulator(vm).on(facts().boot(2)))).into();
    assert_eq!(server.pings(), [link], "each link is asked once");
    server.pong(link, session, true);
    for request in asked {
        let refusal = server.answer(request).refused();
        assert_eq!(refusal.code, ReasonCode::DuplicateInstance);
        for address in ["10.0.0.1:", "10.0.0.99:"] {
            assert!(refusal.sentence.contains(address), "{refusal}");
        }
    }
    assert_eq!(server.notes().into_iter().filter(|note| is_clone(note, false)).count(), 1);
    server.check(link, session).granted();
}

#[test]
fn a_machine_that_was_rebooted_comes_back_after_a_silence() {
    let (mut server, link, _) = running();
    let second = server.login(link, emulator("second").on(facts())).granted();
    let rebooted = server.link(1);
    let request = server.ask_login(rebooted, emulator("vm").on(facts().boot(2)));
    server.pass(1_999);
    assert_eq!(server.answer(request), None);
    server.pass(1);
    server.answer(request).granted();
    assert_eq!(server.check(link, second.session).code(), ReasonCode::BadRequest);
    assert!(!has_note(&server, |note| is_clone(note, false)));
    assert_eq!(server.node.capacity().unwrap().homed, 1);
}

#[test]
fn a_machine_that_says_it_runs_nothing_is_left_at_once() {
    let (mut server, link, session) = running();
    let rebooted = server.link(1);
    let request = server.ask_login(rebooted, emulator("other").on(facts().boot(2)));
    server.pong(link, session, false);
    server.answer(request).granted();
}

#[test]
fn a_link_that_closes_lets_the_next_boot_in() {
    let (mut server, link, _) = running();
    let rebooted = server.link(1);
    let request = server.ask_login(rebooted, emulator("vm").on(facts().boot(2)));
    server.close(link);
    server.answer(request).granted();
}

#[test]
fn who_would_be_refused_takes_nothing_over() {
    let (mut server, link, session) = running();
    let clone = server.link(1);
    let too_large = emulator("other").cpus(99).on(facts().boot(2));
    assert_eq!(server.login(clone, too_large).code(), ReasonCode::CpuLimit);
    assert!(server.pings().is_empty());
    let request = server.ask_login(clone, emulator("other").on(facts().boot(2)));
    server.install([autove(2).version(2).expires(later(&server, 1))]);
    server.pass(5_000);
    assert_eq!(server.answer(request).code(), ReasonCode::LicenseExpired);
    assert_eq!(server.check(link, session).code(), ReasonCode::BadRequest);
}

#[test]
fn a_clone_at_the_peer_is_refused_at_once() {
    let mut server = Server::with([autove(2)]);
    arrive(&mut server, 1).granted();
    server.restart_after(200_000);
    let peer = Peer::comes(&mut server, 10);
    peer.has(&mut server, 1, 1);
    let refusal = login(&mut server, 1, facts().boot(2)).refused();
    assert_eq!(refusal.code, ReasonCode::DuplicateInstance);
    assert!(refusal.sentence.contains("10.7.7.7:5000"), "{refusal}");
    assert!(has_note(&server, |note| is_clone(note, true)));
    // The same boot is the same machine, which may run emulators at both.
    login(&mut server, 1, facts()).granted();
}

#[test]
fn the_same_boot_is_never_asked() {
    let (mut server, _, _) = running();
    server.login_from(1, emulator("other").on(facts())).granted();
    server.login_from(1, emulator("old client")).granted();
    assert!(server.pings().is_empty());
}

/// A machine with the emulators `vm` and `second` on one link, and a login of another boot that waits.
fn asked() -> (Server, LinkId, [SessionId; 2], RequestId) {
    let (mut server, link, first) = running();
    let second = server.login(link, emulator("second").on(facts())).granted();
    server.effects.clear();
    let clone = server.link_of(key(1), "10.0.0.99");
    let request = server.ask_login(clone, emulator("third").on(facts().boot(2)));
    assert_eq!(server.pings(), [link]);
    (server, link, [first, second.session], request)
}

/// How a session on a link ends while that is asked about it.
type End = dyn Fn(&mut Server, LinkId, SessionId);

#[test]
fn a_link_that_works_is_asked_again_when_what_it_was_asked_about_has_ended() {
    let logs_out = |server: &mut Server, link, session| {
        server.logout(link, session);
        server.pong(link, session, false);
    };
    let was_slow = |server: &mut Server, link, session| {
        server.ledger.disk = Disk::Slow;
        server.logout(link, session);
        server.pong(link, session, true);
        server.catch_up();
    };
    let runs_no_more = |server: &mut Server, link, session| server.pong(link, session, false);
    let is_released = |server: &mut Server, link, session| {
        server.release(1).unwrap().unwrap();
        server.pong(link, session, false);
    };
    let ends: [(&str, &End); 4] = [
        ("its logout crosses the question", &logs_out),
        ("its logout is not durable yet", &was_slow),
        ("its client runs it no more", &runs_no_more),
        ("it is taken back", &is_released),
    ];
    for (how, end) in ends {
        let (mut server, link, [first, second], request) = asked();
        server.pass(1_500);
        end(&mut server, link, first);
        assert_eq!(server.pings(), [link, link], "{how}");
        server.pass(1_500);
        assert_eq!(server.answer(request), None, "{how}");
        server.pong(link, second, true);
        assert_eq!(server.answer(request).code(), ReasonCode::DuplicateInstance, "{how}");
        assert!(has_note(&server, |note| is_clone(note, false)), "{how}");
        server.check(link, second).granted();
    }
}

#[test]
fn a_link_that_is_silent_when_asked_again_is_left() {
    let (mut server, link, [first, second], request) = asked();
    server.pong(link, first, false);
    server.pass(2_000);
    server.answer(request).granted();
    assert_eq!(server.check(link, second).code(), ReasonCode::BadRequest);
}

#[test]
fn who_answers_again_and_again_is_there() {
    let (mut server, link, [first, second], request) = asked();
    let mut sessions = vec![first, second];
    for number in 0..40 {
        let vm = format!("vm-{number}");
        sessions.push(server.login(link, emulator(&vm).on(facts())).granted().session);
        server.logout(link, sessions[number]);
    }
    assert_eq!(server.answer(request).code(), ReasonCode::DuplicateInstance);
    assert!(server.pings().len() < 20, "{:?}", server.pings());
}

#[test]
fn who_came_later_gives_way_to_one_at_the_peer_that_is_proven_to_be_there() {
    let cases = [
        ("earlier and proven", Some(-1), Some(1), true),
        ("later", Some(1), Some(1), false),
        ("no word of when", None, Some(1), false),
        ("proven beside an earlier boot", Some(-1), Some(7), false),
        ("not proven", Some(-1), None, false),
    ];
    for (how, since_s, beside, gives_way) in cases {
        let (mut server, link, session) = running();
        let mut peer = Peer::comes(&mut server, 10);
        peer.tells(&mut server, vec![]);
        let since = since_s.map(|seconds| later(&server, seconds));
        peer.has_since(&mut server, 1, 2, since, beside);
        let answer = server.check(link, session);
        if gives_way {
            assert_eq!(answer.code(), ReasonCode::DuplicateInstance, "{how}");
        } else {
            answer.granted();
        }
        assert_eq!(has_note(&server, |note| is_clone(note, true)), gives_way, "{how}");
    }
}

#[test]
fn all_emulators_of_a_machine_give_way_at_once() {
    let (mut server, link, first) = running();
    let second = server.login(link, emulator("second").on(facts())).granted();
    let mut peer = Peer::comes(&mut server, 10);
    peer.tells(&mut server, vec![]);
    let since = later(&server, -1);
    peer.has_since(&mut server, 1, 2, Some(since), Some(1));
    assert_eq!(server.check(link, second.session).code(), ReasonCode::DuplicateInstance);
    let revoked: Vec<SessionId> = server.revocations().iter().map(|revoked| revoked.1).collect();
    assert_eq!(revoked, [first, second.session]);
    assert_eq!(server.notes().into_iter().filter(|note| is_clone(note, true)).count(), 1);
}
