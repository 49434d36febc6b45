//! Hours while the server is down: who comes back ran on meanwhile.

use ve_core::{
    grant::Grant,
    license::Lease,
    node::event::Event,
    reason::ReasonCode,
    time::{DAY_MS, HOUR_MS, MINUTE_MS},
};

use crate::harness::{LicenseBuilder, Outcome, Server, emulator, license, section};

const DAY_SECONDS: i64 = 86_400;

/// Grace period, heartbeat time-out and lease: nobody runs longer without a server.
const LONGEST_MS: u64 = 2 * HOUR_MS + 6_000 + 2 * MINUTE_MS;

fn hundred_hours() -> LicenseBuilder {
    license(44).hours(100).instances(3)
}

/// A server on which emulator `a` has run for an hour, to the millisecond of the last writing.
fn an_hour_in() -> (Server, Grant) {
    let mut server = Server::with([hundred_hours()]);
    let link = server.link(1);
    let grant = server.login(link, emulator("a")).granted();
    server.pass(HOUR_MS);
    (server, grant)
}

/// What the ledger has on the meter of this license number.
fn written_ms(server: &Server, number: u32) -> u64 {
    let id = license(number).build_id();
    let used = |event: &Event| match event {
        Event::HoursUsed { license_id, used_ms, .. } if *license_id == id => Some(*used_ms),
        _ => None,
    };
    server.events().filter_map(used).last().unwrap_or(0)
}

fn comes_back(server: &mut Server, grant: &Grant) -> u64 {
    let back = server.login_from(1, emulator("a").session(grant.session)).granted();
    back.marks.hours_used_ms
}

#[test]
fn a_process_that_was_down_charges_who_comes_back_to_the_millisecond() {
    let (mut server, grant) = an_hour_in();
    server.restart_after(20 * MINUTE_MS);
    server.pass(7_000);
    assert_eq!(comes_back(&mut server, &grant), HOUR_MS + 20 * MINUTE_MS + 7_000);
}

#[test]
fn and_no_one_if_no_one_comes_back() {
    let (mut server, _) = an_hour_in();
    let written = written_ms(&server, 44);
    server.restart_after(20 * MINUTE_MS);
    server.pass(HOUR_MS);
    assert_eq!(server.used_ms(), written);
    server.login_from(2, emulator("newcomer")).granted();
    server.pass(MINUTE_MS);
    assert_eq!(server.used_ms(), written + MINUTE_MS);
}

#[test]
fn nor_who_takes_over_by_name() {
    let (mut server, _) = an_hour_in();
    let written = written_ms(&server, 44);
    server.restart_after(20 * MINUTE_MS);
    let grant = server.login_from(1, emulator("a").run(2)).granted();
    assert_eq!(grant.marks.hours_used_ms, written);
}

#[test]
fn several_sessions_are_charged_once_whoever_comes_first() {
    let mut server = Server::with([hundred_hours()]);
    let first = server.login_from(1, emulator("a")).granted();
    server.pass(30 * MINUTE_MS);
    let second = server.login_from(2, emulator("b")).granted();
    server.pass(30 * MINUTE_MS);
    server.restart_after(20 * MINUTE_MS);
    server.login_from(2, emulator("b").session(second.session)).granted();
    server.pass(5_000);
    assert_eq!(comes_back(&mut server, &first), HOUR_MS + 20 * MINUTE_MS + 5_000);
}

#[test]
fn a_newcomer_in_between_changes_nothing_for_who_comes_back() {
    let (mut server, grant) = an_hour_in();
    server.restart_after(20 * MINUTE_MS);
    server.pass(7_000);
    server.login_from(2, emulator("newcomer")).granted();
    server.pass(3_000);
    assert_eq!(comes_back(&mut server, &grant), HOUR_MS + 20 * MINUTE_MS + 10_000);
}

#[test]
fn two_licenses_are_charged_each_for_its_own() {
    let other = || license(45).hours(10).with(section("V").hardware("Charon-SSP/4V"));
    let mut server = Server::with([hundred_hours(), other()]);
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    let second = server.login(link, emulator("v").hardware("Charon-SSP/4V")).granted();
    server.pass(HOUR_MS);
    server.logout(link, second.session);
    server.pass(HOUR_MS);
    server.restart_after(MINUTE_MS);
    assert_eq!(comes_back(&mut server, &first), 2 * HOUR_MS + MINUTE_MS);
    let again = server.login_from(2, emulator("v").hardware("Charon-SSP/4V")).granted();
    assert_eq!(again.marks.hours_used_ms, HOUR_MS, "no one ran under it meanwhile");
}

#[test]
fn a_second_restart_before_anyone_came_back_loses_nothing() {
    let (mut server, grant) = an_hour_in();
    server.restart_after(10 * MINUTE_MS);
    server.pass(MINUTE_MS);
    server.restart_after(10 * MINUTE_MS);
    assert_eq!(comes_back(&mut server, &grant), HOUR_MS + 21 * MINUTE_MS);
}

