//! An import is taken as a whole, or not at all.

use ve_core::node::event::{Event, RegisteredBy};

use super::*;
use crate::harness::Disk;

fn refusal(server: &mut Server, entries: Vec<HostEntry>) -> ve_core::reason::Refusal {
    let before = server.registry.entries.clone();
    let refusal = server.import(entries).unwrap().unwrap_err();
    assert_eq!(server.registry.entries, before, "nothing of it was taken");
    refusal
}

#[test]
fn an_import_registers_what_is_new_and_says_how_much_that_was() {
    let mut server = Server::with([autove(3)]);
    arrive(&mut server, 1).granted();
    let known = server.registry.entries[&key(1)].1.clone();
    let entries = vec![known.clone(), entry(2, own(), -5), retired(entry(3, own(), 0))];
    let reply = server.import(entries.clone()).unwrap().unwrap();
    assert!(reply.contains("news"), "{reply}");
    assert_eq!(numbers(&server), (2, 0, 3));
    arrive(&mut server, 2).granted();
    assert_eq!(arrive(&mut server, 3).code(), ReasonCode::InstanceRetired);
    let imported =
        |event: &&Event| matches!(event, Event::HostRegistered { by: RegisteredBy::Import, .. });
    assert_eq!(server.events().filter(imported).count(), 1);
    let is_retirement = |event: &&Event| matches!(event, Event::HostRetired { .. });
    assert_eq!(server.events().filter(is_retirement).count(), 1);
    let again = server.import(vec![known]).unwrap().unwrap();
    assert_eq!(again, "nothing of it was news");
}

#[test]
fn one_wrong_row_refuses_all() {
    let mut server = Server::with([autove(2)]);
    arrive(&mut server, 1).granted();
    arrive(&mut server, 9).granted();
    server.retire(9).unwrap().unwrap();
    let good = || entry(2, own(), 0);
    let stranger = license(77).build_id();
    for (wrong, words) in [
        (good(), "named twice"),
        (entry(3, stranger, 0), "neither this server's nor its peer's"),
        (entry(9, own(), 0), "is retired"),
        (HostEntry { revision: 0, ..entry(3, own(), 0) }, "no revision"),
        (HostEntry { revision: u64::MAX, ..entry(3, own(), 0) }, "no revision"),
        (entry(3, own(), 0), "1 instances are free"),
    ] {
        let refusal = refusal(&mut server, vec![good(), wrong]);
        assert!(refusal.sentence.contains(words), "{refusal}");
    }
    assert!(server.import(vec![good()]).unwrap().is_ok());
}

#[test]
fn an_import_that_can_not_be_written_is_none() {
    for (ledger, registry) in [(Disk::Full, Disk::Fine), (Disk::Fine, Disk::Full)] {
        let mut server = Server::with([autove(3)]);
        arrive(&mut server, 1).granted();
        server.ledger.disk = ledger;
        server.registry.set_disk(registry);
        let entries = vec![entry(2, own(), 0), retired(entry(3, own(), 0))];
        let outcome = server.import(entries).unwrap();
        assert_eq!(outcome.unwrap_err().code, ReasonCode::ServerBusy);
        assert_eq!((numbers(&server).0, standing(&server, 2)), (1, None));
    }
}

#[test]
fn without_an_autove_license_there_is_nothing_to_import_to() {
    let mut server = Server::with([license(1).instances(1)]);
    let refusal = refusal(&mut server, vec![entry(2, own(), 0)]);
    assert_eq!(refusal.code, ReasonCode::LicenseNotAvailable);
}
