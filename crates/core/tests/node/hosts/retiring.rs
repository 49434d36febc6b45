//! A retired host never comes back.

use ve_core::{
    license::Lease,
    node::{event::Event, io::Note},
};

use super::*;
use crate::harness::Disk;

fn is_retirement(event: &Event) -> bool {
    matches!(event, Event::HostRetired { .. })
}

#[test]
fn retiring_frees_the_instance_and_ends_every_session_at_once() {
    let mut server = Server::with([autove(1)]);
    let link = server.link(1);
    let grant = server.login(link, emulator("vm").on(facts())).granted();
    server.retire(1).unwrap().unwrap();
    let revocations = server.revocations();
    assert_eq!(revocations.len(), 1);
    assert_eq!(
        (revocations[0].1, revocations[0].2.code),
        (grant.session, ReasonCode::InstanceRetired)
    );
    assert!(has_note(&server, |note| matches!(note, Note::HostRetired { here: true, .. })));
    assert_eq!((numbers(&server), standing(&server, 1)), ((0, 0, 1), Some("retired")));
    arrive(&mut server, 2).granted();
    // Neither by name, nor by its receipt.
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceRetired);
    let shown = facts().showing(&receipt_of(&grant));
    assert_eq!(login(&mut server, 1, shown).code(), ReasonCode::InstanceRetired);
    server.retire(1).unwrap().unwrap();
    assert_eq!(server.events().filter(|event| is_retirement(event)).count(), 1);
}

#[test]
fn the_ledger_hears_of_a_retirement_first_then_the_registry_then_the_administrator() {
    let mut server = Server::with([autove(1)]);
    arrive(&mut server, 1).granted();
    server.ledger.disk = Disk::Slow;
    server.registry.set_disk(Disk::Slow);
    assert_eq!(server.retire(1), None);
    let ticket = server.latest_ticket();
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceRetired);
    assert!(server.registry.waiting.is_empty());
    server.settle_one(true);
    assert_eq!((server.registry.waiting.len(), server.reply_to(ticket)), (1, None));
    server.settle_enrolled(true);
    assert!(server.reply_to(ticket).unwrap().is_ok());
}

#[test]
fn a_retirement_that_can_not_be_written_is_tried_again() {
    let mut server = Server::with([autove(1)]);
    arrive(&mut server, 1).granted();
    server.ledger.disk = Disk::Full;
    assert_eq!(server.retire(1).unwrap().unwrap_err().code, ReasonCode::ServerBusy);
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceRetired);
    server.ledger.disk = Disk::Fine;
    server.registry.set_disk(Disk::Full);
    server.pass(20_000);
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceRetired);
    server.registry.set_disk(Disk::Fine);
    server.pass(20_000);
    assert_eq!(server.registry.entries[&key(1)].1.state, HostState::Retired);
    arrive(&mut server, 2).granted();
}

#[test]
fn what_the_ledger_knows_as_retired_is_retired_again_after_the_registry_was_lost() {
    let mut server = Server::with([autove(2)]);
    let receipt = receipt_of(&arrive(&mut server, 1).granted());
    let old = server.registry.clone();
    server.retire(1).unwrap().unwrap();
    for lost in [true, false] {
        if lost {
            server.registry.lose();
        } else {
            server.registry = old.clone();
        }
        server.restart_after(1_000);
        let back = login(&mut server, 1, facts().showing(&receipt));
        assert_eq!(back.code(), ReasonCode::InstanceRetired);
        assert_eq!(server.registry.entries[&key(1)].1.state, HostState::Retired);
        assert_eq!(numbers(&server).0, 0);
    }
}

#[test]
fn no_new_key_of_a_retired_machine_is_registered() {
    let mut server = Server::with([autove(2)]);
    login(&mut server, 1, facts().machine("i-1")).granted();
    server.retire(1).unwrap().unwrap();
    let other_key = login(&mut server, 2, facts().machine("i-1"));
    assert_eq!(other_key.code(), ReasonCode::InstanceRetired);
    login(&mut server, 2, facts().machine("i-2")).granted();
}

