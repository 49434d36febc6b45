//! Witnesses: what this server signed for a client counts, whatever its ledger says.

use ve_core::{
    grant::{Grant, Marks, Witness},
    id::SessionId,
    license::Lease,
    node::{
        event::Event,
        io::{Note, RaisedMark},
    },
    reason::ReasonCode,
    time::{DAY_MS, HOUR_MS, MINUTE_MS, Utc},
};

use crate::harness::{Disk, LicenseBuilder, Outcome, Server, emulator, license, witness};

fn ten_hours() -> LicenseBuilder {
    license(44).hours(10).instances(2)
}

fn raised(server: &Server) -> Vec<RaisedMark> {
    let raised = |note: &&Note| match note {
        Note::MarkRaised(mark) => Some(mark.clone()),
        _ => None,
    };
    server.notes().iter().filter_map(raised).collect()
}

/// A grant whose marks are these.
fn grant_with(server: &Server, change: impl FnOnce(&mut Marks)) -> Witness {
    let mut marks = Marks {
        license_version: 1,
        time: server.node.time_mark(server.now()),
        ledger_position: 0,
        hours_used_ms: 0,
    };
    change(&mut marks);
    let license_id = license(44).build_id();
    Witness { session: SessionId([9; 16]), license_id, lease_ms: 120_000, marks }
}

#[test]
fn a_restored_home_works_at_once_and_has_gained_no_hours() {
    let mut server = Server::with([ten_hours()]);
    let backup = server.backup();
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    server.pass(6 * HOUR_MS);
    let last = server.check(link, first.session).granted();
    server.pass(2 * MINUTE_MS);
    server.restore(backup);

    let back = server.login_from(1, emulator("a").back_with(&last)).granted();
    assert_eq!(
        back.marks.hours_used_ms,
        6 * HOUR_MS,
        "short by what was used since its last check"
    );
    assert_eq!(back.remaining_ms, Some(4 * HOUR_MS));
    let marks = raised(&server);
    assert!(
        matches!(marks[..], [RaisedMark::LedgerPosition { .. }, RaisedMark::HoursUsed { .. }, ..]),
        "{marks:?}"
    );
    assert_eq!(server.node.marks_raised(), marks.len() as u64);
    assert_eq!(server.node.holders_unknown_ms(server.now()), None, "no license asks for it");
    server.login_from(2, emulator("newcomer")).granted();
}

/// A session that comes back is answered at once, before anything is written down.
#[test]
fn no_grant_is_a_weaker_witness_than_the_one_that_was_shown() {
    let mut server = Server::with([ten_hours()]);
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    let backup = server.backup();
    server.pass(6 * HOUR_MS);
    let last = server.check(link, first.session).granted();
    server.restore(backup);

    let back = server.login_from(1, emulator("a").back_with(&last)).granted();
    assert_eq!(back.session, first.session, "its own session, which the old ledger knows");
    let (shown, now) = (last.marks.ledger_position, back.marks.ledger_position);
    assert!(now >= shown, "{now} is weaker than {shown}");
}

#[test]
fn what_was_shown_is_durable() {
    let mut server = Server::with([ten_hours()]);
    let later = server.now().wall.plus_seconds(30 * 86_400);
    let shown = grant_with(&server, |marks| {
        *marks = Marks {
            license_version: 4,
            time: later,
            ledger_position: 5_000,
            hours_used_ms: 3 * HOUR_MS,
        };
    });
    server.login_from(1, emulator("a").showing_witness(shown)).refused();
    assert_eq!(server.node.marks_raised(), 4);
    server.restart_after(1_000);
    server.login_from(1, emulator("a")).refused();
    assert_eq!(server.node.marks_raised(), 0, "the ledger knows it now");
    let remembered = server.ledger.remember();
    assert!(remembered.position > 5_000);
    assert!(remembered.time_mark >= Some(later));
    let id = license(44).build_id();
    assert_eq!(remembered.versions[&id], 4);
    assert_eq!(remembered.meters[&(id, 4)].used_ms, 3 * HOUR_MS);
}

