//! One machine, as its provider names it, has one instance.

use ve_core::node::{
    event::{Event, RegisteredBy},
    io::Note,
};

use super::*;

#[test]
fn a_new_key_of_a_machine_takes_over_its_instance() {
    let mut server = Server::with([autove(1)]);
    let link = server.link(1);
    server.login(link, emulator("vm").on(facts().machine("i-1"))).granted();
    server.close(link);
    let grant = login(&mut server, 2, facts().machine("i-1").boot(2)).granted();
    assert_eq!((grant.home.clone(), receipt_of(&grant).revision), (Some(own()), 2));
    assert_eq!((standing(&server, 1), standing(&server, 2)), (Some("moved"), Some("served")));
    assert_eq!(numbers(&server), (1, 0, 1));
    let by = |event: &Event| match event {
        Event::HostRegistered { by: RegisteredBy::NewKey { before }, .. } => Some(*before),
        _ => None,
    };
    assert_eq!(server.events().find_map(by), Some(key(1)));
    let (old, new) = (&server.registry.entries[&key(1)].1, &server.registry.entries[&key(2)].1);
    assert_eq!((old.revision, old.registered), (2, new.registered));
}

#[test]
fn a_machine_that_is_alive_keeps_its_instance() {
    let mut server = Server::with([autove(2)]);
    let link = server.link(1);
    server.login(link, emulator("vm").on(facts().machine("i-1"))).granted();
    let refusal = login(&mut server, 2, facts().machine("i-1")).refused();
    assert_eq!(refusal.code, ReasonCode::DuplicateInstance);
    assert!(has_note(&server, |note| matches!(
        note,
        Note::IdentityClaimed { host, owner, .. } if (*host, *owner) == (key(2), key(1))
    )));
    assert_eq!((standing(&server, 2), numbers(&server)), (None, (1, 0, 2)));
    // The same if it lives at the peer.
    server.close(link);
    let peer = Peer::comes(&mut server, 10);
    peer.has(&mut server, 1, 1);
    let refused = login(&mut server, 2, facts().machine("i-1"));
    assert_eq!(refused.code(), ReasonCode::DuplicateInstance);
}

/// A machine has its only instance by its second key.
fn with_two_keys_of_one_machine() -> Server {
    let mut server = Server::with([autove(1)]);
    for host in [1, 2] {
        let link = server.link(host);
        let login = emulator("vm").on(facts().machine("i-1").boot(host));
        server.login(link, login).granted();
        server.close(link);
    }
    server
}

#[test]
fn a_key_that_moved_comes_back_with_its_machine_only() {
    let mut server = with_two_keys_of_one_machine();
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceNotRegistered);
    // On another machine it is a newcomer.
    let other = login(&mut server, 1, facts().machine("i-2"));
    assert_eq!(other.code(), ReasonCode::InstanceLimit);
    let link = server.link(1);
    server.login(link, emulator("vm").on(facts().machine("i-1"))).granted();
    assert_eq!((standing(&server, 1), standing(&server, 2)), (Some("served"), Some("moved")));
    assert_eq!(numbers(&server), (1, 0, 1));
}

#[test]
fn a_key_that_moved_gets_no_instance_that_another_has_meanwhile() {
    let mut server = with_two_keys_of_one_machine();
    // The second key is another machine's from now on, and has the only instance.
    server.login_from(2, emulator("vm").on(facts().machine("i-2").boot(2))).granted();
    let back = login(&mut server, 1, facts().machine("i-1"));
    assert_eq!(back.code(), ReasonCode::InstanceLimit);
    assert_eq!((standing(&server, 1), standing(&server, 2)), (Some("moved"), Some("served")));
}

#[test]
fn a_key_that_a_copy_of_its_disk_took_along_comes_back_with_its_own_machine() {
    let mut server = Server::with([autove(2)]);
    // The first machine; its disk on a second one; that one's own key; and the first one again.
    for (host, machine, boot) in [(1, "i-1", 1), (1, "i-2", 2), (2, "i-2", 3)] {
        let link = server.link(host);
        let login = emulator("vm").on(facts().machine(machine).boot(boot));
        server.login(link, login).granted();
        server.close(link);
    }
    assert_eq!((standing(&server, 1), numbers(&server)), (Some("moved"), (1, 0, 2)));
    login(&mut server, 1, facts().machine("i-1").boot(4)).granted();
    assert_eq!((standing(&server, 1), numbers(&server)), (Some("served"), (2, 0, 2)));
    assert_eq!(standing(&server, 2), Some("served"));
}

#[test]
fn a_registered_host_that_shows_its_machine_later_is_known_by_it() {
    let mut server = Server::with([autove(2)]);
    arrive(&mut server, 1).granted();
    server.login_from(1, emulator("other").on(facts().machine("i-1"))).granted();
    let entry = &server.registry.entries[&key(1)].1;
    assert_eq!(entry.revision, 1, "that is no decision");
    assert!(entry.identity.is_some());
    server.login_from(1, emulator("third").on(facts().machine("i-2"))).granted();
    assert_eq!(server.registry.entries[&key(1)].1.revision, 2, "but another machine is");
}

#[test]
fn a_registered_host_on_the_machine_of_another_takes_that_ones_place() {
    let mut server = Server::with([autove(2)]);
    let first = server.link(1);
    server.login(first, emulator("vm").on(facts().machine("i-1"))).granted();
    arrive(&mut server, 2).granted();
    let claim = || emulator("other").on(facts().machine("i-1"));
    assert_eq!(server.login_from(2, claim()).code(), ReasonCode::DuplicateInstance);
    server.close(first);
    server.login_from(2, claim()).granted();
    assert_eq!((standing(&server, 1), standing(&server, 2)), (Some("moved"), Some("served")));
    assert_eq!(numbers(&server), (1, 0, 2));
}

#[test]
fn without_a_signed_identity_two_keys_are_two_hosts() {
    let mut server = Server::with([autove(2)]);
    login(&mut server, 1, facts().named("same")).granted();
    login(&mut server, 2, facts().named("same")).granted();
    assert_eq!(numbers(&server), (2, 0, 2));
}
