//! A login is answered when its seat is durable, and not before.

use ve_core::{node::event::Event, reason::ReasonCode, time::HOUR_MS};

use crate::harness::{Disk, Outcome, Server, WALL_AT_START, emulator, license};

#[test]
fn a_login_is_granted_when_its_seat_is_durable() {
    let mut server = Server::with([license(44).instances(3)]);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5"));
    assert_eq!(server.answer(request), None);
    assert_eq!(server.states(), ["opening"]);

    server.catch_up();
    let grant = server.answer(request).granted();
    assert_eq!(server.states(), ["live"]);
    assert!(
        matches!(server.events().last(), Some(Event::SessionOpened(s)) if s.id == grant.session)
    );
}

#[test]
fn a_grant_names_what_is_licensed() {
    let mut server = Server::with([license(44).instances(3)]);
    let grant = server.login_from(1, emulator("ss5").hardware("CHARON-ssp/4m")).granted();
    assert_eq!(grant.license_id.as_str(), "01.00000001.002.044");
    assert_eq!(grant.customer.as_str(), "Stromasys/Testing");
    assert_eq!(grant.product_code.as_str(), "Charon-SSP/ALL");
    assert_eq!(grant.virtual_hardware.as_str(), "Charon-SSP/4M");
    assert_eq!((grant.instances, grant.max_cpu, grant.max_memory_mb), (3, 8, 4_096));
    assert_eq!((grant.major, grant.minor), (5, 3));
    assert_eq!((grant.expires, grant.remaining_ms), (None, None));
    assert_eq!((grant.grace_ms, grant.check_interval_ms), (2 * HOUR_MS, HOUR_MS));
    assert_eq!(grant.lease_ms, 120_000);
    assert_eq!(grant.marks.license_version, 1);
    assert_eq!(grant.marks.time, WALL_AT_START);
    // A license seen, the time mark, a session.
    assert_eq!(grant.marks.ledger_position, server.ledger.durable.len() as u64);
}

#[test]
fn a_seat_is_taken_while_it_is_being_written_down() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Slow;
    let (first, second) = (server.link(1), server.link(2));
    let first = server.ask_login(first, emulator("a"));
    assert_eq!(server.login(second, emulator("b")).code(), ReasonCode::InstanceLimit);
    server.catch_up();
    server.answer(first).granted();
}

#[test]
fn two_hundred_logins_at_once_get_the_seats_that_there_are() {
    let mut server = Server::with([license(44).instances(17)]);
    server.ledger.disk = Disk::Slow;
    let mut requests = Vec::new();
    for host in 0..200 {
        let link = server.link(host);
        requests.push(server.ask_login(link, emulator("ss5")));
    }
    server.catch_up();
    let granted = requests.iter().filter(|&&request| {
        matches!(server.answer(request), Some(ve_core::node::io::Answer::Granted(_)))
    });
    assert_eq!(granted.count(), 17);
}

#[test]
fn who_hung_up_before_the_answer_leaves_its_seat_to_its_next_login() {
    let mut server = Server::with([license(44).instances(1)]);
    server.ledger.disk = Disk::Slow;
    let link = server.link(1);
    let request = server.ask_login(link, emulator("ss5"));
    server.close(link);
    server.catch_up();
    assert_eq!(server.answer(request), None);
    assert_eq!(server.states(), ["left"]);
    assert_eq!(server.login_from(2, emulator("other")).code(), ReasonCode::InstanceLimit);
    server.login_from(1, emulator("ss5")).granted();
    assert_eq!(server.states(), ["live"]);
}

#[test]
fn a_check_answers_with_a_new_grant() {
    let mut server = Server::with([license(44).instances(1)]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.pass(HOUR_MS);
    let grant = server.check(link, session).granted();
    assert_eq!(grant.session, session);
    assert_eq!(grant.marks.time, WALL_AT_START.plus_seconds(3_600));
}
