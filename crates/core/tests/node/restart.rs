//! After a restart the holders come first.

use ve_core::{
    license::Lease,
    node::io::{Input, Note},
    reason::ReasonCode,
    time::MINUTE_MS,
};

use crate::harness::{Disk, Outcome, Server, emulator, license, machine, section};

#[test]
fn holders_come_before_newcomers() {
    let mut server = Server::with([license(44).instances(2)]);
    let session = server.login_from(1, emulator("a")).granted().session;
    server.login_from(2, emulator("b")).granted();
    server.restart_after(30 * MINUTE_MS);
    assert_eq!(server.login_from(3, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
    let back = server.login_from(1, emulator("a").session(session)).granted();
    assert_eq!(back.session, session);
    server.pass(120_000);
    server.login_from(3, emulator("newcomer")).granted();
    assert_eq!(server.states(), ["live", "live"], "the other one did not come back");
}

#[test]
fn leases_count_from_ready() {
    let mut server = Server::with([license(44).instances(1)]);
    server.login_from(1, emulator("a")).granted();
    server.kill(1_000);
    server.input(Input::Machine(machine(4)));
    server.announce_licenses();
    server.pass(60 * MINUTE_MS);
    assert_eq!(server.login_from(1, emulator("a")).code(), ReasonCode::ServerBusy);
    assert_eq!(server.states(), ["left"]);
    server.input(Input::Ready);
    server.pass(119_999);
    assert_eq!(server.states(), ["left"]);
    server.pass(1);
    assert!(server.states().is_empty());
}

#[test]
fn a_second_ready_changes_nothing() {
    let mut server = Server::with([license(44).instances(1)]);
    server.login_from(1, emulator("a")).granted();
    server.input(Input::Ready);
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn the_order_in_which_a_start_learns_of_its_surroundings_revokes_no_one() {
    let mut server = Server::with([license(44).instances(1)]);
    server.login_from(1, emulator("a")).granted();
    server.kill(1_000);
    server.announce_licenses();
    server.pass(20_000);
    server.input(Input::Machine(machine(4)));
    server.input(Input::Ready);
    assert_eq!(server.states(), ["left"]);
    server.login_from(1, emulator("a")).granted();
}

#[test]
fn a_license_that_became_invalid_meanwhile_revokes_at_ready() {
    for lease in [Lease::For(120_000), Lease::Grace] {
        let mut server = Server::with([license(44).lease(lease).instances(1)]);
        server.login_from(1, emulator("a")).granted();
        server.kill(1_000);
        server.input(Input::Machine(machine(8)));
        server.announce_licenses();
        server.input(Input::Ready);
        let expected: &[&str] = if lease == Lease::Grace { &["held"] } else { &[] };
        assert_eq!(server.states(), expected);
        server.pass(3 * 60 * MINUTE_MS);
        assert!(server.states().is_empty(), "a reservation has an end");
    }
}

#[test]
fn a_session_whose_license_is_missing_waits_for_it() {
    let mut server = Server::with([license(44).instances(1)]);
    let session = server.login_from(1, emulator("a")).granted().session;
    server.kill(1_000);
    server.input(Input::Machine(machine(4)));
    server.install([]);
    server.input(Input::Ready);
    server.pass(60 * MINUTE_MS);
    let back = server.login_from(1, emulator("a").session(session));
    assert_eq!(back.code(), ReasonCode::LicenseNotAvailable);
    assert_eq!(
        server.release(1).unwrap().unwrap_err().to_string(),
        "bad-request: the session can't be released: its license is not installed, and only that \
         says how long the seat stays reserved; it uses up no seat of another license."
    );
    server.install([license(44).instances(1)]);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
    server.pass(119_999);
    server.login_from(1, emulator("a").session(session)).granted();
}

#[test]
fn what_was_not_durable_did_not_happen() {
    let mut server = Server::with([license(44).instances(1)]);
    let session = server.login_from(1, emulator("a")).granted().session;
    let link = server.link(1);
    server.ledger.disk = Disk::Slow;
    assert_eq!(server.logout(link, session), None);
    server.restart_after(1_000);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
    server.login_from(1, emulator("a").session(session)).granted();
}

#[test]
fn sessions_find_their_section_in_a_version_that_came_while_the_server_was_down() {
    let first = section("FIRST").hardware("X/1").instances(1);
    let second = section("SECOND").instances(1);
    let mut server = Server::with([license(44).with(first.clone()).with(second.clone())]);
    let session = server.login_from(1, emulator("a")).granted().session;
    server.kill(1_000);
    server.input(Input::Machine(machine(4)));
    server.install([license(44).version(2).with(second).with(first)]);
    server.input(Input::Ready);
    let back = server.login_from(1, emulator("a").session(session)).granted();
    assert_eq!((back.session, back.product_code.as_str()), (session, "SECOND"));
}

#[test]
fn a_shrink_that_came_while_the_server_was_down_takes_from_the_newest() {
    for (lease, expected) in
        [(Lease::For(120_000), &["left"][..]), (Lease::Grace, &["left", "held"])]
    {
        let mut server = Server::with([license(44).lease(lease).instances(2)]);
        let oldest = server.login_from(1, emulator("a")).granted().session;
        server.login_from(2, emulator("b")).granted();
        server.kill(1_000);
        server.input(Input::Machine(machine(4)));
        server.install([license(44).version(2).lease(lease).instances(1)]);
        server.input(Input::Ready);
        assert_eq!(server.states(), expected);
        assert_revoked_by_shrink(&server, "b");
        server.login_from(1, emulator("a").session(oldest)).granted();
        server.pass(3 * 60 * MINUTE_MS);
        assert_eq!(server.states(), ["live"]);
    }
}

fn assert_revoked_by_shrink(server: &Server, emulator: &str) {
    assert!(server.notes().iter().any(|note| {
        matches!(note, Note::Revoked(who, refusal)
            if who.emulator.as_str() == emulator && refusal.code == ReasonCode::InstanceLimit)
    }));
}

#[test]
fn ten_thousand_sessions_come_back_without_a_word_to_the_ledger() {
    const HOSTS: u8 = 100;
    const EMULATORS: u32 = 100;
    let of_all = || license(44).hours(1_000).instances(u32::from(HOSTS) * EMULATORS);
    let mut server = Server::with([of_all()]);
    let mut sessions = Vec::new();
    for host in 1..=HOSTS {
        let link = server.link(host);
        for number in 0..EMULATORS {
            let login = emulator(&format!("vm{number}"));
            sessions.push((host, number, server.login(link, login).granted().session));
        }
    }
    server.pass(60_000);
    server.restart_after(30_000);

    let appends = server.ledger.appends;
    let mut link = server.link(1);
    for (at, (host, number, session)) in sessions.into_iter().enumerate() {
        if number == 0 {
            link = server.link(host);
        }
        server.effects.clear();
        let before = server.answered().len();
        let login = emulator(&format!("vm{number}")).session(session);
        assert_eq!(server.login(link, login).granted().session, session);
        assert_eq!(server.answered().len(), before + 1);
        assert_eq!(server.effects.len(), 1, "a line in the log, and nothing else: {at}");
        // In between strangers knock, and find every seat taken.
        if at == 5_000 {
            let stranger = server.login_from(200, emulator("stranger"));
            assert_eq!(stranger.code(), ReasonCode::InstanceLimit);
        }
    }
    assert_eq!(server.ledger.appends, appends + 1, "only the denial was written");
    assert!(server.states().iter().all(|state| *state == "live"));
}
