//! A connection that breaks keeps its seat for the lease, and only for its owner.

use ve_core::{
    node::io::{Input, Note},
    reason::ReasonCode,
};

use crate::harness::{Outcome, Server, emulator, license};

#[test]
fn a_lost_link_keeps_the_seat_for_its_owner() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.close(link);
    server.pass(119_999);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);

    let resumed = server.login_from(1, emulator("ss5").session(session)).granted();
    assert_eq!(resumed.session, session, "its own seat, never a second one");
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn coming_back_writes_nothing() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.close(link);
    let written = server.ledger.durable.len();
    server.login_from(1, emulator("ss5").session(session)).granted();
    assert_eq!(server.ledger.durable.len(), written);
}

#[test]
fn the_lease_counts_from_the_last_proof_of_life() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    server.login(link, emulator("ss5")).granted();
    server.pass(60_000);
    server.close_silent(link, 6_000);
    server.pass(113_999);
    assert_eq!(server.states(), ["left"]);
    server.pass(1);
    assert!(server.states().is_empty());
    assert!(matches!(server.notes().last(), Some(Note::LeaseEnded(_))));
}

#[test]
fn nothing_revives_a_seat_that_was_given_away() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.close(link);
    server.pass(120_000);
    server.login_from(2, emulator("newcomer")).granted();

    let link = server.link(1);
    assert_eq!(server.check(link, session).code(), ReasonCode::BadRequest);
    let back = server.login(link, emulator("ss5").session(session));
    assert_eq!(back.code(), ReasonCode::InstanceLimit);

    server.restart_after(1_000);
    let back = server.login_from(1, emulator("ss5").session(session));
    assert_eq!(back.code(), ReasonCode::InstanceLimit, "nor does a restart");
}

#[test]
fn a_new_run_takes_its_predecessors_seat_and_a_new_session() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.close(link);
    // Another program, with another configuration, and the session that its predecessor kept.
    let login = emulator("ss5").run(2).cpus(4).session(session);
    let grant = server.login_from(1, login).granted();
    assert_ne!(grant.session, session);
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn two_emulators_of_a_host_have_two_sessions_on_one_link() {
    let mut server = Server::with([license(44).instances(2)]);
    let link = server.link(1);
    server.login(link, emulator("a")).granted();
    server.login(link, emulator("b")).granted();
    server.close(link);
    assert_eq!(server.states(), ["left", "left"]);
}

#[test]
fn a_stolen_session_id_is_worth_nothing_to_another_host() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    let thief = server.link(2);
    assert_eq!(server.check(thief, session).code(), ReasonCode::BadRequest);
    server.logout(thief, session);
    server.pong(thief, session, false);
    assert_eq!(server.states(), ["live"], "no one but its host ends a session");
    server.close(link);
    let stolen = server.login(thief, emulator("ss5").session(session));
    assert_eq!(stolen.code(), ReasonCode::InstanceLimit);
    server.login_from(1, emulator("ss5").session(session)).granted();
}

#[test]
fn a_session_is_checked_on_its_own_link_only() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    let other = server.link(1);
    assert_eq!(server.check(other, session).code(), ReasonCode::BadRequest);
    server.check(link, session).granted();
}

#[test]
fn a_proof_of_life_from_the_future_reserves_no_longer() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    server.login(link, emulator("ss5")).granted();
    let last_heard = server.now().elapsed.plus_ms(1_000_000);
    server.input(Input::LinkClosed { link, last_heard });
    server.pass(120_000);
    assert!(server.states().is_empty());
}
