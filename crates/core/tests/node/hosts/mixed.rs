//! Licenses beside each other: of general mode, and two of AutoVE mode.

use ve_core::{node::io::Note, time::HOUR_MS};

use super::*;

#[test]
fn a_general_license_is_served_as_ever() {
    let mut server = Server::with([license(1).instances(1)]);
    let grant = arrive(&mut server, 1).granted();
    assert_eq!((grant.home, grant.receipt), (None, None));
    assert!(server.node.capacity().is_none());
    assert!(server.registry.entries.is_empty());
    // Another boot is another run of the host, as ever.
    let refused = login(&mut server, 2, facts().boot(2));
    assert_eq!(refused.code(), ReasonCode::InstanceLimit);
    assert!(server.pings().is_empty());
    server.pass(HOUR_MS);
    assert!(server.registry.entries.is_empty());
}

#[test]
fn a_general_license_that_lies_beside_counts_its_own_seats() {
    let general = || license(2).with(crate::harness::section("G").hardware("VAX").instances(1));
    let mut server = Server::with([autove(1), general()]);
    let vax = |vm: &str| emulator(vm).hardware("VAX").on(facts());
    let grant = server.login_from(1, vax("vax")).granted();
    assert_eq!((grant.home, numbers(&server)), (None, (0, 0, 1)));
    assert_eq!(server.login_from(2, vax("vax")).code(), ReasonCode::InstanceLimit);
    arrive(&mut server, 2).granted();
    assert_eq!(numbers(&server), (1, 0, 1));
    // Its host may be on another boot for all the general license knows.
    server.login_from(1, emulator("third").hardware("VAX")).refused();
    assert!(server.pings().is_empty());
}

#[test]
fn one_autove_license_is_served_at_a_time() {
    let mut server = Server::with([numbered(2, 1), numbered(1, 1)]);
    assert_eq!(arrive(&mut server, 1).granted().license_id, own());
    let standing = |server: &Server, number: u32| {
        let views: Vec<_> = server
            .node
            .licenses(server.now())
            .filter(|view| view.license.id == license(number).build_id())
            .map(|view| view.standing.clone())
            .collect();
        views[0].clone()
    };
    let refusal = standing(&server, 2).unwrap_err();
    assert_eq!(refusal.code, ReasonCode::LicenseNotAvailable);
    assert!(refusal.sentence.contains("remove one of them"), "{refusal}");
    server.install([numbered(2, 1)]);
    assert_eq!(standing(&server, 2), Ok(()));
    // One with a smaller ID takes the place of the one that is served.
    server.install([numbered(2, 1), numbered(1, 1)]);
    assert_eq!((standing(&server, 1), standing(&server, 2).is_err()), (Ok(()), true));
    // But not one that is bound elsewhere.
    let elsewhere = numbered(1, 1).version(2).bound_to(ServerKey([9; 32]));
    server.install([numbered(2, 1), elsewhere]);
    assert_eq!((standing(&server, 1).is_err(), standing(&server, 2)), (true, Ok(())));
    assert!(has_note(&server, |note| matches!(note, Note::LicenseValid { .. })));
}

#[test]
fn a_preview_says_whose_hosts_would_have_no_instance() {
    let mut server = Server::with([autove(3)]);
    for host in 1..=3 {
        arrive(&mut server, host).granted();
    }
    let smaller = autove(1).version(2).build();
    let preview = server.node.preview_install(server.now(), &smaller);
    let codes: Vec<ReasonCode> = preview.revoked.iter().map(|(_, refusal)| refusal.code).collect();
    assert_eq!((preview.kept, codes), (1, vec![ReasonCode::InstanceLimit; 2]));
    // It comes as it was said.
    server.install([autove(1).version(2)]);
    let standing: Vec<_> = (1..=3).map(|host| standing(&server, host)).collect();
    assert_eq!(standing.iter().filter(|standing| **standing == Some("served")).count(), 1);
}