#[test]
fn every_mark_counts_for_itself() {
    type Change = fn(&mut Marks);
    let cases: [(&str, Change, bool); 6] = [
        ("none is higher", |_| {}, false),
        ("license version", |marks| marks.license_version = 2, true),
        ("hours", |marks| marks.hours_used_ms = 2 * HOUR_MS, true),
        ("hours, as a crash loses them", |marks| marks.hours_used_ms = 50_000, false),
        ("time", |marks| marks.time = marks.time.plus_seconds(3_600), true),
        ("ledger position", |marks| marks.ledger_position = 99, true),
    ];
    for (what, change, told) in cases {
        let mut server = Server::with([ten_hours()]);
        let shown = grant_with(&server, change);
        let hours = shown.marks.hours_used_ms;
        server.login_from(1, emulator("a").showing_witness(shown));
        assert_eq!(raised(&server).len(), usize::from(told), "{what}");
        assert_eq!(server.used_ms(), hours, "{what}");
    }
}

#[test]
fn a_server_that_only_crashed_says_nothing() {
    let mut server = Server::with([ten_hours()]);
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    server.pass(9 * MINUTE_MS + 35_000);
    let last = server.check(link, first.session).granted();
    server.restart_after(10_000);
    let back = server.login_from(1, emulator("a").back_with(&last)).granted();
    assert_eq!(back.marks.hours_used_ms, 9 * MINUTE_MS + 45_000, "and charges no second twice");
    assert_eq!(raised(&server), []);
}

#[test]
fn an_installed_version_below_the_mark_is_rolled_back() {
    let mut server = Server::with([license(44).version(2).instances(3)]);
    let shown = server.login_from(1, emulator("a")).granted();
    server.ledger.durable.clear();
    server.kill(1_000);
    server.start_with([license(44).version(1).instances(3)]);
    let other = server.link(2);
    let session = server.login(other, emulator("b")).granted().session;
    server.effects.clear();
    let late = server.login_from(1, emulator("a").back_with(&shown));
    assert_eq!(
        late.refused().to_string(),
        "license-version-rolled-back: license 01.00000001.002.044 has version 1, but version 2 \
         was installed here before."
    );
    let [(link, revoked, refusal)] = server.revocations()[..] else { panic!("one revocation") };
    assert_eq!((link, revoked), (other, session));
    assert_eq!(refusal.code, ReasonCode::LicenseVersionRolledBack);
}

#[test]
fn hours_of_a_license_that_is_not_installed_count_when_it_is() {
    let mut server = Server::with([license(45).instances(1)]);
    let shown = grant_with(&server, |marks| marks.hours_used_ms = 10 * HOUR_MS);
    server.login_from(1, emulator("a").showing_witness(shown)).granted();
    server.install([ten_hours(), license(45).instances(1)]);
    let exhausted = server.node.licenses(server.now()).next().unwrap().standing.clone();
    assert_eq!(exhausted.unwrap_err().code, ReasonCode::HoursExhausted);
}

#[test]
fn used_up_hours_revoke_who_runs() {
    let mut server = Server::with([ten_hours()]);
    server.login_from(1, emulator("a")).granted();
    let shown = grant_with(&server, |marks| marks.hours_used_ms = 10 * HOUR_MS);
    let late = server.login_from(2, emulator("b").showing_witness(shown));
    assert_eq!(late.code(), ReasonCode::HoursExhausted);
    assert_eq!(server.revocations()[0].2.code, ReasonCode::HoursExhausted);
}

#[test]
fn a_date_that_has_passed_expires() {
    let expires = Utc(crate::harness::WALL_AT_START.0 + 86_400);
    let mut server = Server::with([license(44).expires(expires).instances(2)]);
    let link = server.link(1);
    let backup = server.backup();
    let last = server.login(link, emulator("a")).granted();
    server.pass(DAY_MS - MINUTE_MS);
    let last = server.check(link, last.session).granted();
    // Yesterday's ledger, and yesterday's clock.
    server.step_wall_clock(-86_400);
    server.restore(backup);
    server.login_from(1, emulator("a").back_with(&last)).granted();
    server.pass(MINUTE_MS);
    assert_eq!(server.login_from(2, emulator("b")).code(), ReasonCode::LicenseExpired);
}

