//! `lease = "grace"`: a seat stays reserved until its holder can't be running any more.

use ve_core::{
    fingerprint::Component,
    license::Lease,
    node::io::Input,
    reason::ReasonCode,
    time::{HOUR_MS, MINUTE_MS},
};

use crate::harness::{
    Disk, HEARTBEAT_TIMEOUT_MS, LicenseBuilder, Outcome, Server, emulator, license, machine,
};

const GRACE_MS: u64 = 20 * MINUTE_MS;

/// Heartbeat time-out, grace period, and 1 % for clocks that run differently.
const RESERVED_MS: u64 = (HEARTBEAT_TIMEOUT_MS + GRACE_MS) / 100 * 101;

fn strict(instances: u32) -> LicenseBuilder {
    license(44).lease(Lease::Grace).grace_ms(GRACE_MS).instances(instances)
}

/// The seat is reserved for exactly `RESERVED_MS` from now on.
fn assert_reserved(server: &mut Server) {
    server.pass(RESERVED_MS - 1);
    assert_eq!(server.states().len(), 1, "reserved until its client has stopped for certain");
    server.pass(1);
    assert!(server.states().is_empty(), "and not longer");
}

#[test]
fn nothing_but_a_logout_frees_a_seat_sooner() {
    type Loss = fn(&mut Server);
    let losses: [(&str, Loss); 5] = [
        ("released by the administrator", |server| {
            server.release(1).unwrap().unwrap();
        }),
        ("license removed", |server| server.install([])),
        ("machine changed", |server| server.input(Input::Machine(machine(8)))),
        ("section gone", |server| {
            let other = crate::harness::section("B").hardware("X/1");
            let next = license(44).version(2).lease(Lease::Grace).grace_ms(GRACE_MS).with(other);
            server.install([next]);
        }),
        ("link lost", |server| {
            let link = server.node.sessions(server.now()).count();
            assert_eq!(link, 1);
            server.close(ve_core::id::LinkId(1));
        }),
    ];
    for (how, lose) in losses {
        let mut server = Server::with([strict(1)]);
        let link = server.link(1);
        assert_eq!(link.0, 1);
        server.login(link, emulator("ss5")).granted();
        lose(&mut server);
        assert_eq!(server.states().len(), 1, "{how}");
        assert_reserved(&mut server);
    }
}

#[test]
fn a_left_seat_can_not_be_released() {
    let mut server = Server::with([strict(1)]);
    let link = server.link(1);
    server.login(link, emulator("ss5")).granted();
    server.close(link);
    assert_eq!(
        server.release(1).unwrap().unwrap_err().to_string(),
        "bad-request: the session can't be released: its license reserves the seat until its \
         client can't be running any more."
    );
}

#[test]
fn the_holder_of_a_held_seat_may_log_out_or_come_back() {
    let mut server = Server::with([strict(2).tolerating(Component::MachineId)]);
    let link = server.link(1);
    let session = server.login(link, emulator("a")).granted().session;
    server.release(1).unwrap().unwrap();
    assert_eq!(server.states(), ["held"]);
    server.logout(link, session);
    assert!(server.states().is_empty());

    server.login(link, emulator("b")).granted();
    server.release(server.newest()).unwrap().unwrap();
    server.login(link, emulator("b").run(2)).granted();
    assert_eq!(server.states(), ["live"], "a new run takes the held seat over");
}

#[test]
fn a_shrink_holds_the_excess_seats() {
    let mut server = Server::with([strict(2)]);
    server.login_from(1, emulator("a")).granted();
    server.login_from(2, emulator("b")).granted();
    server.install([strict(1).version(2)]);
    assert_eq!(server.states(), ["live", "held"]);
    assert_eq!(server.login_from(2, emulator("b")).code(), ReasonCode::InstanceLimit);
    assert_reserved_second(&mut server);
}