#[test]
fn what_the_peer_retires_is_retired_here_and_in_this_ledger() {
    let mut server = Server::with([autove(2)]);
    let mut peer = Peer::comes(&mut server, 10);
    let link = server.link(1);
    server.login(link, emulator("vm").on(facts())).granted();
    let known = server.registry.entries[&key(1)].1.clone();
    peer.tells(&mut server, vec![retired(known)]);
    assert_eq!(server.revocations().len(), 1);
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceRetired);
    assert_eq!(server.events().filter(|event| is_retirement(event)).count(), 1);
    assert_eq!(numbers(&server).0, 0);
}

#[test]
fn who_is_not_registered_can_not_be_retired() {
    let mut server = Server::with([autove(2)]);
    let refusal = server.retire(9).unwrap().unwrap_err();
    assert_eq!(refusal.code, ReasonCode::InstanceNotRegistered);
    login(&mut server, 1, facts().machine("i-1")).granted();
    server.restart_after(200_000);
    login(&mut server, 2, facts().machine("i-1").boot(2)).granted();
    assert!(server.retire(1).unwrap().is_err(), "another key has its instance");
    server.retire(2).unwrap().unwrap();
}

#[test]
fn with_lease_grace_a_retired_host_has_its_instance_until_it_can_not_be_running_any_more() {
    let mut server = Server::with([autove(1).lease(Lease::Grace).grace_ms(60_000)]);
    arrive(&mut server, 1).granted();
    server.retire(1).unwrap().unwrap();
    assert_eq!(numbers(&server), (0, 1, 1));
    assert_eq!(arrive(&mut server, 2).code(), ReasonCode::InstanceLimit);
    server.pass(70_000);
    assert_eq!(numbers(&server), (0, 0, 1));
    arrive(&mut server, 2).granted();
}

#[test]
fn a_ledger_that_was_lost_hears_again_whom_the_registry_has_retired() {
    let mut server = Server::with([autove(2)]);
    let receipt = receipt_of(&arrive(&mut server, 1).granted());
    server.retire(1).unwrap().unwrap();
    server.ledger.lose();
    server.restart_after(1_000);
    server.pass(20_000);
    // Now the registry is lost as well: the ledger's copy is what is left.
    server.registry.lose();
    server.restart_after(1_000);
    let back = login(&mut server, 1, facts().showing(&receipt));
    assert_eq!(back.code(), ReasonCode::InstanceRetired);
}

/// How host 1 is retired.
type Way = (&'static str, fn(&mut Server));

const WAYS: [Way; 4] = [
    ("by the administrator", by_the_administrator),
    ("by the peer", |server| {
        let known = server.registry.entries[&key(1)].1.clone();
        Peer::comes(server, 10).tells(server, vec![retired(known)]);
    }),
    ("by an import", |server| {
        let known = server.registry.entries[&key(1)].1.clone();
        server.import(vec![retired(known)]).unwrap().unwrap();
    }),
    ("before the ledger was lost", |server| {
        by_the_administrator(server);
        server.ledger.lose();
        server.restart_after(1_000);
        server.pass(20_000);
    }),
];

fn by_the_administrator(server: &mut Server) {
    server.retire(1).unwrap().unwrap();
}

#[test]
fn the_ledger_alone_knows_the_machine_of_a_retired_host() {
    for (how, retire) in WAYS {
        let mut server = Server::with([autove(2)]);
        login(&mut server, 1, facts().machine("i-1")).granted();
        retire(&mut server);
        server.registry.lose();
        server.kill(1_000);
        // Nor while the registry can't be told.
        server.registry.set_disk(Disk::Full);
        server.start();
        for disk in [Disk::Full, Disk::Fine] {
            server.registry.set_disk(disk);
            let other_key = login(&mut server, 2, facts().machine("i-1"));
            assert_eq!(other_key.code(), ReasonCode::InstanceRetired, "{how}, {disk:?}");
            server.pass(20_000);
        }
        let entry = &server.registry.entries[&key(1)].1;
        assert!(entry.identity.is_some(), "{how}");
        login(&mut server, 2, facts().machine("i-2")).granted();
    }
}
