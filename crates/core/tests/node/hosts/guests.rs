//! Hosts of another home: whom the peer carries, and who is a guest.

use super::*;

#[test]
fn while_the_peer_serves_its_hosts_need_no_instance_here() {
    let mut server = Server::with([autove(1)]);
    arrive(&mut server, 1).granted();
    let mut peer = Peer::comes(&mut server, 10);
    peer.tells(&mut server, vec![entry(7, theirs(), 0)]);
    let grant = arrive(&mut server, 7).granted();
    assert_eq!((grant.home, numbers(&server)), (Some(theirs()), (1, 0, 1)));
}

#[test]
fn a_host_for_which_the_peer_has_no_instance_needs_one_here() {
    let mut server = Server::with([autove(1)]);
    let mut peer = Peer::comes(&mut server, 1);
    let entries = [7, 8, 9].map(|host| entry(host, theirs(), i64::from(host)));
    peer.tells(&mut server, entries.to_vec());
    arrive(&mut server, 7).granted();
    arrive(&mut server, 8).granted();
    assert_eq!((numbers(&server), standing(&server, 8)), ((0, 1, 1), Some("guest")));
    assert_eq!(arrive(&mut server, 9).code(), ReasonCode::NoFreeInstanceOnPeer);
    // Its license is extended: it carries them again.
    peer.instances = 3;
    peer.stands(&mut server, Ok(()));
    assert_eq!((numbers(&server), standing(&server, 8)), ((0, 0, 1), Some("elsewhere")));
    arrive(&mut server, 9).granted();
}

#[test]
fn without_the_peer_its_hosts_take_what_is_free() {
    let mut server = left_alone(2, &[7, 8, 9]);
    arrive(&mut server, 1).granted();
    arrive(&mut server, 7).granted();
    assert_eq!((numbers(&server), standing(&server, 7)), ((1, 1, 2), Some("guest")));
    let refusal = arrive(&mut server, 8).refused();
    assert_eq!(refusal.code, ReasonCode::NoFreeInstanceOnPeer);
    assert!(refusal.sentence.contains("1 are used by hosts of the peer"), "{refusal}");
    // Nor does a newcomer take what a guest has.
    assert_eq!(arrive(&mut server, 2).code(), ReasonCode::InstanceLimit);
}

#[test]
fn a_guests_instance_is_free_when_its_last_session_has_ended() {
    let mut server = left_alone(1, &[7, 8]);
    let link = server.link(7);
    let first = server.login(link, emulator("a").on(facts())).granted();
    let second = server.login(link, emulator("b").on(facts())).granted();
    server.logout(link, first.session);
    assert_eq!(arrive(&mut server, 8).code(), ReasonCode::NoFreeInstanceOnPeer);
    server.close(link);
    assert_eq!(numbers(&server), (0, 1, 1), "its lease runs");
    server.pass(121_000);
    assert_eq!(numbers(&server), (0, 0, 1));
    arrive(&mut server, 8).granted();
    let _ = second;
}

#[test]
fn when_contact_ends_the_longest_served_take_what_is_free() {
    let mut server = Server::with([autove(2)]);
    arrive(&mut server, 1).granted();
    let mut peer = Peer::comes(&mut server, 10);
    peer.tells(&mut server, vec![entry(7, theirs(), 0), entry(8, theirs(), 1)]);
    let mut sessions = Vec::new();
    for host in [8, 7] {
        let link = server.link(host);
        let grant = server.login(link, emulator("vm").on(facts())).granted();
        sessions.push((link, grant.session));
    }
    peer.goes(&mut server);
    assert_eq!((numbers(&server), standing(&server, 8)), ((1, 1, 2), Some("guest")));
    let (link, session) = sessions[0];
    server.check(link, session).granted();
    let (link, session) = sessions[1];
    assert_eq!(server.check(link, session).code(), ReasonCode::NoFreeInstanceOnPeer);
    // When the peer is back, no one is a guest any more.
    let mut peer = Peer::comes(&mut server, 10);
    assert_eq!(numbers(&server), (1, 0, 2));
    server.login_from(7, emulator("vm").on(facts())).granted();
    // A peer that is there and does not serve is as good as none.
    peer.stands(&mut server, Err(ReasonCode::LicenseExpired));
    assert_eq!(numbers(&server), (1, 1, 2));
    peer.stands(&mut server, Ok(()));
    assert_eq!(numbers(&server), (1, 0, 2));
}

