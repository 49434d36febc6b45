//! Ten thousand hosts of one address do not get in, and fifty do.

use ve_core::{
    id::{HostKey, LinkId},
    node::io::{AutoVeRules, Input, Note},
};

use super::*;

fn numbered_key(number: u32) -> HostKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    HostKey(bytes)
}

/// Hosts of these numbers come from an address; how many are let in.
fn come(server: &mut Server, numbers: std::ops::Range<u32>, address: &str) -> usize {
    let granted = numbers.filter(|number| {
        let link: LinkId = server.link_of(numbered_key(*number), address);
        let answer = server.login(link, emulator("vm").on(facts()));
        server.close(link);
        matches!(answer, Some(Answer::Granted(_)))
    });
    granted.count()
}

#[test]
fn a_burst_passes_and_a_flood_does_not() {
    let mut server = Server::with([autove(100_000)]);
    assert_eq!(come(&mut server, 0..50, "10.0.0.1"), 50);
    assert_eq!(come(&mut server, 50..10_000, "10.0.0.1"), 150);
    let floods = |server: &Server| {
        let notes = server.notes();
        notes.iter().filter(|note| matches!(note, Note::RegistrationsFlood { .. })).count()
    };
    assert_eq!(floods(&server), 1);
    // Others are not held up, and who is registered is not, either.
    assert_eq!(come(&mut server, 20_000..20_010, "10.0.0.2"), 10);
    assert_eq!(come(&mut server, 0..50, "10.0.0.1"), 50);
    // A minute later, sixty more.
    server.pass(60_000);
    assert_eq!(come(&mut server, 10_000..11_000, "10.0.0.1"), 60);
    assert_eq!(floods(&server), 1, "said once until it is over");
}

#[test]
fn the_refusal_says_when_to_come_again() {
    let mut server = Server::with([autove(100)]);
    let rules =
        AutoVeRules { registration_burst: 1, registrations_per_minute: 6, ..<_>::default() };
    server.input(Input::AutoVe(rules));
    arrive(&mut server, 1).granted();
    let late = server.link_of(key(2), "10.0.0.1");
    let refusal = server.login(late, emulator("vm").on(facts())).refused();
    assert_eq!(refusal.code, ReasonCode::ServerBusy);
    assert!(refusal.sentence.contains("try again in 10 s"), "{refusal}");
    server.pass(10_000);
    server.login(late, emulator("vm").on(facts())).granted();
}

#[test]
fn networks_of_ipv6_count_as_one_and_many_addresses_fill_no_memory() {
    let mut server = Server::with([autove(100_000)]);
    let rules =
        AutoVeRules { registration_burst: 1, registrations_per_minute: 0, ..<_>::default() };
    server.input(Input::AutoVe(rules));
    assert_eq!(come(&mut server, 0..1, "[2001:db8::1]"), 1);
    assert_eq!(come(&mut server, 1..2, "[2001:db8::2]"), 0);
    assert_eq!(come(&mut server, 2..3, "[2001:db8:0:1::2]"), 1);
    let mut granted = 0;
    for number in 10..10_100_u32 {
        let address = format!("10.{}.{}.{}", number >> 16, (number >> 8) & 255, number & 255);
        granted += come(&mut server, number..number + 1, &address);
    }
    // Ten thousand are told apart; the rest shares one.
    assert!((9_990..=10_000).contains(&granted), "{granted}");
}
