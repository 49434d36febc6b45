//! Things that happen while a session is still being written down.

use ve_core::{license::Lease, reason::ReasonCode};

use crate::harness::{Disk, Outcome, Server, WALL_AT_START, emulator, license, section};

/// A server that is about to write down session 1 of emulator `ss5`, with `happens` in between.
fn meanwhile(lease: Lease, happens: impl FnOnce(&mut Server)) -> (Server, ReasonCode) {
    let start = || license(44).lease(lease);
    let mut server = Server::with([start().with(section("A").hardware("X/1")).instances(1)]);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5"));
    happens(&mut server);
    server.catch_up();
    let code = server.answer(request).code();
    (server, code)
}

#[test]
fn a_session_that_is_revoked_before_it_is_durable_is_never_granted() {
    let expired = license(44).version(2).expires(WALL_AT_START).instances(1);
    for lease in [Lease::For(120_000), Lease::Grace] {
        let other = section("A").hardware("X/1");
        let cases = [
            (vec![], ReasonCode::LicenseNotAvailable),
            (vec![expired.clone()], ReasonCode::LicenseExpired),
            (vec![license(44).version(2).with(other)], ReasonCode::HardwareNotLicensed),
        ];
        for (licenses, expected) in cases {
            let (server, code) = meanwhile(lease, |server| server.install(licenses));
            assert_eq!(code, expected);
            assert!(server.states().is_empty(), "no one was told of it, so no one runs");
            assert!(server.revocations().is_empty());
        }
    }
}

#[test]
fn a_shrink_takes_the_newest_that_is_being_written_down() {
    let mut server = Server::with([license(44).instances(3)]);
    server.login_from(1, emulator("ss5")).granted();
    server.ledger.disk = Disk::Slow;
    let (second, third) = (server.link(2), server.link(3));
    let second = server.ask_login(second, emulator("ss5"));
    let third = server.ask_login(third, emulator("ss5"));
    server.install([license(44).version(2).instances(2)]);
    server.catch_up();
    server.answer(second).granted();
    assert_eq!(server.answer(third).code(), ReasonCode::InstanceLimit);
    assert_eq!(server.states(), ["live", "live"]);
}

#[test]
fn an_update_that_covers_it_grants_under_the_new_version() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5"));
    server.install([license(44).version(2).instances(1)]);
    server.catch_up();
    assert_eq!(server.answer(request).granted().marks.license_version, 2);
}

#[test]
fn a_failed_takeover_gives_back_only_a_seat_that_is_still_there() {
    let mut server = Server::with([license(44).instances(2)]);
    server.login_from(1, emulator("a")).granted();
    let link = server.link(2);
    let session = server.login(link, emulator("b")).granted().session;
    server.close(link);
    server.ledger.disk = Disk::Slow;
    let link = server.link(2);
    let request = server.ask_login(link, emulator("b").run(2));
    // The newest is the successor; when it fails, its predecessor is one too many as well.
    server.install([license(44).version(2).instances(1)]);
    server.settle_one(false);
    assert_eq!(server.answer(request).code(), ReasonCode::ServerBusy);
    server.catch_up();
    assert_eq!(server.states(), ["live"]);
    let back = server.login(link, emulator("b").session(session));
    assert_eq!(back.code(), ReasonCode::InstanceLimit);
}

#[test]
fn a_login_that_waits_gets_its_chance_when_the_first_fails() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Slow;
    let (first, second) = (server.link(1), server.link(1));
    let first = server.ask_login(first, emulator("ss5"));
    let second = server.ask_login(second, emulator("ss5").run(2));
    server.settle_one(false);
    assert_eq!(server.answer(first).code(), ReasonCode::ServerBusy);
    server.catch_up();
    server.answer(second).granted();
}

#[test]
fn a_session_that_is_being_written_down_can_not_be_released() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    server.ask_login(link, emulator("ss5"));
    assert_eq!(
        server.release(1).unwrap().unwrap_err().to_string(),
        "bad-request: the session can't be released: it is just being opened; try again."
    );
}

#[test]
fn who_is_as_good_as_refused_costs_no_one_else_their_seat() {
    let mut server = Server::with([license(44).instances(3)]);
    server.login_from(1, emulator("ss5")).granted();
    server.ledger.disk = Disk::Slow;
    let login = |server: &mut Server, host| {
        let link = server.link(host);
        server.ask_login(link, emulator("ss5"))
    };
    let second = login(&mut server, 2);
    let third = login(&mut server, 3);
    server.install([license(44).version(2).instances(2)]);
    server.install([license(44).version(3).instances(4)]);
    let fourth = login(&mut server, 4);
    server.install([license(44).version(4).instances(3)]);
    server.catch_up();
    server.answer(second).granted();
    assert_eq!(server.answer(third).code(), ReasonCode::InstanceLimit);
    server.answer(fourth).granted();
    assert_eq!(server.states(), ["live", "live", "live"]);
}
