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

fn seen_at(at: Utc) -> HostEntry {
    let entry = entry(3, own(), 0);
    HostEntry { seen: Seen { at, ..entry.seen.clone() }, ..entry }
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
        (HostEntry { registered: Utc(-1), ..entry(3, own(), 0) }, "a date before 1970"),
        (HostEntry { registered: Utc(Utc::LAST.0 + 1), ..entry(3, own(), 0) }, "or after 9999"),
        (seen_at(Utc(i64::MAX)), "or after 9999"),
        (entry(3, own(), 0), "2 more hosts would be at home here, and 1 instance is free"),
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

fn many(count: u16) -> Vec<HostEntry> {
    let numbered = |number: u16| {
        let mut host = [0; HostKey::LENGTH];
        host[..2].copy_from_slice(&number.to_be_bytes());
        HostEntry { host: HostKey(host), ..entry(0, own(), 0) }
    };
    (0..count).map(numbered).collect()
}

fn imported(server: &Server) -> usize {
    let imported =
        |event: &&Event| matches!(event, Event::HostRegistered { by: RegisteredBy::Import, .. });
    server.events().filter(imported).count()
}

/// Others need not wait until the ledger has heard of all: what they hand in comes between.
#[test]
fn the_ledger_hears_of_a_large_import_piece_by_piece() {
    let mut server = Server::with([autove(2_000)]);
    server.settle();
    server.ledger.disk = Disk::Slow;
    assert!(server.import(many(1_000)).unwrap().is_ok(), "it waits for the registry alone");
    assert_eq!(server.registry.entries.len(), 1_000, "all in one");
    let waiting = |server: &Server| -> Vec<usize> {
        server.ledger.waiting.iter().map(|(_, records)| records.len()).collect()
    };
    assert_eq!(waiting(&server), [256]);
    arrive(&mut server, 1);
    assert_eq!(waiting(&server).len(), 2);
    assert!(server.settle_one(true));
    assert_eq!(waiting(&server).len(), 2, "the login is first now");
    while server.settle_one(true) {}
    assert_eq!(imported(&server), 1_000);
}

#[test]
fn a_ledger_that_fails_hears_of_an_import_later() {
    let mut server = Server::with([autove(2_000)]);
    server.ledger.disk = Disk::Full;
    assert!(server.import(many(1_000)).unwrap().is_ok());
    server.pass(30_000);
    assert_eq!(imported(&server), 0);
    server.ledger.disk = Disk::Fine;
    server.pass(30_000);
    assert_eq!(imported(&server), 1_000);
}

#[test]
fn the_log_hears_of_each_host_or_of_their_number() {
    for (count, named, summed) in [(100, 100, 0), (101, 0, 1)] {
        let mut server = Server::with([autove(200)]);
        let mut entries = many(count);
        entries[0] = retired(entries[0].clone());
        server.import(entries).unwrap().unwrap();
        let of = |wanted: fn(&Note) -> bool| {
            server.notes().into_iter().filter(|note| wanted(note)).count()
        };
        let names = of(|note| {
            matches!(note, Note::HostRegistered { .. } | Note::HostRetired { here: true, .. })
        });
        let sums = of(|note| matches!(note, Note::HostsImported { registered: 100, retired: 1 }));
        assert_eq!((names, sums), (named, summed), "{count}");
    }
}

/// What one import retires, and the ledger may yet refuse, another one can't acknowledge.
#[test]
fn what_is_being_retired_is_not_acknowledged_by_another_import() {
    let mut server = Server::with([autove(3)]);
    arrive(&mut server, 1).granted();
    server.settle();
    server.ledger.disk = Disk::Slow;
    let entries = || vec![retired(entry(1, own(), 0))];
    assert_eq!(server.import(entries()), None);
    assert_eq!(server.import(entries()).unwrap().unwrap_err().code, ReasonCode::ServerBusy);
    assert!(server.settle_one(false));
    assert_eq!(standing(&server, 1), Some("served"), "neither was taken");
    assert_eq!(server.import(entries()), None);
    while server.settle_one(true) {}
    assert_eq!(standing(&server, 1), Some("retired"));
    let is_retirement = |event: &&Event| matches!(event, Event::HostRetired { .. });
    assert_eq!(server.events().filter(is_retirement).count(), 1);
}

/// The second import has one host of its own, and one that the first may not have got down.
#[test]
fn what_another_import_may_lose_is_written_again() {
    let mut server = Server::with([autove(3)]);
    server.registry.set_disk(Disk::Slow);
    assert_eq!(server.import(vec![entry(1, own(), 0)]), None);
    assert_eq!(server.import(vec![entry(1, own(), 0), entry(2, own(), 0)]), None);
    let ticket = server.latest_ticket();
    assert!(server.settle_enrolled(false));
    assert!(server.settle_enrolled(true));
    assert!(server.reply_to(ticket).unwrap().is_ok());
    assert_eq!(server.registry.entries.len(), 2, "what was acknowledged is there");
}

/// The ledger knows whom the import retires, so that goes on when the registry can be written again.
#[test]
fn a_retirement_that_the_ledger_knows_goes_on_without_its_import() {
    let mut server = Server::with([autove(3)]);
    arrive(&mut server, 1).granted();
    server.registry.set_disk(Disk::Full);
    let entries = vec![retired(entry(1, own(), 0)), entry(2, own(), 0)];
    let refusal = server.import(entries).unwrap().unwrap_err();
    assert!(refusal.sentence.contains("refused from now on"), "{refusal}");
    assert_eq!(arrive(&mut server, 1).code(), ReasonCode::InstanceRetired);
    server.registry.set_disk(Disk::Fine);
    server.pass(30_000);
    assert_eq!((standing(&server, 1), standing(&server, 2)), (Some("retired"), None));
}