#[test]
fn a_probe_raises_nothing() {
    let mut server = Server::with([ten_hours()]);
    let shown = grant_with(&server, |marks| marks.license_version = 7);
    let link = server.link(1);
    server.probe(link, emulator("a").showing_witness(shown)).granted();
    assert_eq!(server.node.marks_raised(), 0);
}

#[test]
fn a_mark_counts_although_it_could_not_be_written_yet() {
    let mut server = Server::with([ten_hours()]);
    let shown = grant_with(&server, |marks| {
        marks.license_version = 2;
        marks.ledger_position = 700;
    });
    server.ledger.disk = Disk::Full;
    server.login_from(1, emulator("a").showing_witness(shown.clone())).refused();
    assert_eq!(server.login_from(2, emulator("b")).code(), ReasonCode::LicenseVersionRolledBack);
    server.ledger.disk = Disk::Fine;
    server.pass(10_000);
    server.restart_after(1_000);
    server.login_from(1, emulator("a").showing_witness(shown)).refused();
    assert_eq!(server.node.marks_raised(), 0, "tried again until it was");
}

#[test]
fn a_later_witness_raises_further_and_an_earlier_one_nothing() {
    let mut server = Server::with([ten_hours()]);
    let at = |server: &Server, hours: u64| {
        grant_with(server, |marks| {
            marks.hours_used_ms = hours * HOUR_MS;
            marks.ledger_position = 100 * hours;
        })
    };
    for (hours, expected) in [(2, 2), (1, 2), (3, 4), (3, 4)] {
        let shown = at(&server, hours);
        server.login_from(1, emulator("a").run(1).showing_witness(shown));
        assert_eq!(server.node.marks_raised(), expected, "{hours}");
    }
    let hours = server.events().filter_map(|event| match event {
        Event::HoursUsed { used_ms, .. } => Some(*used_ms),
        _ => None,
    });
    assert!(hours.is_sorted(), "no mark goes back");
}

#[test]
fn who_comes_back_to_a_session_of_the_backup_is_charged_for_no_moment_twice() {
    let mut server = Server::with([ten_hours().lease(Lease::Grace)]);
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    server.pass(HOUR_MS);
    let backup = server.backup();
    server.pass(4 * HOUR_MS);
    let last: Grant = server.check(link, first.session).granted();
    server.pass(10 * MINUTE_MS);
    server.restore(backup);
    assert_eq!(witness(&last).marks.hours_used_ms, 5 * HOUR_MS);
    let back = server.login_from(1, emulator("a").back_with(&last)).granted();
    let used = back.marks.hours_used_ms;
    // One second for the restart; the time mark counts whole seconds.
    let expected = 5 * HOUR_MS + 10 * MINUTE_MS + 1_000;
    assert!((expected..=expected + 1_000).contains(&used), "{used}");
}

#[test]
fn a_clock_that_was_set_back_hides_no_older_ledger() {
    let mut server = Server::with([license(44).instances(3)]);
    let backup = server.backup();
    server.pass(HOUR_MS);
    let last = server.login_from(1, emulator("a")).granted();
    server.step_wall_clock(-86_400);
    server.restore(backup);
    // The older ledger becomes as long as the newer was.
    for _ in 0..20 {
        let link = server.link(2);
        let session = server.login(link, emulator("b")).granted().session;
        server.logout(link, session);
    }
    server.login_from(1, emulator("a").back_with(&last)).granted();
    let told = raised(&server);
    let position = |mark: &&RaisedMark| matches!(mark, RaisedMark::LedgerPosition { .. });
    assert_eq!(told.iter().filter(position).count(), 1, "{told:?}");
}
