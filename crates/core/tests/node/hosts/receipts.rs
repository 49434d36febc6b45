//! A receipt brings a registration back that was lost, and nothing else.

use super::*;

/// A server that has lost its registry, and the receipt of a host that was registered.
fn forgetful(instances: u32) -> (Server, Receipt) {
    let mut server = Server::with([autove(instances)]);
    let receipt = receipt_of(&arrive(&mut server, 1).granted());
    server.registry.lose();
    server.restart_after(200_000);
    (server, receipt)
}

#[test]
fn a_host_comes_back_by_its_receipt() {
    let (mut server, receipt) = forgetful(2);
    let grant = login(&mut server, 1, facts().showing(&receipt)).granted();
    assert_eq!(grant.receipt, None, "what it has is as good");
    let entry = &server.registry.entries[&key(1)].1;
    assert_eq!((entry.registered, entry.revision), (receipt.registered, receipt.revision));
    assert_eq!(numbers(&server), (1, 0, 2));
}

#[test]
fn receipts_that_say_nothing_here_make_a_host_a_newcomer() {
    let good = |server: &Server, receipt: &Receipt| {
        let entry = &server.registry.entries[&key(1)].1;
        entry.registered == receipt.registered
    };
    for what in 0..5 {
        let (mut server, receipt) = forgetful(2);
        let wrong = match what {
            0 => Receipt { host: key(2), ..receipt.clone() },
            1 => Receipt { customer: name("Somebody"), ..receipt.clone() },
            2 => Receipt { issuer: license(77).build_id(), ..receipt.clone() },
            3 => Receipt { revision: 0, ..receipt.clone() },
            _ => Receipt { revision: u64::MAX, ..receipt.clone() },
        };
        // One instance is kept for the host that is missing, one is free for a newcomer.
        let grant = login(&mut server, 1, facts().showing(&wrong)).granted();
        assert!(!good(&server, &receipt), "receipt {what} counted");
        assert!(grant.receipt.is_some());
    }
}

#[test]
fn a_receipt_never_overrules_an_entry() {
    let mut server = Server::with([autove(2)]);
    let receipt = receipt_of(&arrive(&mut server, 1).granted());
    let other = Receipt { home: theirs(), revision: 7, ..receipt.clone() };
    let shown = emulator("other").on(facts().showing(&other));
    let grant = server.login_from(1, shown).granted();
    assert_eq!((grant.home, grant.receipt), (Some(own()), Some(Box::new(receipt))));
}

#[test]
fn no_more_come_back_than_there_are_instances() {
    let (mut server, receipt) = forgetful(1);
    let other = Receipt { host: key(2), ..receipt.clone() };
    login(&mut server, 2, facts().showing(&other)).granted();
    let late = login(&mut server, 1, facts().showing(&receipt));
    assert_eq!(late.code(), ReasonCode::InstanceLimit);
    assert_eq!(numbers(&server), (1, 0, 1));
}

#[test]
fn the_peers_receipt_takes_the_host_home_there() {
    let mut server = Server::with([autove(1)]);
    arrive(&mut server, 9).granted();
    let peer = Peer::comes(&mut server, 10);
    let receipt = Receipt {
        host: key(1),
        customer: name("Stromasys/Testing"),
        issuer: theirs(),
        home: theirs(),
        revision: 2,
        registered: WALL_AT_START,
    };
    let grant = login(&mut server, 1, facts().showing(&receipt)).granted();
    assert_eq!(grant.home, Some(theirs()));
    assert_eq!((numbers(&server), standing(&server, 1)), ((1, 0, 1), Some("elsewhere")));
    peer.goes(&mut server);
    // Without the peer it would be a guest, and there is no room; it is not even registered.
    let other = Receipt { host: key(2), ..receipt };
    let refused = login(&mut server, 2, facts().showing(&other));
    assert_eq!(refused.code(), ReasonCode::NoFreeInstanceOnPeer);
    assert_eq!(standing(&server, 2), None);
}

#[test]
fn a_client_that_says_nothing_of_its_host_gets_no_receipt() {
    let mut server = Server::with([autove(1)]);
    arrive(&mut server, 1).granted();
    let grant = server.login_from(1, emulator("old")).granted();
    assert_eq!((grant.home, grant.receipt), (Some(own()), None));
}

#[test]
fn a_check_brings_a_receipt_when_the_entry_has_changed() {
    let mut server = Server::with([autove(2)]);
    let mut peer = Peer::comes(&mut server, 10);
    let link = server.link(1);
    let grant = server.login(link, emulator("vm").on(facts())).granted();
    assert_eq!(server.check(link, grant.session).granted().receipt, None);
    let newer = HostEntry { home: theirs(), revision: 5, ..entry(1, own(), 0) };
    peer.tells(&mut server, vec![newer]);
    let checked = server.check(link, grant.session).granted();
    assert_eq!((checked.home.clone(), receipt_of(&checked).revision), (Some(theirs()), 5));
    assert_eq!(server.check(link, grant.session).granted().receipt, None);
}
