//! Holders that the ledger may have forgotten: newcomers get no seat of a `lease = "grace"` license
//! until all of them must have ended.

use ve_core::{
    grant::Grant,
    license::Lease,
    node::{
        event::Event,
        io::{Input, Note},
    },
    reason::ReasonCode,
    time::MINUTE_MS,
};

use crate::harness::{
    Disk, HEARTBEAT_TIMEOUT_MS, LicenseBuilder, Outcome, Server, emulator, license, machine,
    section,
};

const GRACE_MS: u64 = 20 * MINUTE_MS;

/// Heartbeat time-out, grace period, and 1 % for clocks that run differently.
const WAIT_MS: u64 = (HEARTBEAT_TIMEOUT_MS + GRACE_MS) / 100 * 101;

fn strict(instances: u32) -> LicenseBuilder {
    license(44).lease(Lease::Grace).grace_ms(GRACE_MS).instances(instances)
}

/// A server whose ledger was lost, and the grant that emulator `a` got before.
fn after_a_loss(license: LicenseBuilder) -> (Server, Grant) {
    let mut server = Server::with([license]);
    let grant = server.login_from(1, emulator("a")).granted();
    server.ledger.durable.clear();
    server.ledger.lack_holders();
    server.restart_after(1_000);
    (server, grant)
}

fn told(server: &Server) -> Vec<u64> {
    let for_ms = |note: &&Note| match note {
        Note::HoldersUnknown { for_ms } => Some(*for_ms),
        _ => None,
    };
    server.notes().iter().filter_map(for_ms).collect()
}

#[test]
fn newcomers_wait_until_every_forgotten_holder_must_have_ended() {
    let (mut server, _) = after_a_loss(strict(2));
    assert_eq!(told(&server), [WAIT_MS], "said at once, and once");
    assert_eq!(
        server.login_from(2, emulator("newcomer")).refused().to_string(),
        "instance-limit: the server's ledger was lost or restored, so emulators that it does not \
         know may still use Charon-SSP/ALL; free instances are given out again in 21 minutes."
    );
    assert_eq!(server.node.holders_unknown_ms(server.now()), Some(WAIT_MS));
    server.pass(WAIT_MS - 1);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
    server.pass(1);
    server.login_from(2, emulator("newcomer")).granted();
    assert_eq!(told(&server).len(), 1);
}

#[test]
fn the_wait_counts_from_ready() {
    let (mut server, _) = after_a_loss(strict(2));
    server.kill(1_000);
    server.input(Input::Machine(machine(4)));
    server.announce_licenses();
    server.pass(WAIT_MS);
    server.input(Input::Ready);
    assert_eq!(server.node.holders_unknown_ms(server.now()), Some(WAIT_MS));
}

#[test]
fn who_held_a_seat_gets_one() {
    let (mut server, grant) = after_a_loss(strict(2));
    server.login_from(1, emulator("a").back_with(&grant)).granted();
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
}

#[test]
fn who_only_says_so_does_not() {
    let elsewhere = |grant: &Grant| Grant { license_id: license(45).build_id(), ..grant.clone() };
    let (mut server, grant) = after_a_loss(strict(2));
    let cases = [
        ("names the session, shows nothing", emulator("a").session(grant.session)),
        ("shows the grant, names nothing", emulator("a").showing(&grant)),
        ("shows a grant of another license", emulator("a").back_with(&elsewhere(&grant))),
        ("shows what a probe got", {
            let link = server.link(1);
            server.pass(WAIT_MS);
            let probed = server.probe(link, emulator("a")).granted();
            server.restart_after(1_000);
            server.ledger.lack_holders();
            server.restart_after(1_000);
            emulator("a").back_with(&probed)
        }),
    ];
    for (how, login) in cases {
        assert_eq!(server.login_from(1, login).code(), ReasonCode::InstanceLimit, "{how}");
    }
}

#[test]
fn a_seat_that_is_taken_is_not_given_twice() {
    let (mut server, grant) = after_a_loss(strict(1));
    server.login_from(1, emulator("a").back_with(&grant)).granted();
    let second = server.login_from(2, emulator("b").back_with(&grant)).refused();
    assert_eq!(second.sentence, "the only instance of Charon-SSP/ALL is in use.");
}

#[test]
fn a_normal_lease_is_not_affected() {
    let (mut server, _) = after_a_loss(license(44).instances(1));
    assert_eq!(told(&server), [0; 0]);
    server.login_from(2, emulator("newcomer")).granted();
}

#[test]
fn another_license_may_serve_meanwhile() {
    let normal = || license(45).with(section("SPARE").instances(1).max_cpu(64));
    let (mut server, _) = after_a_loss(strict(2));
    server.install([strict(2), normal()]);
    let grant = server.login_from(2, emulator("newcomer")).granted();
    assert_eq!(grant.product_code.as_str(), "SPARE");
}

#[test]
fn known_sessions_come_back() {
    let mut server = Server::with([strict(2)]);
    let known = server.login_from(1, emulator("a")).granted();
    server.ledger.lack_holders();
    server.restart_after(1_000);
    let link = server.link(1);
    server.login(link, emulator("a").session(known.session)).granted();
    // Its seat is its own for certain now, and so its successor's.
    server.close(link);
    server.login_from(1, emulator("a").run(2)).granted();
}

