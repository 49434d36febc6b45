//! The disk is full: no one new gets in, no one who is in is put out, and it heals by itself.

use ve_core::{
    node::{
        event::{CloseCause, Event},
        io::Note,
    },
    reason::ReasonCode,
};

use crate::harness::{Disk, Outcome, Server, emulator, license};

#[test]
fn a_login_that_can_not_be_made_durable_is_refused() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Full;
    assert_eq!(
        server.login_from(1, emulator("ss5")).refused().to_string(),
        "server-busy: the ledger can't be written: no space left on device; no seat was taken."
    );
    assert!(server.states().is_empty());
    assert_eq!(server.node.denials().count(), 1);
    server.ledger.disk = Disk::Fine;
    server.login_from(2, emulator("other")).granted();
}

#[test]
fn running_sessions_go_on() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.ledger.disk = Disk::Full;
    server.pass(60_000);
    server.check(link, session).granted();
    server.close(link);
    server.login_from(1, emulator("ss5").session(session)).granted();
}

#[test]
fn an_end_is_tried_again_until_it_is_durable() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.ledger.disk = Disk::Full;
    assert_eq!(
        server.logout(link, session).refused().to_string(),
        "server-busy: the ledger can't be written: no space left on device; \
         the seat becomes free when it can."
    );
    server.pass(30_000);
    assert_eq!(server.states(), ["closing"], "the ledger still believes in its seat");
    server.ledger.disk = Disk::Fine;
    server.pass(10_000);
    assert!(server.states().is_empty());
    let closed = server
        .events()
        .filter(|event| matches!(event, Event::SessionClosed { cause: CloseCause::LoggedOut, .. }));
    assert_eq!(closed.count(), 1);
}

#[test]
fn trouble_and_recovery_are_noted_once() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Full;
    for host in 1..=5 {
        server.login_from(host, emulator("ss5")).refused();
    }
    server.pass(120_000);
    let failed = |server: &Server| {
        server.notes().into_iter().filter(|note| matches!(note, Note::LedgerFailed(_))).count()
    };
    let recovered = |server: &Server| {
        server.notes().into_iter().filter(|note| matches!(note, Note::LedgerRecovered)).count()
    };
    assert_eq!((failed(&server), recovered(&server)), (1, 0));
    server.ledger.disk = Disk::Fine;
    server.pass(10_000);
    assert_eq!((failed(&server), recovered(&server)), (1, 1));
    server.pass(600_000);
    assert_eq!((failed(&server), recovered(&server)), (1, 1));
}

#[test]
fn a_takeover_that_fails_leaves_the_seat_reserved_as_it_was() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.close(link);
    server.pass(100_000);
    server.ledger.disk = Disk::Full;
    assert_eq!(server.login_from(1, emulator("ss5").run(2)).code(), ReasonCode::ServerBusy);
    assert_eq!(server.states(), ["left"]);
    let reserved_ms = server.node.sessions(server.now()).next().unwrap().reserved_ms;
    assert_eq!(reserved_ms, Some(20_000), "no new lease for a login that came to nothing");
    server.login_from(1, emulator("ss5").session(session)).granted();
}

#[test]
fn an_end_that_a_successor_overtook_is_not_written_again() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.ledger.disk = Disk::Full;
    server.logout(link, session).refused();
    server.ledger.disk = Disk::Fine;
    server.login_from(1, emulator("ss5").run(2)).granted();
    server.pass(60_000);
    assert_eq!(server.states(), ["live"]);
    assert!(!server.events().any(|event| matches!(event, Event::SessionClosed { .. })));
}

#[test]
fn a_successor_that_fails_leaves_the_end_of_its_predecessor_to_be_written() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.ledger.disk = Disk::Full;
    server.logout(link, session).refused();
    server.login_from(1, emulator("ss5").run(2)).refused();
    assert_eq!(server.states(), ["closing"]);
    server.ledger.disk = Disk::Fine;
    server.pass(10_000);
    assert!(server.states().is_empty());
    server.login_from(2, emulator("other")).granted();
}

