//! A license that is replaced by one with another ID leaves its hosts to it.

use ve_core::node::event::{Event, RegisteredBy};

use super::*;
use crate::harness::Disk;

#[test]
fn hosts_of_a_replaced_license_come_home_to_its_successor() {
    let mut server = Server::with([autove(3)]);
    for host in 1..=3 {
        arrive(&mut server, host).granted();
        server.pass(1_000);
    }
    server.install([numbered(5, 2)]);
    let capacity = capacity(&server);
    assert_eq!((capacity.license_id, capacity.homed), (license(5).build_id(), 3));
    // There are more than instances: the oldest are served.
    let grant = arrive(&mut server, 1).granted();
    assert_eq!(grant.home, Some(license(5).build_id()));
    assert_eq!(receipt_of(&grant).revision, 2);
    assert_eq!(arrive(&mut server, 3).code(), ReasonCode::InstanceLimit);
    let moved = |event: &&Event| {
        matches!(event, Event::HostRegistered { by: RegisteredBy::NewLicense { .. }, .. })
    };
    assert_eq!(server.events().filter(moved).count(), 3);
}

#[test]
fn hosts_of_a_license_that_is_still_there_or_the_peers_stay() {
    let mut server = left_alone(3, &[7]);
    arrive(&mut server, 1).granted();
    // Two licenses: the one with the smaller ID is served.
    server.install([autove(3), numbered(5, 3)]);
    assert_eq!(numbers(&server), (1, 0, 3));
    server.install([numbered(5, 3)]);
    assert_eq!(numbers(&server), (1, 0, 3));
    assert_eq!(server.node.host(key(7)).unwrap().entry.home, theirs());
    assert_eq!(server.node.host(key(1)).unwrap().entry.home, license(5).build_id());
}

#[test]
fn coming_home_is_tried_again_until_it_is_written() {
    let mut server = Server::with([autove(3)]);
    arrive(&mut server, 1).granted();
    server.registry.set_disk(Disk::Full);
    server.install([numbered(5, 3)]);
    assert_eq!(numbers(&server).0, 0);
    server.registry.set_disk(Disk::Fine);
    server.pass(10_000);
    assert_eq!(numbers(&server).0, 1);
}

#[test]
fn many_come_home_in_pieces() {
    let mut server = Server::with([autove(2_000)]);
    let many = |number: u16| {
        let mut entry = entry(1, own(), i64::from(number));
        entry.host.0[..2].copy_from_slice(&number.to_be_bytes());
        entry
    };
    server.import((0..1_000).map(many).collect()).unwrap().unwrap();
    assert_eq!(numbers(&server).0, 1_000);
    server.install([numbered(5, 2_000)]);
    assert_eq!(numbers(&server), (1_000, 0, 2_000));
}

#[test]
fn a_receipt_of_a_replaced_license_is_good_for_its_successor() {
    let mut server = Server::with([autove(3)]);
    let receipt = receipt_of(&arrive(&mut server, 1).granted());
    server.install([numbered(5, 3)]);
    server.registry.lose();
    server.kill(200_000);
    server.start_with([numbered(5, 3)]);
    let grant = login(&mut server, 1, facts().showing(&receipt)).granted();
    let given = receipt_of(&grant);
    assert_eq!((given.home, given.registered), (license(5).build_id(), receipt.registered));
}
