//! Guests that a ledger has forgotten may run on: with `lease = "grace"` nobody gets their instances
//! before they must have ended.

use ve_core::{license::Lease, time::MINUTE_MS};

use super::*;

/// Longer than the grace period and all that is added to it.
const LONG_MS: u64 = 30 * MINUTE_MS;

fn strict(instances: u32) -> LicenseBuilder {
    autove(instances).lease(Lease::Grace).grace_ms(20 * MINUTE_MS)
}

/// A server that is alone with hosts 7 and 8 of its peer, and the grant of 7, which is a guest. Then
/// its ledger is put back to before that.
fn with_a_forgotten_guest(license: LicenseBuilder) -> (Server, Grant) {
    let mut server = Server::with([license]);
    let mut peer = Peer::comes(&mut server, 10);
    peer.tells(&mut server, vec![entry(7, theirs(), 0), entry(8, theirs(), 1)]);
    peer.goes(&mut server);
    let backup = server.backup();
    let guest = arrive(&mut server, 7).granted();
    server.ledger.durable = backup;
    server.ledger.lack_holders();
    server.restart_after(1_000);
    (server, guest)
}

#[test]
fn no_guest_gets_the_instance_of_a_forgotten_one() {
    let (mut server, guest) = with_a_forgotten_guest(strict(1));
    let refusal = arrive(&mut server, 8).refused();
    assert_eq!(refusal.code, ReasonCode::NoFreeInstanceOnPeer);
    assert!(refusal.sentence.contains("given out again in 21 minutes"), "{refusal}");
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceLimit);
    // Who proves that it was the guest runs already.
    server.login_from(7, emulator("vm").on(facts()).back_with(&guest)).granted();
    assert_eq!((numbers(&server), standing(&server, 7)), ((0, 1, 1), Some("guest")));
    // And a further emulator of it needs no other instance.
    server.login_from(7, emulator("other").on(facts())).granted();
}

#[test]
fn when_the_forgotten_must_have_ended_guests_are_let_in_again() {
    let (mut server, _) = with_a_forgotten_guest(strict(1));
    server.pass(LONG_MS);
    arrive(&mut server, 8).granted();
}

#[test]
fn an_ordinary_lease_waits_for_no_one() {
    let (mut server, _) = with_a_forgotten_guest(autove(1));
    arrive(&mut server, 8).granted();
}

#[test]
fn a_host_with_a_receipt_waits_as_well() {
    let mut server = Server::with([strict(2)]);
    let grant = arrive(&mut server, 1).granted();
    let shown = || facts().showing(&receipt_of(&grant));
    let lose_all = |server: &mut Server| {
        server.registry.lose();
        server.ledger.lose();
        server.ledger.lack_holders();
        server.restart_after(1_000);
    };
    lose_all(&mut server);
    let refusal = login(&mut server, 1, shown()).refused();
    assert_eq!(refusal.code, ReasonCode::InstanceLimit);
    assert!(refusal.sentence.contains("given out again in"), "{refusal}");
    server.login_from(1, emulator("vm").on(shown()).back_with(&grant)).granted();
    assert_eq!(numbers(&server), (1, 0, 2));
    lose_all(&mut server);
    server.pass(LONG_MS);
    login(&mut server, 1, shown()).granted();
}