#[test]
fn a_block_holds_although_it_could_not_be_written_yet() {
    let mut server = Server::with([license(44).instances(1)]);
    server.login_from(1, emulator("ss5")).granted();
    server.ledger.disk = Disk::Full;
    let reply = server.release(1).unwrap().unwrap_err();
    assert_eq!(reply.code, ReasonCode::ServerBusy);
    let again = server.login_from(1, emulator("ss5"));
    assert_eq!(again.code(), ReasonCode::ReleasedByAdministrator);
    server.ledger.disk = Disk::Fine;
    server.pass(10_000);
    server.restart_after(1_000);
    let again = server.login_from(1, emulator("ss5"));
    assert_eq!(again.code(), ReasonCode::ReleasedByAdministrator);
}

#[test]
fn a_late_version_mark_lowers_none() {
    let mut server = Server::with([]);
    server.ledger.disk = Disk::Full;
    server.install([license(44).instances(1)]);
    server.ledger.disk = Disk::Fine;
    // Version 2 is written at once, and version 1 after it, at the next try.
    server.install([license(44).version(2).instances(1)]);
    server.install([license(44).instances(1)]);
    let rolled_back = server.login_from(1, emulator("ss5"));
    assert_eq!(rolled_back.code(), ReasonCode::LicenseVersionRolledBack);
}

#[test]
fn a_disk_that_is_full_is_not_asked_to_remember_denials() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Full;
    server.login_from(1, emulator("ss5")).refused();
    server.ledger.disk = Disk::Slow;
    server.login_from(1, emulator("ss5").cpus(99)).refused();
    assert!(server.ledger.waiting.is_empty());
    assert_eq!(server.node.denials().count(), 2, "memory has room for them");
}

#[test]
fn a_reserve_keeps_the_hours_while_the_ledger_takes_nothing() {
    let mut server = Server::with([license(44).hours(10).instances(2)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.ledger.disk = Disk::Reserve;
    server.pass(30 * 60_000);
    assert_eq!(server.login_from(2, emulator("b")).code(), ReasonCode::ServerBusy);
    let ledger_position = server.check(link, session).granted().marks.ledger_position;
    let last = server.ledger.durable.last().map(|record| record.position);
    assert_eq!(Some(ledger_position), last, "only what is in the ledger is in its position");
    server.restart_after(1_000);
    assert!(server.used_ms() >= 29 * 60_000, "and so they survive a crash");
}

#[test]
fn a_reserve_is_no_recovery() {
    let mut server = Server::with([license(44).hours(10).instances(2)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.ledger.disk = Disk::Reserve;
    // Marks go to the reserve, an end does not: neither is news after the first.
    server.logout(link, session).refused();
    server.pass(10 * 60_000);
    server.ledger.disk = Disk::Full;
    server.pass(60_000);
    server.ledger.disk = Disk::Reserve;
    server.pass(60_000);
    assert_eq!(ledger_notes(&server), ["failed"]);
    server.ledger.disk = Disk::Fine;
    server.pass(10_000);
    assert_eq!(ledger_notes(&server), ["failed", "recovered"]);
    assert!(server.states().is_empty(), "the end was tried again all the time");
}

#[test]
fn a_ledger_that_fails_with_a_mark_first_is_noted_too() {
    let mut server = Server::with([license(44).hours(10).instances(1)]);
    server.login_from(1, emulator("a")).granted();
    server.ledger.disk = Disk::Reserve;
    server.pass(60_000);
    assert_eq!(ledger_notes(&server), ["failed"]);
}

fn ledger_notes(server: &Server) -> Vec<&'static str> {
    let state = |note: &&Note| match note {
        Note::LedgerFailed(_) => Some("failed"),
        Note::LedgerRecovered => Some("recovered"),
        _ => None,
    };
    server.notes().iter().filter_map(state).collect()
}
