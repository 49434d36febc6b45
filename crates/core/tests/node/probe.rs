//! A probe asks whether there would be a seat, and takes none.

use ve_core::reason::ReasonCode;

use crate::harness::{Outcome, Server, emulator, license};

#[test]
fn a_probe_takes_no_seat_and_writes_nothing() {
    let mut server = Server::with([license(44).hours(1).instances(1)]);
    let written = server.ledger.durable.len();
    let link = server.link(1);
    let grant = server.probe(link, emulator("ss5")).granted();
    assert_eq!(grant.session.0, [0; 16]);
    assert_eq!(server.probe(link, emulator("ss5").cpus(99)).code(), ReasonCode::CpuLimit);
    assert!(server.states().is_empty());
    assert_eq!(server.ledger.durable.len(), written);
    assert_eq!(server.node.denials().count(), 0);
    assert!(server.notes().iter().all(|note| !format!("{note:?}").contains("ss5")));
    server.pass(60_000);
    assert_eq!(server.used_ms(), 0, "and starts no clock");
}

#[test]
fn a_probe_is_told_of_the_seat_that_its_emulator_has() {
    let mut server = Server::with([license(44).instances(1)]);
    server.login_from(1, emulator("ss5")).granted();
    let (own, other) = (server.link(1), server.link(2));
    server.probe(own, emulator("ss5")).granted();
    assert_eq!(server.probe(own, emulator("second")).code(), ReasonCode::InstanceLimit);
    assert_eq!(server.probe(other, emulator("ss5")).code(), ReasonCode::InstanceLimit);
    assert!(server.pings().is_empty());
}
