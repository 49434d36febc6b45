//! What a grant promises is durable before it is said.

use ve_core::{
    license::Lease,
    node::event::Event,
    time::{HOUR_MS, MINUTE_MS},
};

use crate::harness::{Disk, LicenseBuilder, Outcome, Server, emulator, license};

const GRACE_MS: u64 = 20 * MINUTE_MS;

fn strict(version: u32, grace_ms: u64) -> LicenseBuilder {
    license(44).version(version).lease(Lease::Grace).grace_ms(grace_ms).instances(1)
}

fn promises(server: &Server) -> usize {
    server.events().filter(|event| matches!(event, Event::SessionPromised { .. })).count()
}

#[test]
fn a_check_that_promises_more_waits_for_the_ledger() {
    let updates = [
        ("a longer grace period", strict(2, 2 * HOUR_MS)),
        ("a longer lease", license(44).version(2).lease(Lease::For(5 * HOUR_MS)).instances(1)),
    ];
    for (how, update) in updates {
        let mut server = Server::with([strict(1, GRACE_MS)]);
        let link = server.link(1);
        let session = server.login(link, emulator("a")).granted().session;
        server.install([update]);
        server.ledger.disk = Disk::Slow;
        let request = server.ask(link, ve_core::node::io::Ask::Check(session));
        assert_eq!(server.answer(request), None, "{how}");
        server.catch_up();
        let promised_ms = server.answer(request).granted().lease_ms;
        // Whatever is installed after a restart.
        server.kill(1_000);
        server.start_with([license(44).version(3).lease(Lease::For(1_000)).instances(1)]);
        server.pass(promised_ms - 1);
        assert_eq!(server.states().len(), 1, "{how}");
        server.pass(1);
        assert!(server.states().is_empty(), "{how}");
    }
}

#[test]
fn once_is_enough() {
    let mut server = Server::with([strict(1, GRACE_MS)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.install([strict(2, HOUR_MS)]);
    for _ in 0..3 {
        server.check(link, session).granted();
    }
    assert_eq!(promises(&server), 1);
    server.install([strict(3, GRACE_MS)]);
    server.check(link, session).granted();
    assert_eq!(promises(&server), 1, "a shorter one promises nothing more");
}

#[test]
fn who_comes_back_after_an_update_is_promised_as_much() {
    let mut server = Server::with([strict(1, GRACE_MS)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.close(link);
    server.install([strict(2, HOUR_MS)]);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    let request = server.ask_login(link, emulator("a").session(session));
    assert_eq!(server.answer(request), None);
    server.catch_up();
    assert_eq!(server.answer(request).granted().grace_ms, HOUR_MS);
}

#[test]
fn a_session_that_ended_meanwhile_is_promised_nothing() {
    let mut server = Server::with([strict(1, GRACE_MS)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.install([strict(2, HOUR_MS)]);
    server.ledger.disk = Disk::Slow;
    let request = server.ask(link, ve_core::node::io::Ask::Check(session));
    server.logout(link, session);
    server.catch_up();
    assert_eq!(
        server.answer(request).refused().sentence,
        "this session is not known on this link; log in again."
    );
}

#[test]
fn a_disk_that_is_full_holds_up_no_check_and_no_one_is_promised_more() {
    let mut server = Server::with([strict(1, GRACE_MS)]);
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    server.install([strict(2, HOUR_MS)]);
    server.ledger.disk = Disk::Full;
    let grant = server.check(link, first.session).granted();
    assert_eq!((grant.lease_ms, grant.grace_ms), (first.lease_ms, GRACE_MS));
    server.ledger.disk = Disk::Fine;
    let grant = server.check(link, first.session).granted();
    assert_eq!(grant.grace_ms, HOUR_MS);
}

#[test]
fn a_seat_that_is_left_already_stays_reserved_as_long_as_a_new_version_says() {
    let mut server = Server::with([license(44).grace_ms(GRACE_MS).instances(1)]);
    let link = server.link(1);
    server.login(link, emulator("a")).granted();
    server.close(link);
    server.pass(MINUTE_MS);
    server.install([strict(2, GRACE_MS)]);
    server.pass(GRACE_MS - MINUTE_MS);
    assert_eq!(server.states(), ["left"], "its client may run on, and the new version counts that");
    server.pass(MINUTE_MS);
    assert!(server.states().is_empty());
}
