//! COUNTDOWN: the clock runs while at least one session is live, and gives nothing back.

use ve_core::{
    license::Lease,
    node::{event::Event, io::Note},
    reason::ReasonCode,
    time::{HOUR_MS, MINUTE_MS},
};

use crate::harness::{Disk, Outcome, Server, emulator, license};

fn hours_written(server: &Server) -> Vec<u64> {
    let used = |event: &Event| match event {
        Event::HoursUsed { used_ms, .. } => Some(*used_ms),
        _ => None,
    };
    server.events().filter_map(used).collect()
}

#[test]
fn two_emulators_cost_as_much_as_one() {
    let mut server = Server::with([license(44).hours(10).instances(2)]);
    server.pass(HOUR_MS);
    assert_eq!(server.used_ms(), 0, "no one runs");
    let (first, second) = (server.link(1), server.link(2));
    let a = server.login(first, emulator("a")).granted().session;
    server.pass(HOUR_MS);
    let b = server.login(second, emulator("b")).granted().session;
    server.pass(HOUR_MS);
    server.logout(first, a);
    server.pass(HOUR_MS);
    assert_eq!(server.check(second, b).granted().remaining_ms, Some(7 * HOUR_MS));
    server.logout(second, b);
    server.pass(HOUR_MS);
    assert_eq!(server.used_ms(), 3 * HOUR_MS);
}

