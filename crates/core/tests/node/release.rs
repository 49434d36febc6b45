//! The administrator takes a seat back.

use ve_core::{
    node::{
        event::{CloseCause, Event},
        io::Note,
    },
    reason::ReasonCode,
};

use crate::harness::{Outcome, Server, emulator, license};

#[test]
fn a_live_session_is_revoked_and_its_run_is_blocked() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    let done = server.release(1).unwrap().unwrap();
    assert_eq!(done, "revoked; its client starts its grace period");
    assert_eq!(server.revocations()[0].2.code, ReasonCode::ReleasedByAdministrator);
    assert!(server.events().any(|event| matches!(
        event,
        Event::SessionClosed {
            cause: CloseCause::Revoked(ReasonCode::ReleasedByAdministrator),
            ..
        }
    )));

    for login in [emulator("ss5"), emulator("ss5").session(session)] {
        assert_eq!(
            server.login(link, login).refused().to_string(),
            "released-by-administrator: the administrator released ss5; start it anew to run it again."
        );
    }
    server.restart_after(1_000);
    let again = server.login_from(1, emulator("ss5"));
    assert_eq!(again.code(), ReasonCode::ReleasedByAdministrator, "nor after a restart");
    server.login_from(1, emulator("ss5").run(2)).granted();
    server.login_from(2, emulator("other")).refused();
}

#[test]
fn the_seat_is_someone_elses_at_once() {
    let mut server = Server::with([license(44).instances(1)]);
    server.login_from(1, emulator("ss5")).granted();
    server.release(1).unwrap().unwrap();
    server.login_from(2, emulator("other")).granted();
}

#[test]
fn the_run_that_is_blocked_is_the_one_that_came_last() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.close(link);
    server.login_from(1, emulator("ss5").run(2).session(session)).granted();
    server.release(server.newest()).unwrap().unwrap();
    let again = server.login_from(1, emulator("ss5").run(2));
    assert_eq!(again.code(), ReasonCode::ReleasedByAdministrator);
}

#[test]
fn a_left_seat_is_freed_and_no_one_is_blocked() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    server.login(link, emulator("ss5")).granted();
    server.close(link);
    assert_eq!(server.release(1).unwrap().unwrap(), "released; its seat is free");
    assert!(server.states().is_empty());
    server.login_from(1, emulator("ss5")).granted();
}

#[test]
fn what_is_not_there_can_not_be_released() {
    let mut server = Server::with([license(44).instances(1)]);
    assert_eq!(
        server.release(9).unwrap().unwrap_err().to_string(),
        "bad-request: there is no session 9."
    );
}

#[test]
fn a_new_start_ends_the_block_before_and_after_a_restart() {
    for restart in [false, true] {
        let mut server = Server::with([license(44).instances(1)]);
        server.login_from(1, emulator("ss5")).granted();
        server.release(1).unwrap().unwrap();
        let link = server.link(1);
        let session = server.login(link, emulator("ss5").run(2)).granted().session;
        server.logout(link, session);
        if restart {
            server.restart_after(1_000);
        }
        server.login_from(1, emulator("ss5")).granted();
    }
}

#[test]
fn the_log_says_first_why_and_then_that_it_is_gone() {
    let mut server = Server::with([license(44).instances(1)]);
    server.login_from(1, emulator("ss5")).granted();
    server.effects.clear();
    server.release(1).unwrap().unwrap();
    let order: Vec<&str> = server
        .notes()
        .into_iter()
        .filter_map(|note| match note {
            Note::Revoked(..) => Some("revoked"),
            Note::Disconnected(_) => Some("disconnected"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["revoked", "disconnected"]);
}
