//! The same emulator again: whose seat is it?

use ve_core::{id::LinkId, id::SessionId, reason::ReasonCode};

use crate::harness::{Disk, Outcome, Server, emulator, license};

/// A server whose only seat emulator `ss5` of host 1 has, over a link that looks alive.
fn running() -> (Server, LinkId, SessionId) {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    (server, link, session)
}

#[test]
fn a_seat_that_was_left_is_taken_over() {
    let (mut server, link, session) = running();
    server.close(link);
    assert_eq!(server.login_from(2, emulator("ss5")).code(), ReasonCode::InstanceLimit);
    let grant = server.login_from(1, emulator("ss5").run(2)).granted();
    assert_ne!(grant.session, session);
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn silence_is_a_takeover() {
    let (mut server, old, session) = running();
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5").run(2));
    assert_eq!(server.pings(), [old]);
    server.pass(1_999);
    assert_eq!(server.answer(request), None);
    server.pass(1);
    let grant = server.answer(request).granted();
    assert_ne!(grant.session, session);
    let [(revoked_link, revoked, refusal)] = server.revocations()[..] else { panic!("one") };
    assert_eq!(
        (revoked_link, revoked, refusal.code),
        (old, session, ReasonCode::DuplicateInstance)
    );
    assert_eq!(server.states(), ["live"]);
    assert_eq!(server.check(old, session).code(), ReasonCode::BadRequest);
}

#[test]
fn a_client_that_outlived_its_link_gets_its_own_session() {
    let (mut server, _, session) = running();
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5").session(session));
    server.pass(2_000);
    assert_eq!(server.answer(request).granted().session, session);
}

#[test]
fn an_answer_is_a_duplicate() {
    let (mut server, old, session) = running();
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5").run(2));
    server.pong(old, session, true);
    assert_eq!(
        server.answer(request).refused().to_string(),
        "duplicate-instance: ss5 already runs on this host, connected from 10.0.0.1:40001."
    );
    server.pass(10_000);
    server.check(old, session).granted();
}

#[test]
fn a_client_that_runs_it_no_more_makes_way_at_once() {
    let (mut server, old, session) = running();
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5").run(2));
    server.pong(old, session, false);
    server.answer(request).granted();
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn whatever_ends_the_old_session_makes_way_at_once() {
    type End = fn(&mut Server, LinkId, SessionId);
    let ends: [(&str, End); 3] = [
        ("its link closes", |server, old, _| server.close(old)),
        ("it logs out", |server, old, session| drop(server.logout(old, session))),
        ("it is released", |server, _, _| drop(server.release(1))),
    ];
    for (how, end) in ends {
        let (mut server, old, session) = running();
        let link = server.link(1);
        let request = server.ask_login(link, emulator("ss5").run(2));
        end(&mut server, old, session);
        assert!(server.answer(request).is_some(), "{how}");
        server.answer(request).granted();
        assert_eq!(server.states(), ["live"], "{how}");
    }
}

#[test]
fn the_same_name_twice_on_one_link_is_a_duplicate() {
    let mut server = Server::with([license(44).instances(2)]);
    let link = server.link(1);
    server.login(link, emulator("ss5")).granted();
    assert_eq!(server.login(link, emulator("ss5")).code(), ReasonCode::DuplicateInstance);

    // Also when the first is still being written down.
    server.ledger.disk = Disk::Slow;
    let first = server.ask_login(link, emulator("other"));
    let second = server.ask_login(link, emulator("other"));
    server.catch_up();
    server.answer(first).granted();
    assert_eq!(server.answer(second).code(), ReasonCode::DuplicateInstance);
}

#[test]
fn a_login_again_with_its_own_session_on_its_own_link_is_the_same_session() {
    let (mut server, link, session) = running();
    let again = server.login(link, emulator("ss5").session(session)).granted();
    assert_eq!(again.session, session);
    let other_size = server.login(link, emulator("ss5").session(session).cpus(2));
    assert_eq!(other_size.code(), ReasonCode::BadRequest);
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn the_same_name_on_two_hosts_is_two_emulators() {
    let mut server = Server::with([license(44).instances(2)]);
    server.login_from(1, emulator("ss5")).granted();
    server.login_from(2, emulator("ss5")).granted();
}

#[test]
fn one_login_at_a_time_waits_for_an_emulator() {
    let (mut server, ..) = running();
    let (second, third) = (server.link(1), server.link(1));
    let request = server.ask_login(second, emulator("ss5").run(2));
    let other = server.login(third, emulator("ss5").run(3));
    assert_eq!(other.code(), ReasonCode::DuplicateInstance);
    server.pass(2_000);
    server.answer(request).granted();
}

#[test]
fn who_hangs_up_while_waiting_takes_nothing_over() {
    let (mut server, old, session) = running();
    let link = server.link(1);
    server.ask_login(link, emulator("ss5").run(2));
    server.close(link);
    server.pass(5_000);
    server.check(old, session).granted();
    assert!(server.revocations().is_empty());
}

#[test]
fn who_would_be_refused_anyway_takes_nothing_over() {
    let (mut server, old, session) = running();
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5").run(2).cpus(99));
    server.pass(2_000);
    assert_eq!(server.answer(request).code(), ReasonCode::CpuLimit);
    server.check(old, session).granted();
}

#[test]
fn a_session_that_has_just_become_durable_has_the_full_time_to_answer() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Slow;
    let (old, new) = (server.link(1), server.link(1));
    let first = server.ask_login(old, emulator("ss5"));
    let second = server.ask_login(new, emulator("ss5").run(2));
    server.pass(1_900);
    assert!(server.pings().is_empty(), "no one can be asked yet");
    server.catch_up();
    let session = server.answer(first).granted().session;
    assert_eq!(server.pings(), [old]);
    server.pass(1_999);
    assert_eq!(server.answer(second), None);
    server.pong(old, session, true);
    assert_eq!(server.answer(second).code(), ReasonCode::DuplicateInstance);
}

#[test]
fn a_ledger_that_is_slower_than_the_wait_is_named() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Slow;
    let (old, new) = (server.link(1), server.link(1));
    server.ask_login(old, emulator("ss5"));
    let second = server.ask_login(new, emulator("ss5").run(2));
    server.pass(2_000);
    assert_eq!(
        server.answer(second).refused().to_string(),
        "server-busy: the ledger is slow; try again."
    );
}

#[test]
fn a_session_has_one_successor() {
    let (mut server, link, session) = running();
    server.close(link);
    server.ledger.disk = Disk::Slow;
    // Two programs that both know the session that their predecessor had.
    let (a, b) = (server.link(1), server.link(1));
    let first = server.ask_login(a, emulator("ss5").run(2).session(session));
    let second = server.ask_login(b, emulator("ss5").run(3).session(session));
    server.catch_up();
    let first = server.answer(first).granted().session;
    assert_eq!(server.answer(second), None, "it waits for what the first one says");
    server.pong(a, first, true);
    assert_eq!(server.answer(second).code(), ReasonCode::DuplicateInstance);
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn a_license_that_is_removed_during_the_wait_opens_for_no_one() {
    let (mut server, ..) = running();
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5").run(2));
    server.install([]);
    assert_eq!(server.answer(request).code(), ReasonCode::LicenseNotAvailable);
    assert!(server.states().is_empty());
}

#[test]
fn a_session_belongs_to_one_emulator() {
    let (mut server, link, session) = running();
    server.close(link);
    assert_eq!(
        server.login_from(1, emulator("other").session(session)).refused().to_string(),
        "bad-request: the session belongs to an emulator of another name."
    );
}