fn assert_reserved_second(server: &mut Server) {
    server.pass(RESERVED_MS - 1);
    assert_eq!(server.states(), ["live", "held"]);
    server.pass(1);
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn a_restart_reserves_for_the_full_time_again() {
    let mut server = Server::with([strict(1)]);
    server.login_from(1, emulator("ss5")).granted();
    server.restart_after(HOUR_MS);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
    assert_reserved(&mut server);
}

#[test]
fn a_takeover_that_fails_leaves_a_held_seat_held() {
    let mut server = Server::with([strict(1)]);
    server.login_from(1, emulator("ss5")).granted();
    server.release(1).unwrap().unwrap();
    server.pass(MINUTE_MS);
    server.ledger.disk = Disk::Full;
    assert_eq!(server.login_from(1, emulator("ss5").run(2)).code(), ReasonCode::ServerBusy);
    assert_eq!(server.states(), ["held"]);
    let reserved_ms = server.node.sessions(server.now()).next().unwrap().reserved_ms;
    assert_eq!(reserved_ms, Some(RESERVED_MS - MINUTE_MS));
}

/// A server on which emulator `ss5` was released, and which is writing down its next login.
fn coming_back() -> Server {
    let mut server = Server::with([strict(1)]);
    server.login_from(1, emulator("ss5")).granted();
    server.release(1).unwrap().unwrap();
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    server.ask_login(link, emulator("ss5").run(2));
    assert_eq!(server.states(), ["closing", "opening"]);
    server
}

#[test]
fn a_successor_that_is_revoked_before_it_is_durable_holds_its_predecessors_seat() {
    let mut server = coming_back();
    server.install([]);
    server.catch_up();
    assert_eq!(server.states(), ["held"]);
    assert_reserved(&mut server);
}

#[test]
fn a_successor_that_fails_gives_the_seat_back_although_the_license_is_gone() {
    let mut server = coming_back();
    server.install([]);
    server.settle_one(false);
    server.catch_up();
    assert_eq!(server.states(), ["held"]);
    assert_reserved(&mut server);

    let mut server = Server::with([strict(1)]);
    let link = server.link(1);
    server.login(link, emulator("ss5")).granted();
    server.close(link);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    server.ask_login(link, emulator("ss5").run(2));
    server.install([]);
    server.settle_one(false);
    server.catch_up();
    assert_eq!(server.states(), ["left"]);
    assert_reserved(&mut server);
}

#[test]
fn a_seat_whose_license_came_back_while_a_takeover_failed_has_an_end() {
    let mut server = Server::with([strict(1)]);
    server.login_from(1, emulator("ss5")).granted();
    let other = || license(45).lease(Lease::Grace).grace_ms(GRACE_MS).instances(1);
    server.kill(1_000);
    server.input(Input::Machine(machine(4)));
    server.install([other()]);
    server.input(Input::Ready);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    server.ask_login(link, emulator("ss5").run(2));
    server.install([other(), strict(1)]);
    server.settle_one(false);
    while server.settle_one(false) {}
    server.ledger.disk = Disk::Fine;
    assert_eq!(server.states(), ["left"]);
    assert_reserved(&mut server);
}

#[test]
fn an_update_takes_nothing_back_of_what_was_promised() {
    let shorter = || license(44).version(2).instances(1);
    let updates = [
        ("a shorter grace period", shorter().lease(Lease::Grace).grace_ms(MINUTE_MS)),
        ("another lease", shorter().lease(Lease::For(1_000)).grace_ms(GRACE_MS)),
    ];
    for (how, update) in updates {
        let mut server = Server::with([strict(1)]);
        let link = server.link(1);
        server.login(link, emulator("ss5")).granted();
        server.install([update]);
        server.close(link);
        assert_eq!(server.states().len(), 1, "{how}");
        assert_reserved(&mut server);
    }
}

#[test]
fn a_grant_that_waited_for_the_disk_counts_from_its_answer() {
    let mut server = Server::with([strict(1)]);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5"));
    server.pass(3_000);
    server.catch_up();
    assert!(server.answer(request).is_some());
    server.pass(2_000);
    // Nothing was heard since the login, but the client has heard the answer.
    server.close_silent(link, 5_000);
    server.pass(RESERVED_MS - 2_001);
    assert_eq!(server.states(), ["left"]);
    server.pass(1);
    assert!(server.states().is_empty());
}

#[test]
fn a_program_that_may_not_know_of_its_new_session_keeps_what_its_old_one_was_promised() {
    let updates = [
        ("a shorter grace period", strict(1).version(2).grace_ms(MINUTE_MS)),
        ("another lease", strict(1).version(2).lease(Lease::For(1_000))),
    ];
    for (how, update) in updates {
        let mut server = Server::with([strict(1)]);
        let link = server.link(1);
        server.login(link, emulator("ss5")).granted();
        server.close(link);
        server.install([update]);
        // It comes back without its session's name, and the answer does not reach it.
        let link = server.link(1);
        server.login(link, emulator("ss5")).granted();
        server.close(link);
        assert_eq!(server.states(), ["left"], "{how}");
        assert_reserved(&mut server);
    }
}

#[test]
fn the_next_run_of_an_emulator_owes_nothing_to_the_one_before() {
    let mut server = Server::with([strict(1)]);
    server.login_from(1, emulator("ss5")).granted();
    server.install([strict(1).version(2).lease(Lease::For(1_000))]);
    server.pass(MINUTE_MS);
    let link = server.link(1);
    let old = ve_core::id::LinkId(1);
    server.close(old);
    server.login(link, emulator("ss5").run(2)).granted();
    server.close(link);
    server.pass(1_000);
    assert!(server.states().is_empty());
}
