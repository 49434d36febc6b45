//! Settling: an installation is confirmed when its mark is durable.

use ve_core::reason::ReasonCode;

use crate::harness::{Disk, Outcome, Server, emulator, license};

#[test]
fn with_nothing_under_way_everything_is_settled() {
    let mut server = Server::with([license(44).instances(1)]);
    assert!(server.settle().unwrap().is_ok());
}

#[test]
fn it_waits_for_what_was_decided_before_and_for_nothing_else() {
    let mut server = Server::with([]);
    server.ledger.disk = Disk::Slow;
    server.install([license(44).instances(1)]);
    assert_eq!(server.settle(), None);
    let ticket = server.latest_ticket();
    let link = server.link(1);
    let login = server.ask_login(link, emulator("a"));
    assert!(server.settle_one(true));
    assert!(server.reply_to(ticket).unwrap().is_ok());
    assert_eq!(server.answer(login), None, "decided later, so not waited for");
    server.catch_up();
    server.answer(login).granted();
}

#[test]
fn what_fails_is_told() {
    let mut server = Server::with([]);
    server.ledger.disk = Disk::Slow;
    server.install([license(44).instances(1)]);
    assert_eq!(server.settle(), None);
    let ticket = server.latest_ticket();
    server.settle_one(false);
    let refusal = server.reply_to(ticket).unwrap().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "server-busy: not everything could be written down; it is tried again until it can."
    );
}

#[test]
fn and_so_is_what_has_failed_before_until_it_has_not() {
    let mut server = Server::with([]);
    server.ledger.disk = Disk::Full;
    server.install([license(44).instances(1)]);
    assert_eq!(server.settle().unwrap().unwrap_err().code, ReasonCode::ServerBusy);
    server.ledger.disk = Disk::Fine;
    server.pass(10_000);
    assert!(server.settle().unwrap().is_ok());
}

#[test]
fn a_mark_in_the_reserve_is_durable() {
    let mut server = Server::with([]);
    server.ledger.disk = Disk::Reserve;
    server.install([license(44).version(3).instances(1)]);
    assert!(server.settle().unwrap().is_ok());
    server.restart_after(1_000);
    server.install([license(44).version(2).instances(1)]);
    let late = server.login_from(1, emulator("a"));
    assert_eq!(late.code(), ReasonCode::LicenseVersionRolledBack);
}