#[test]
fn the_gap_is_charged_to_who_comes_back() {
    let mut server = Server::with([license(44).hours(10).instances(2)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.pass(5_000);
    server.close(link);
    server.pass(90_000);
    assert_eq!(server.used_ms(), 5_000);
    server.login_from(1, emulator("a").session(session)).granted();
    assert_eq!(server.used_ms(), 95_000);
}

#[test]
fn and_also_when_somebody_else_started_in_it() {
    let mut server = Server::with([license(44).hours(10).instances(2)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.pass(5_000);
    server.close(link);
    server.pass(60_000);
    server.login_from(2, emulator("b")).granted();
    assert_eq!(server.used_ms(), 5_000);
    server.pass(30_000);
    server.login_from(1, emulator("a").session(session)).granted();
    assert_eq!(server.used_ms(), 95_000);
}

#[test]
fn who_does_not_come_back_is_charged_to_its_last_proof_of_life() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    let link = server.link(1);
    server.login(link, emulator("a")).granted();
    server.pass(9_000);
    server.close_silent(link, 4_000);
    server.pass(HOUR_MS);
    assert_eq!(server.used_ms(), 5_000);
}

#[test]
fn at_zero_sessions_are_revoked_and_logins_refused() {
    let mut server = Server::with([license(44).hours(1).instances(2)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.pass(HOUR_MS - 1);
    assert_eq!(server.check(link, session).granted().remaining_ms, Some(1));
    server.pass(1);
    let [(_, _, refusal)] = server.revocations()[..] else { panic!("one revocation") };
    let sentence = "hours-exhausted: the only hour of license 01.00000001.002.044 is used up.";
    assert_eq!(refusal.to_string(), sentence);
    assert_eq!(server.login_from(2, emulator("b")).refused().to_string(), sentence);
    server.restart_after(1_000);
    assert_eq!(server.login_from(2, emulator("b")).code(), ReasonCode::HoursExhausted);
}

#[test]
fn the_last_seconds_are_seconds() {
    let mut server = Server::with([license(44).hours(1).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.pass(HOUR_MS - 3_000);
    server.logout(link, session);
    server.pass(25_000);
    server.login(link, emulator("a").run(2)).granted();
    server.pass(2_999);
    assert_eq!(server.revocations().len(), 0);
    server.pass(1);
    assert_eq!(server.revocations().len(), 1, "not at the next regular look at the clocks");
}

#[test]
fn a_license_with_a_moment_left_and_no_one_on_it_costs_no_attention() {
    let mut server = Server::with([license(44).hours(1).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.pass(HOUR_MS - 1);
    server.logout(link, session);
    let next = server.node.deadline().since_ms(server.now().elapsed);
    server.pass(next);
    assert!(server.node.deadline().since_ms(server.now().elapsed) > 1_000);
}

#[test]
fn a_crash_loses_at_most_a_minute() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    server.login_from(1, emulator("a")).granted();
    for step in 0..200 {
        server.pass(7_000);
        let written = hours_written(&server).last().copied().unwrap_or(0);
        assert!(server.used_ms() - written <= MINUTE_MS, "after {step} steps");
    }
    let before = server.used_ms();
    server.restart_after(HOUR_MS);
    assert!(server.used_ms() >= before - MINUTE_MS);
    assert!(server.used_ms() <= before, "who does not come back is charged nothing");
}

#[test]
fn hours_go_on_in_memory_while_the_disk_is_full() {
    let mut server = Server::with([license(44).hours(1).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.ledger.disk = Disk::Full;
    server.pass(30 * MINUTE_MS);
    assert_eq!(server.check(link, session).granted().marks.hours_used_ms, 30 * MINUTE_MS);
    server.ledger.disk = Disk::Fine;
    server.pass(MINUTE_MS);
    assert!(hours_written(&server).last().is_some_and(|&used| used >= 30 * MINUTE_MS));
    server.ledger.disk = Disk::Full;
    server.pass(30 * MINUTE_MS);
    assert_eq!(server.revocations().len(), 1);
}

#[test]
fn a_new_version_starts_at_zero() {
    let mut server = Server::with([license(44).hours(10).instances(2)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.pass(HOUR_MS);
    server.install([license(44).version(2).hours(5).instances(2)]);
    assert_eq!(server.check(link, session).granted().remaining_ms, Some(5 * HOUR_MS));
    server.pass(HOUR_MS);
    assert_eq!(server.check(link, session).granted().remaining_ms, Some(4 * HOUR_MS));
    let of_first = server.events().filter_map(|event| match event {
        Event::HoursUsed { version: 1, used_ms, .. } => Some(*used_ms),
        _ => None,
    });
    assert_eq!(of_first.last(), Some(HOUR_MS), "the first version's meter stands still");
}

#[test]
fn a_session_that_was_away_during_the_update_is_charged_from_the_update_on() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.pass(60_000);
    server.close(link);
    server.pass(60_000);
    server.install([license(44).version(2).hours(5).instances(1)]);
    server.pass(30_000);
    let grant = server.login_from(1, emulator("a").session(session)).granted();
    assert_eq!(grant.remaining_ms, Some(5 * HOUR_MS - 30_000));
}

#[test]
fn a_session_that_comes_back_after_a_crash_is_charged_from_its_start_on() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    server.pass(HOUR_MS);
    let session = server.login_from(1, emulator("a")).granted().session;
    // Nothing was charged yet.
    server.restart_after(HOUR_MS);
    server.pass(10_000);
    let grant = server.login_from(1, emulator("a").session(session)).granted();
    assert_eq!(grant.marks.hours_used_ms, HOUR_MS + 10_000);
}

#[test]
fn a_takeover_does_not_stop_the_clock_of_the_others() {
    let mut server = Server::with([license(44).hours(10).lease(Lease::Grace).instances(2)]);
    let (first, second) = (server.link(1), server.link(2));
    server.login(first, emulator("a")).granted();
    server.login(second, emulator("b")).granted();
    server.pass(60_000);
    let link = server.link(1);
    server.ask_login(link, emulator("a").run(2));
    server.pass(60_000);
    server.close(first);
    server.close(link);
    server.pass(60_000);
    assert_eq!(server.used_ms(), 180_000);
    server.close(second);
    server.pass(60_000);
    assert_eq!(server.used_ms(), 180_000);
}

#[test]
fn a_check_is_charged_to_the_moment() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.pass(3_000);
    let grant = server.check(link, session).granted();
    assert_eq!(grant.marks.hours_used_ms, 3_000);
    assert_eq!(grant.remaining_ms, Some(10 * HOUR_MS - 3_000));
}

fn low(server: &Server) -> Vec<u64> {
    let low = |note: &&Note| match note {
        Note::HoursLow { remaining_ms, .. } => Some(*remaining_ms),
        _ => None,
    };
    server.notes().iter().filter_map(low).collect()
}

#[test]
fn hours_that_run_low_are_said_once_each() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    server.login_from(1, emulator("a")).granted();
    server.pass(10 * HOUR_MS);
    let expected = [300, 150, 60, 30, 6].map(|minutes| minutes * MINUTE_MS);
    assert_eq!(low(&server).len(), expected.len());
    for (left, threshold) in low(&server).into_iter().zip(expected) {
        assert!((threshold - 10_000..=threshold).contains(&left), "{left} at {threshold}");
    }
}

#[test]
fn a_start_says_once_how_low_they_are() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    server.login_from(1, emulator("a")).granted();
    server.pass(9 * HOUR_MS + 12 * MINUTE_MS);
    server.restart_after(1_000);
    server.pass(MINUTE_MS);
    assert_eq!(low(&server).len(), 1, "at 8 %: not for 50, 25 and 10 %");
    server.install([license(44).version(2).hours(10).instances(1)]);
    server.pass(MINUTE_MS);
    assert_eq!(low(&server).len(), 1, "a new version has hours of its own");
}

#[test]
fn a_license_without_hours_or_validity_says_nothing_of_them() {
    let elsewhere = license(44).hours(1).bound_to(ve_core::id::ServerKey([8; 32]));
    let mut server = Server::with([elsewhere.instances(1), license(45).instances(1)]);
    server.login_from(1, emulator("a")).granted();
    server.pass(HOUR_MS);
    assert_eq!(low(&server), [0; 0]);
}
