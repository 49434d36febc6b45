//! What can't be written down has not happened.

use ve_core::node::{event::Event, io::Note};

use super::*;
use crate::harness::Disk;

#[test]
fn a_registration_that_fails_leaves_nothing_behind() {
    let mut server = Server::with([autove(1)]);
    server.registry.set_disk(Disk::Full);
    let refusal = arrive(&mut server, 1).refused();
    assert_eq!(refusal.code, ReasonCode::ServerBusy);
    assert_eq!((numbers(&server), standing(&server, 1)), ((0, 0, 1), None));
    assert!(has_note(&server, |note| matches!(note, Note::RegistryFailed(_))));
    assert_eq!(server.events().filter(|event| is_registered(event)).count(), 0);
    server.registry.set_disk(Disk::Fine);
    arrive(&mut server, 2).granted();
    assert!(has_note(&server, |note| matches!(note, Note::RegistryRecovered)));
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceLimit);
}

fn is_registered(event: &Event) -> bool {
    matches!(event, Event::HostRegistered { .. })
}

#[test]
fn all_who_waited_for_a_registration_hear_that_it_failed() {
    let mut server = Server::with([autove(1)]);
    server.registry.set_disk(Disk::Slow);
    let link = server.link(1);
    let asked: Vec<_> =
        ["a", "b", "c"].map(|vm| server.ask_login(link, emulator(vm).on(facts()))).into();
    assert!(server.settle_enrolled(false));
    for request in asked {
        assert_eq!(server.answer(request).code(), ReasonCode::ServerBusy);
    }
    assert_eq!(numbers(&server), (0, 0, 1));
}

#[test]
fn a_session_that_can_not_be_written_leaves_the_registration_and_no_guest() {
    let mut server = Server::with([autove(2)]);
    server.ledger.disk = Disk::Full;
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::ServerBusy);
    assert_eq!(numbers(&server), (1, 0, 2));
    server.ledger.disk = Disk::Fine;
    arrive(&mut server, 1).granted();
    server.pass(20_000);
    assert_eq!(server.events().filter(|event| is_registered(event)).count(), 1);

    let mut server = left_alone(2, &[7]);
    server.ledger.disk = Disk::Full;
    assert_eq!(arrive(&mut server, 7).code(), ReasonCode::ServerBusy);
    assert_eq!(numbers(&server), (0, 0, 2));
}

#[test]
fn two_changes_of_one_host_that_fail_leave_nothing_behind() {
    let mut server = Server::with([autove(2)]);
    let mut peer = Peer::comes(&mut server, 10);
    server.registry.set_disk(Disk::Slow);
    let link = server.link(1);
    let request = server.ask_login(link, emulator("vm").on(facts()));
    // Meanwhile the peer says something of the same host.
    peer.tells(&mut server, vec![HostEntry { revision: 3, ..entry(1, own(), 5) }]);
    assert!(server.settle_enrolled(false));
    assert!(server.settle_enrolled(false));
    assert_eq!(server.answer(request).code(), ReasonCode::ServerBusy);
    assert_eq!((standing(&server, 1), numbers(&server)), (None, (0, 0, 2)));
}

#[test]
fn settled_means_that_registrations_are_durable_as_well() {
    let mut server = Server::with([autove(2)]);
    server.registry.set_disk(Disk::Slow);
    let link = server.link(1);
    server.ask_login(link, emulator("vm").on(facts()));
    assert_eq!(server.settle(), None);
    let ticket = server.latest_ticket();
    server.settle_enrolled(true);
    assert_eq!(server.reply_to(ticket), Some(Ok(String::new())));
}

#[test]
fn a_link_that_closes_while_its_host_registers_leaves_the_registration() {
    let mut server = Server::with([autove(2)]);
    server.registry.set_disk(Disk::Slow);
    let link = server.link(1);
    server.ask_login(link, emulator("vm").on(facts()));
    server.close(link);
    server.settle_enrolled(true);
    assert_eq!((numbers(&server), server.states().len()), ((1, 0, 2), 0));
    assert_eq!(server.events().filter(|event| is_registered(event)).count(), 1);
}

#[test]
fn who_came_by_an_import_or_the_peer_is_served_when_that_is_durable() {
    for succeeds in [true, false] {
        let mut server = Server::with([autove(2)]);
        server.registry.set_disk(Disk::Slow);
        assert_eq!(server.import(vec![entry(1, own(), 0)]), None);
        let link = server.link(1);
        let request = server.ask_login(link, emulator("vm").on(facts()));
        assert_eq!(server.answer(request), None);
        server.settle_enrolled(succeeds);
        if !succeeds {
            // It is a newcomer after all.
            assert_eq!(server.answer(request), None);
            server.settle_enrolled(true);
        }
        server.answer(request).granted();
    }
}