#[test]
fn nor_does_one_right_after_it() {
    let (mut server, grant) = an_hour_in();
    server.restart_after(10 * MINUTE_MS);
    comes_back(&mut server, &grant);
    server.restart_after(MINUTE_MS);
    assert_eq!(comes_back(&mut server, &grant), HOUR_MS + 11 * MINUTE_MS);
}

#[test]
fn after_a_boot_the_wall_clock_says_how_long_it_was() {
    // How wrong it is afterwards, and what is charged for twenty minutes.
    let cases = [
        ("right", 0, 20 * MINUTE_MS),
        ("five minutes fast", 300, 25 * MINUTE_MS),
        ("a day fast", DAY_SECONDS, LONGEST_MS),
        ("a day slow", -DAY_SECONDS, 0),
    ];
    for (clock, error_s, charged_ms) in cases {
        let (mut server, grant) = an_hour_in();
        let written = written_ms(&server, 44);
        server.reboot_after(20 * MINUTE_MS, error_s);
        let used = comes_back(&mut server, &grant);
        let (least, most) = match error_s {
            // The time mark says that it is not earlier than it was ten minutes before the crash.
            ..0 => (written, HOUR_MS + 20 * MINUTE_MS),
            _ => (written + charged_ms, HOUR_MS + charged_ms),
        };
        assert!((least..=most).contains(&used), "{clock}: {used}");
    }
}

#[test]
fn a_clock_that_was_wrong_before_the_boot_charges_no_more_than_a_client_can_run() {
    for error_s in [-DAY_SECONDS, DAY_SECONDS] {
        let mut server = Server::with([hundred_hours()]);
        let grant = server.login_from(1, emulator("a")).granted();
        server.step_wall_clock(error_s);
        server.pass(HOUR_MS);
        server.reboot_after(MINUTE_MS, -error_s);
        let used = comes_back(&mut server, &grant);
        assert!((HOUR_MS - MINUTE_MS..=HOUR_MS + LONGEST_MS).contains(&used), "{used}");
    }
}

#[test]
fn a_boot_that_takes_days_charges_no_more_than_a_client_can_run() {
    let (mut server, grant) = an_hour_in();
    let written = written_ms(&server, 44);
    server.reboot_after(5 * DAY_MS, 0);
    server.pass(10_000);
    assert_eq!(comes_back(&mut server, &grant), written + LONGEST_MS);
}

#[test]
fn who_uses_up_the_hours_while_the_server_is_down_is_refused_with_all_the_others() {
    for lease in [Lease::For(120_000), Lease::Grace] {
        let mut server = Server::with([license(44).hours(1).lease(lease).instances(2)]);
        let grant = server.login_from(1, emulator("a")).granted();
        server.login_from(2, emulator("b")).granted();
        server.pass(50 * MINUTE_MS);
        server.restart_after(30 * MINUTE_MS);
        let late = server.login_from(1, emulator("a").session(grant.session));
        assert_eq!(late.code(), ReasonCode::HoursExhausted);
        assert_eq!(server.used_ms(), HOUR_MS, "charged up to the limit");
        let held: &[&str] = if lease == Lease::Grace { &["held", "held"] } else { &[] };
        assert_eq!(server.states(), held);
        server.pass(10_000);
        assert_eq!(written_ms(&server, 44), HOUR_MS);
    }
}

#[test]
fn a_gap_without_a_restart_ends_at_the_limit_as_well() {
    let mut server = Server::with([license(44).hours(1).instances(2)]);
    let link = server.link(1);
    let grant = server.login(link, emulator("a")).granted();
    server.pass(HOUR_MS - 30_000);
    server.close(link);
    server.pass(60_000);
    let late = server.login_from(1, emulator("a").session(grant.session));
    assert_eq!(late.code(), ReasonCode::HoursExhausted);
    assert_eq!((server.used_ms(), server.states().len()), (HOUR_MS, 0));
}

#[test]
fn an_idle_meter_is_not_charged_for_the_time_before_it_began() {
    let mut server = Server::with([hundred_hours()]);
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    server.pass(HOUR_MS);
    server.logout(link, first.session);
    server.pass(DAY_MS);
    let second = server.login(link, emulator("a").run(2)).granted();
    server.pass(5_000);
    server.restart_after(10_000);
    let back = server.login_from(1, emulator("a").run(2).session(second.session)).granted();
    assert_eq!(back.marks.hours_used_ms, HOUR_MS + 15_000);
}

#[test]
fn a_restart_alone_writes_nothing_to_the_meter() {
    let (mut server, _) = an_hour_in();
    let written = server.events().filter(|e| matches!(e, Event::HoursUsed { .. })).count();
    server.restart_after(MINUTE_MS);
    server.pass(30 * MINUTE_MS);
    let after = server.events().filter(|e| matches!(e, Event::HoursUsed { .. })).count();
    assert_eq!(after, written);
}

#[test]
fn a_long_gap_is_written_at_once() {
    let (mut server, grant) = an_hour_in();
    server.restart_after(20 * MINUTE_MS);
    let link = server.link(1);
    let back = server.login(link, emulator("a").session(grant.session)).granted();
    server.pass(1);
    server.logout(link, back.session);
    server.restart_after(1_000);
    assert!(server.used_ms() >= HOUR_MS + 20 * MINUTE_MS);
}
