//! A host registers by itself, once, and is served from then on.

use ve_core::node::{
    event::{Event, RegisteredBy},
    io::{AutoVeRules, Input, Note},
};

use super::*;
use crate::harness::Disk;

#[test]
fn a_host_registers_by_its_first_login_and_is_known_from_then_on() {
    let mut server = Server::with([autove(2)]);
    let grant = arrive(&mut server, 1).granted();
    assert_eq!(grant.home, Some(own()));
    let receipt = receipt_of(&grant);
    assert_eq!((receipt.host, &receipt.home, receipt.revision), (key(1), &own(), 1));
    assert_eq!(numbers(&server), (1, 0, 2));
    assert_eq!(standing(&server, 1), Some("served"));
    assert_eq!(server.registry.entries.len(), 1);
    // A second emulator takes no other instance, and gets the same receipt, as it showed none.
    let second = server.login_from(1, emulator("second").on(facts())).granted();
    assert_eq!(receipt_of(&second), receipt);
    assert_eq!(numbers(&server), (1, 0, 2));
    // One that shows what it has gets no other.
    let third = server.login_from(1, emulator("third").on(facts().showing(&receipt)));
    assert_eq!(third.granted().receipt, None);
    assert_eq!(server.registry.written, 1);
}

#[test]
fn a_registration_stands_beside_the_session_that_it_was_for() {
    let mut server = Server::with([autove(2)]);
    let before = server.ledger.appends;
    arrive(&mut server, 1).granted();
    assert_eq!(server.ledger.appends, before + 1);
    let by_login =
        |event: &&Event| matches!(event, Event::HostRegistered { by: RegisteredBy::Login, .. });
    assert_eq!(server.events().filter(by_login).count(), 1);
    assert!(has_note(&server, |note| matches!(note, Note::HostRegistered { .. })));
}

#[test]
fn nobody_is_let_in_before_the_registration_is_durable() {
    let mut server = Server::with([autove(2)]);
    server.registry.set_disk(Disk::Slow);
    let link = server.link(1);
    let first = server.ask_login(link, emulator("a").on(facts()));
    let second = server.ask_login(link, emulator("b").on(facts()));
    assert_eq!((server.answer(first), server.answer(second)), (None, None));
    assert!(server.settle_enrolled(true));
    assert!(!server.settle_enrolled(true), "two emulators of one host register it once");
    server.answer(first).granted();
    server.answer(second).granted();
    assert_eq!(numbers(&server), (1, 0, 2));
}

#[test]
fn a_full_license_refuses_with_the_numbers_and_serves_those_it_has() {
    let mut server = Server::with([autove(2)]);
    for host in 1..=2 {
        arrive(&mut server, host).granted();
    }
    let refusal = arrive(&mut server, 3).refused();
    assert_eq!(refusal.code, ReasonCode::InstanceLimit);
    assert!(refusal.sentence.contains("2 instances, 2 hosts are registered"), "{refusal}");
    assert_eq!(standing(&server, 3), None);
    // However many emulators: sessions take no seats.
    for number in 0..20 {
        server.login_from(1, emulator(&format!("vm{number}")).on(facts())).granted();
    }
}

#[test]
fn who_is_refused_by_another_rule_is_not_registered() {
    let mut server = Server::with([autove(2)]);
    let too_large = emulator("vm").cpus(99).on(facts());
    assert_eq!(server.login_from(1, too_large).code(), ReasonCode::CpuLimit);
    let unknown = emulator("vm").hardware("VAX").on(facts());
    assert_eq!(server.login_from(1, unknown).code(), ReasonCode::HardwareNotLicensed);
    assert_eq!(server.login_from(1, emulator("vm")).code(), ReasonCode::InstanceNotRegistered);
    assert_eq!(numbers(&server), (0, 0, 2));
    assert!(server.registry.entries.is_empty());
}

#[test]
fn a_probe_registers_nothing() {
    let mut server = Server::with([autove(1)]);
    let link = server.link(1);
    server.probe(link, emulator("vm").on(facts())).granted();
    assert_eq!(numbers(&server), (0, 0, 1));
    arrive(&mut server, 2).granted();
    let refused = server.probe(link, emulator("vm").on(facts()));
    assert_eq!(refused.code(), ReasonCode::InstanceLimit);
    let known = server.link(2);
    assert_eq!(server.probe(known, emulator("other")).granted().home, Some(own()));
}

#[test]
fn only_those_of_allowed_addresses_register() {
    let mut server = Server::with([autove(9)]);
    arrive(&mut server, 1).granted();
    let allow = vec!["10.0.0.2".parse().unwrap(), "192.0.2.0/24".parse().unwrap()];
    server.input(Input::AutoVe(AutoVeRules { allow, ..AutoVeRules::default() }));
    arrive(&mut server, 2).granted();
    assert_eq!(arrive(&mut server, 3).code(), ReasonCode::InstanceNotRegistered);
    // Who is registered is not asked.
    server.login_from(1, emulator("other").on(facts())).granted();
}

#[test]
fn a_registration_outlives_the_server() {
    let mut server = Server::with([autove(2)]);
    let grant = arrive(&mut server, 1).granted();
    server.restart_after(1_000);
    let back = server.login_from(1, emulator("vm").on(facts()).back_with(&grant)).granted();
    assert_eq!(back.session, grant.session);
    assert_eq!((numbers(&server), server.registry.written), ((1, 0, 2), 1));
}

#[test]
fn after_a_shrink_the_newest_are_registered_and_not_served() {
    let mut server = Server::with([autove(3)]);
    let mut links = Vec::new();
    for host in 1..=3 {
        let link = server.link(host);
        let grant = server.login(link, emulator("vm").on(facts())).granted();
        links.push((link, grant.session));
        server.pass(1_000);
    }
    server.install([autove(1).version(2)]);
    server.check(links[0].0, links[0].1).granted();
    // At once, the newest first.
    let revoked = server.revocations();
    let revoked = revoked.iter().map(|(_, session, refusal)| (*session, refusal.code));
    let newer = [2, 1].map(|at: usize| (links[at].1, ReasonCode::InstanceLimit));
    assert!(revoked.eq(newer));
    assert_eq!(arrive(&mut server, 3).code(), ReasonCode::InstanceLimit);
    server.pass(10_000);
    assert!(has_note(&server, |note| matches!(
        note,
        Note::TooManyHosts { homed: 3, instances: 1 }
    )));
    assert_eq!((standing(&server, 1), standing(&server, 3)), (Some("served"), Some("unserved")));
    // With more instances, they are served again.
    server.install([autove(3).version(3)]);
    arrive(&mut server, 3).granted();
}

#[test]
fn hours_run_while_any_host_is_served() {
    let mut server = Server::with([autove(3).hours(1)]);
    let link = server.link(1);
    let grant = server.login(link, emulator("vm").on(facts())).granted();
    server.pass(30 * 60_000);
    assert_eq!(server.check(link, grant.session).granted().remaining_ms, Some(30 * 60_000));
    server.pass(30 * 60_000);
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::HoursExhausted);
    assert_eq!(arrive(&mut server, 2).code(), ReasonCode::HoursExhausted);
    assert_eq!(numbers(&server), (1, 0, 3));
}
