//! A registry that was lost or put back leaves room for those it has forgotten.

use ve_core::{
    license::Mode,
    node::{event::Event, io::Note},
};

use super::*;

/// Three of four instances are taken, and the registry is put back to when one was.
fn put_back(lost: bool) -> (Server, Vec<Receipt>) {
    let mut server = Server::with([autove(4)]);
    let mut receipts = vec![receipt_of(&arrive(&mut server, 1).granted())];
    let old = server.registry.clone();
    for host in 2..=3 {
        receipts.push(receipt_of(&arrive(&mut server, host).granted()));
    }
    server.pass(10_000);
    if lost {
        server.registry.lose();
    } else {
        server.registry = old;
    }
    server.restart_after(200_000);
    (server, receipts)
}

#[test]
fn newcomers_get_only_what_is_certainly_free() {
    for (lost, missing) in [(true, 3), (false, 2)] {
        let (mut server, receipts) = put_back(lost);
        assert_eq!(capacity(&server).kept, missing);
        assert!(has_note(&server, |note| matches!(note, Note::HostsUnknown { .. })));
        arrive(&mut server, 11).granted();
        let refusal = arrive(&mut server, 12).refused();
        assert_eq!(refusal.code, ReasonCode::InstanceLimit);
        assert!(refusal.sentence.contains("are kept for hosts that may be missing"), "{refusal}");
        let mut back_again = 0;
        for (host, receipt) in (1..).zip(&receipts) {
            let back = login(&mut server, host, facts().showing(receipt));
            back_again += usize::from(matches!(back, Some(Answer::Granted(_))));
        }
        assert_eq!((back_again, numbers(&server).0), (3, 4));
        assert!(has_note(&server, |note| matches!(note, Note::HostsKnown)));
    }
}

#[test]
fn the_ledger_keeps_the_mark_until_the_hosts_are_found() {
    let (mut server, _) = put_back(true);
    server.pass(30_000);
    server.restart_after(200_000);
    assert_eq!(capacity(&server).kept, 3);
}

fn last_mark(server: &Server) -> Option<u64> {
    let marks = server.events().filter_map(|event| match event {
        Event::HostsHomed { count, .. } => Some(*count),
        _ => None,
    });
    marks.last()
}

#[test]
fn a_peer_may_have_lost_its_registry_as_well() {
    let (mut server, _) = put_back(true);
    let mut peer = Peer::comes(&mut server, 10);
    peer.tells(&mut server, vec![entry(1, own(), 0), entry(2, own(), 0)]);
    assert_eq!((capacity(&server).kept, numbers(&server).0), (1, 2));
    peer.tells(&mut server, vec![entry(3, own(), 0)]);
    assert_eq!((capacity(&server).kept, numbers(&server).0), (0, 3));
    assert!(has_note(&server, |note| matches!(note, Note::HostsKnown)));
}

#[test]
fn nobody_is_waited_for_longer_than_the_grace_period() {
    let (mut server, receipts) = put_back(true);
    login(&mut server, 1, facts().showing(&receipts[0])).granted();
    // The harness makes every license with it.
    let grace_ms = Mode::General.default_grace_ms();
    server.pass(grace_ms - 20_000);
    assert_eq!((capacity(&server).kept, last_mark(&server)), (2, Some(3)));
    server.pass(30_000);
    server.pass(10_000);
    assert_eq!((capacity(&server).kept, last_mark(&server)), (0, Some(1)));
}

#[test]
fn a_retirement_while_hosts_are_missing_is_one_less_to_wait_for() {
    let (mut server, receipts) = put_back(true);
    login(&mut server, 1, facts().showing(&receipts[0])).granted();
    assert_eq!(capacity(&server).kept, 2);
    server.retire(1).unwrap().unwrap();
    assert_eq!((capacity(&server).kept, numbers(&server).0), (2, 0));
}

#[test]
fn a_retired_host_is_not_waited_for() {
    let mut server = Server::with([autove(4)]);
    arrive(&mut server, 1).granted();
    arrive(&mut server, 2).granted();
    server.pass(10_000);
    server.retire(1).unwrap().unwrap();
    // Even if it crashes before the next review.
    server.restart_after(1_000);
    assert_eq!((capacity(&server).kept, numbers(&server).0), (0, 1));
}
