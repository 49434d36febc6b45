//! The first start of a host registers it, once, and all its emulators run.

use std::{fs, os::unix::fs::PermissionsExt};

use super::peers::{Peers, receipt, receipts, seats_become, stands_as};
use crate::{
    pair::{BACKUP_ID, PRIMARY_ID},
    vm::Vm,
};

#[test]
fn emulators_of_a_new_host_that_start_at_once_are_one_host() {
    let peers = Peers::new([1, 1]);
    let host = peers.host("host");
    let names = ["a", "b", "c", "d"];
    let mut emulators = names.map(|name| host.run(&peers.knows(Vm::polite(name))));
    for emulator in &mut emulators {
        emulator.shows("ready");
    }
    let [entry] = &peers.registries_are_equal(1)[..] else { panic!("one host") };
    assert!([PRIMARY_ID, BACKUP_ID].contains(&entry.home.as_str()), "{entry:?}");
    let mode = |file| fs::metadata(file).expect("a file").permissions().mode() & 0o777;
    let file = receipt(&host);
    assert_eq!((mode(file.clone()), mode(host.file("state/receipts"))), (0o600, 0o700));
    let text = fs::read_to_string(file).expect("a receipt");
    for emulator in &emulators {
        assert!(!emulator.log().contains("eyJ"), "no receipt in a log:\n{}", emulator.log());
    }
    assert!(text.starts_with("eyJ"), "a JWS: {text}");

    // One that starts later runs as well, wherever it asks.
    for server in [&peers.one, &peers.other] {
        let later = host.run(&Vm::script("later", "exit 3").at(&server.address()));
        later.ends_with(3);
    }
    assert_eq!(peers.registries_are_equal(1), std::slice::from_ref(entry));
}

#[test]
fn a_license_that_is_full_refuses_the_next_host_and_names_the_numbers() {
    let peers = Peers::new([1, 1]);
    let first = peers.host("first");
    first.ends_with(&Vm::script("guest", "exit 0"), 0);
    // It has ended, and is registered all the same.
    let second = peers.host("second");
    let ended = second.ends_with(&Vm::script("guest", "exit 0"), 77);
    let refused = "ERROR VE License request was refused: instance-limit: ";
    assert!(ended.log.contains(refused), "{}", ended.log);
    assert_eq!(receipts(&second).len(), 0);
    // The other one has an instance left.
    second.ends_with(&peers.knows(Vm::script("guest", "exit 0")), 0);
    let homes: Vec<_> = peers.registries_are_equal(2).into_iter().map(|entry| entry.home).collect();
    assert!(homes.contains(&PRIMARY_ID.to_owned()) && homes.contains(&BACKUP_ID.to_owned()));
}

#[test]
fn whoever_only_asks_is_not_registered() {
    let peers = Peers::new([1, 1]);
    let host = peers.host("host");
    let vm = peers.knows(Vm::polite("guest"));
    let output = host.check(&vm);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("would run: ").count(), 2, "{said}");
    assert_eq!(peers.registries_are_equal(0), []);
    assert_eq!(receipts(&host).len(), 0);
    for server in [&peers.one, &peers.other] {
        seats_become(server, &[]);
    }
}

#[test]
fn a_receipt_that_can_not_be_kept_is_told_of_and_the_emulator_runs() {
    let peers = Peers::new([1, 1]);
    let host = peers.host("host");
    fs::create_dir_all(host.file("state")).expect("a folder");
    // Even root can't make a folder in a file.
    fs::write(host.file("state/receipts"), b"a file").expect("written");
    let mut emulator = host.run(&Vm::polite("guest"));
    emulator.shows("ready");
    let log = emulator.logs("WARN VE The host's receipt is not kept: ");
    assert!(!log.contains("terminated within"), "{log}");
    stands_as(&peers.one, "served");
    emulator.terminate();
    emulator.ends_with(0);
}