#[test]
fn a_host_without_an_instance_gets_one_at_its_check_if_one_became_free() {
    let mut server = Server::with([autove(1)]);
    let own_host = server.link(1);
    server.login(own_host, emulator("vm").on(facts())).granted();
    let mut peer = Peer::comes(&mut server, 10);
    peer.tells(&mut server, vec![entry(7, theirs(), 0)]);
    let link = server.link(7);
    let grant = server.login(link, emulator("vm").on(facts())).granted();
    peer.goes(&mut server);
    server.retire(1).unwrap().unwrap();
    server.check(link, grant.session).granted();
    assert_eq!(numbers(&server), (0, 1, 1));
}

#[test]
fn after_a_restart_guests_have_their_instances_before_newcomers() {
    let mut server = left_alone(1, &[7]);
    let grant = arrive(&mut server, 7).granted();
    server.restart_after(1_000);
    assert_eq!(numbers(&server), (0, 1, 1));
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceLimit);
    server.login_from(7, emulator("vm").on(facts()).back_with(&grant)).granted();
}

#[test]
fn a_shrink_takes_instances_from_the_newest_guests() {
    let mut server = left_alone(2, &[7, 8]);
    let links = [8, 7].map(|host| {
        let link = server.link(host);
        (link, server.login(link, emulator("vm").on(facts())).granted().session)
    });
    server.install([autove(1).version(2)]);
    assert_eq!((numbers(&server), standing(&server, 8)), ((0, 1, 1), Some("guest")));
    server.check(links[0].0, links[0].1).granted();
    let [(_, revoked, refusal)] = server.revocations()[..] else { panic!("one revocation") };
    assert_eq!((revoked, refusal.code), (links[1].1, ReasonCode::NoFreeInstanceOnPeer));
}

#[test]
fn a_guest_that_comes_home_is_a_guest_no_more() {
    let mut server = left_alone(2, &[7]);
    arrive(&mut server, 7).granted();
    let mut peer = Peer::comes(&mut server, 10);
    let home = HostEntry { home: own(), revision: 9, ..entry(7, theirs(), 0) };
    peer.number = 1;
    peer.tells(&mut server, vec![home]);
    peer.goes(&mut server);
    assert_eq!((numbers(&server), standing(&server, 7)), ((1, 0, 2), Some("served")));
}

#[test]
fn guests_leave_the_oldest_at_home_their_instances() {
    let mut server = left_alone(2, &[7]);
    arrive(&mut server, 7).granted();
    arrive(&mut server, 1).granted();
    // The peer's copy knows of older hosts at home here: one more than there is room for.
    let mut peer = Peer::comes(&mut server, 10);
    peer.stands(&mut server, Err(ReasonCode::HoursExhausted));
    peer.number = 1;
    peer.tells(&mut server, vec![entry(2, own(), -100)]);
    assert_eq!(numbers(&server), (2, 1, 2));
    assert_eq!((standing(&server, 2), standing(&server, 1)), (Some("served"), Some("unserved")));
    assert_eq!(capacity(&server).unserved(), 1);
}

#[test]
fn whether_each_peer_could_carry_the_other_is_said_once() {
    use ve_core::node::io::Note;
    let mut server = Server::with([autove(2)]);
    arrive(&mut server, 1).granted();
    arrive(&mut server, 2).granted();
    let mut peer = Peer::comes(&mut server, 2);
    peer.tells(&mut server, vec![entry(7, theirs(), 0)]);
    server.pass(30_000);
    let small = |here| {
        let said = move |note: &&&Note| matches!(note, Note::PeersTooSmall { missing: 1, here: h } if *h == here);
        server.notes().iter().filter(said).count()
    };
    assert_eq!((small(true), small(false)), (1, 1));
    peer.tells(&mut server, vec![retired(entry(7, theirs(), 0))]);
    server.pass(10_000);
    assert!(has_note(&server, |note| matches!(note, Note::PeersSuffice)));
}
