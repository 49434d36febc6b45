//! Expiry is judged by a clock that can't be set back, and not fooled by one that is set ahead.

use ve_core::{
    node::io::Note,
    reason::ReasonCode,
    time::{DAY_MS, HOUR_MS},
};

use crate::harness::{Outcome, Server, WALL_AT_START, emulator, license};

const DAY_SECONDS: i64 = 86_400;

fn clock_notes(server: &Server) -> Vec<String> {
    let clock = |note: &&&Note| {
        matches!(note, Note::ClockBehind(_) | Note::ClockAhead(_) | Note::ClockSound)
    };
    server.notes().iter().filter(clock).map(|note| format!("{note:?}")).collect()
}

#[test]
fn a_clock_that_is_set_back_extends_no_license() {
    let expires = WALL_AT_START.plus_seconds(DAY_SECONDS);
    let mut server = Server::with([license(44).expires(expires).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.pass(HOUR_MS);
    server.step_wall_clock(-30 * DAY_SECONDS);
    server.pass(DAY_MS - HOUR_MS - 1);
    server.check(link, session).granted();
    server.pass(1_000);
    assert_eq!(server.revocations().len(), 1);
    assert_eq!(clock_notes(&server), ["ClockBehind(2592000)"], "said once");
}

#[test]
fn nor_does_one_that_is_set_back_while_the_server_is_down() {
    let expires = WALL_AT_START.plus_seconds(DAY_SECONDS);
    let mut server = Server::with([license(44).expires(expires).instances(1)]);
    server.pass(2 * DAY_MS);
    server.step_wall_clock(-30 * DAY_SECONDS);
    server.restart_after(1_000);
    assert_eq!(server.login_from(1, emulator("ss5")).code(), ReasonCode::LicenseExpired);
    server.pass(10_000);
    assert_eq!(clock_notes(&server).len(), 1);
}

#[test]
fn a_clock_far_ahead_counts_while_it_lasts_and_leaves_no_trace() {
    let expires = WALL_AT_START.plus_seconds(90 * DAY_SECONDS);
    let mut server = Server::with([license(44).expires(expires).instances(1)]);
    server.step_wall_clock(400 * DAY_SECONDS);
    server.pass(20_000);
    assert_eq!(server.login_from(1, emulator("ss5")).code(), ReasonCode::LicenseExpired);
    server.step_wall_clock(-400 * DAY_SECONDS);
    server.pass(20_000);
    let grant = server.login_from(1, emulator("ss5")).granted();
    assert_eq!(grant.marks.time, server.now().wall);
    assert_eq!(clock_notes(&server).len(), 2, "{:?}", clock_notes(&server));
}

#[test]
fn a_day_on_it_makes_it_true() {
    let mut server = Server::with([license(44).instances(1)]);
    server.step_wall_clock(400 * DAY_SECONDS);
    server.pass(DAY_MS - 20_000);
    assert!(server.node.time_mark(server.now()) < WALL_AT_START.plus_seconds(2 * DAY_SECONDS));
    server.pass(60_000);
    assert_eq!(server.node.time_mark(server.now()), server.now().wall);
}

#[test]
fn leases_do_not_look_at_the_wall_clock() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.close(link);
    server.step_wall_clock(10 * DAY_SECONDS);
    server.pass(119_000);
    server.step_wall_clock(-20 * DAY_SECONDS);
    server.pass(999);
    server.login_from(1, emulator("ss5").session(session)).granted();
}

#[test]
fn the_last_verdict_stands_until_the_next_look_at_the_clocks() {
    let expires = WALL_AT_START.plus_seconds(90 * DAY_SECONDS);
    let mut server = Server::with([license(44).expires(expires).instances(1)]);
    server.step_wall_clock(400 * DAY_SECONDS);
    server.pass(15_000);
    server.step_wall_clock(-400 * DAY_SECONDS);
    assert_eq!(server.login_from(1, emulator("ss5")).code(), ReasonCode::LicenseExpired);
    server.pass(10_000);
    server.login_from(1, emulator("ss5")).granted();
}
