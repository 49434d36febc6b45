//! Logout frees the seat at once: as soon as that is durable.

use ve_core::{
    node::{
        event::{CloseCause, Event},
        io::{Answer, Note},
    },
    reason::ReasonCode,
};

use crate::harness::{Disk, Outcome, Server, emulator, license};

#[test]
fn a_logout_frees_the_seat() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    assert_eq!(server.logout(link, session), Some(Answer::LoggedOut(session)));
    assert!(matches!(server.notes().last(), Some(Note::Disconnected(_))));
    assert!(matches!(
        server.events().last(),
        Some(Event::SessionClosed { cause: CloseCause::LoggedOut, .. })
    ));
    server.login_from(2, emulator("next")).granted();
}

#[test]
fn a_second_logout_is_told_the_same() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.logout(link, session);
    assert_eq!(server.logout(link, session), Some(Answer::LoggedOut(session)));
}

#[test]
fn a_seat_is_free_when_that_is_durable() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.ledger.disk = Disk::Slow;
    let request = server.ask(link, ve_core::node::io::Ask::Logout(session));
    assert_eq!(server.login_from(2, emulator("next")).code(), ReasonCode::InstanceLimit);
    assert_eq!(server.answer(request), None);
    assert_eq!(server.logout(link, session).code(), ReasonCode::ServerBusy);
    server.catch_up();
    assert_eq!(server.answer(request), Some(Answer::LoggedOut(session)));
    server.login_from(2, emulator("next")).granted();
}

#[test]
fn an_emulator_that_is_started_again_at_once_has_the_seat_that_it_gives_back() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.ledger.disk = Disk::Slow;
    server.ask(link, ve_core::node::io::Ask::Logout(session));
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5").run(2));
    server.catch_up();
    server.answer(request).granted();
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn a_client_may_come_back_only_to_log_out() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.close(link);
    let link = server.link(1);
    assert_eq!(server.logout(link, session), Some(Answer::LoggedOut(session)));
    server.login_from(2, emulator("next")).granted();
}