#[test]
fn a_name_alone_takes_over_no_seat_that_may_have_passed_on() {
    let mut server = Server::with([strict(1)]);
    let link = server.link(1);
    let first = server.login(link, emulator("a")).granted();
    let backup = server.backup();
    server.logout(link, first.session);
    let second = server.login_from(2, emulator("b")).granted();
    server.restore(backup);
    server.login_from(2, emulator("b").back_with(&second)).refused();
    // The old ledger has `a` in the seat that `b` runs on.
    assert_eq!(server.login_from(1, emulator("a").run(2)).code(), ReasonCode::InstanceLimit);
    server.pass(WAIT_MS);
    server.login_from(1, emulator("a").run(2)).granted();
}

#[test]
fn a_client_that_saw_more_than_the_ledger_has_gives_it_away() {
    let mut server = Server::with([strict(3)]);
    let backup = server.backup();
    let grant = server.login_from(1, emulator("a")).granted();
    server.restore(backup);
    server.pass(5 * MINUTE_MS);
    assert_eq!(told(&server), [0; 0]);
    server.login_from(1, emulator("a").back_with(&grant)).granted();
    assert_eq!(told(&server), [WAIT_MS]);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
    server.pass(WAIT_MS);
    server.login_from(2, emulator("newcomer")).granted();
}

#[test]
fn what_was_found_out_survives_a_restart_and_ends_when_it_is_over() {
    let mut server = Server::with([strict(3)]);
    let backup = server.backup();
    let grant = server.login_from(1, emulator("a")).granted();
    server.restore(backup);
    server.login_from(1, emulator("a").back_with(&grant)).granted();
    server.restart_after(1_000);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
    server.pass(WAIT_MS + 10_000);
    let says: Vec<bool> = server
        .events()
        .filter_map(|event| match event {
            Event::HoldersUnknown { unknown } => Some(*unknown),
            _ => None,
        })
        .collect();
    assert_eq!(says, [true, false]);
    server.restart_after(1_000);
    server.login_from(2, emulator("newcomer")).granted();
}

#[test]
fn what_was_found_out_is_written_when_the_disk_has_room_again() {
    let mut server = Server::with([strict(3)]);
    let backup = server.backup();
    let grant = server.login_from(1, emulator("a")).granted();
    server.restore(backup);
    server.ledger.disk = Disk::Full;
    server.login_from(1, emulator("a").back_with(&grant)).refused();
    server.ledger.disk = Disk::Fine;
    server.pass(10_000);
    assert!(server.ledger.remember().may_lack_holders);
}

#[test]
fn without_a_license_no_one_knows_when_it_is_over() {
    let (mut server, _) = after_a_loss(strict(2));
    server.install([]);
    server.pass(10 * WAIT_MS);
    assert!(server.ledger.remember().may_lack_holders);
    server.restart_after(1_000);
    server.install([strict(2)]);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
}

#[test]
fn no_update_ends_the_wait_sooner() {
    type Update = fn() -> LicenseBuilder;
    let updates: [(&str, Update); 2] = [
        ("a shorter grace period", || strict(2).version(2).grace_ms(MINUTE_MS)),
        ("another lease", || strict(2).version(2).lease(Lease::For(1_000))),
    ];
    for (how, update) in updates {
        let (mut server, _) = after_a_loss(strict(2));
        server.pass(MINUTE_MS);
        server.install([update()]);
        server.pass(WAIT_MS - MINUTE_MS - 1);
        let newcomer = server.login_from(2, emulator("newcomer"));
        assert_eq!(newcomer.code(), ReasonCode::InstanceLimit, "{how}");
        assert!(server.ledger.remember().may_lack_holders, "{how}");
        server.pass(1);
        server.login_from(2, emulator("newcomer")).granted();
    }
}

#[test]
fn a_removal_ends_the_wait_no_sooner_either() {
    let (mut server, _) = after_a_loss(strict(2));
    server.install([license(45).grace_ms(MINUTE_MS).instances(1)]);
    server.pass(WAIT_MS - 10_000);
    server.install([strict(2)]);
    assert_eq!(server.login_from(2, emulator("newcomer")).code(), ReasonCode::InstanceLimit);
}

#[test]
fn what_an_earlier_version_promised_is_seen_in_a_grant_and_in_a_known_session() {
    let shorter = || strict(2).version(2).grace_ms(MINUTE_MS);
    let (mut server, grant) = after_a_loss(strict(2));
    server.kill(1_000);
    server.start_with([shorter()]);
    assert!(server.node.holders_unknown_ms(server.now()).unwrap() < 2 * MINUTE_MS);
    server.login_from(1, emulator("a").back_with(&grant)).granted();
    assert_eq!(server.node.holders_unknown_ms(server.now()), Some(WAIT_MS), "the grant says it");

    let mut server = Server::with([strict(2)]);
    server.login_from(1, emulator("a")).granted();
    server.ledger.lack_holders();
    server.kill(1_000);
    server.start_with([shorter()]);
    assert_eq!(server.node.holders_unknown_ms(server.now()), Some(WAIT_MS), "the session has it");
}
