//! The registry for tools, beside a server that writes it, and files that are none.

use std::{fs, os::unix::fs::PermissionsExt};

use rusqlite::Connection;
use ve_core::node::event::Remembered;
use ve_store::{AppendFailure, HostStore, HostsReadOnly, INSTANCES_GONE, LoadError};

use crate::hosts::entries::{OURS, Place, entry, fresh, written};

#[test]
fn a_tool_reads_and_copies_what_a_server_writes() {
    let place = Place::new();
    let mut reader = HostsReadOnly::open(&place.instances()).expect("a reader");
    assert!(!reader.has_registry() && reader.entries() == Ok(Vec::new()));
    assert_eq!(reader.remember(), Ok(None));
    assert_eq!(reader.copy_to(&place.file("copy")), Ok(false));
    let mut server = place.start(1);
    let mut reader = HostsReadOnly::open(&place.instances()).expect("a reader");
    for number in 1..=3 {
        written(&mut server, &[fresh([number])]);
        assert_eq!(reader.entries().map(|entries| entries.len() as u64), Ok(number));
    }
    assert_eq!(reader.entries().expect("entries")[2], (3, entry(3)));
    fs::write(place.file("copy"), "").expect("an empty file");
    assert_eq!(reader.copy_to(&place.file("copy")), Ok(true));
    written(&mut server, &[fresh([4])]);
    let mut copy = HostsReadOnly::open_checked(&place.file("copy")).expect("a copy");
    assert_eq!(copy.entries().expect("entries"), [1, 2, 3].map(|number| (number, entry(number))));
    assert!(!place.file("copy-wal").exists(), "a copy is one file");
    let error = reader.copy_to(&place.file("nowhere/copy")).expect_err("no such folder");
    assert!(error.to_string().contains("nowhere/copy can't be written: "), "{error}");
}

/// The keys of hosts are nobody else's business, whoever made the file.
#[test]
fn only_its_owner_reads_it() {
    let place = Place::new();
    let mode = |file| fs::metadata(file).expect("a file").permissions().mode() & 0o777;
    let store = place.start(1);
    assert_eq!((mode(place.instances()), mode(place.log())), (0o600, 0o600));
    drop(store);
    fs::set_permissions(place.instances(), fs::Permissions::from_mode(0o644)).expect("a mode");
    drop(place.start(2));
    assert_eq!(mode(place.instances()), 0o600);
}

fn refused(place: &Place) -> LoadError {
    let before = fs::read(place.instances()).expect("a file");
    let ledger = Remembered::default();
    let error = place.try_start(2, OURS, &ledger).map(drop).expect_err("refused");
    assert!(fs::read(place.instances()).expect("a file") == before, "it was changed");
    assert_eq!(HostsReadOnly::open(&place.instances()).map(drop), Err(error.clone()));
    error
}

#[test]
fn what_is_no_registry_stays_as_it_is() {
    let place = Place::new();
    let no_registry = LoadError::NoRegistry(place.instances());
    fs::write(place.instances(), vec![0xa5; 9_000]).expect("a file");
    assert_eq!(refused(&place), no_registry);
    fs::write(place.instances(), "short").expect("a file");
    assert_eq!(refused(&place), no_registry);
    fs::remove_file(place.instances()).expect("removed");
    let other = Connection::open(place.instances()).expect("a database");
    other.execute_batch("CREATE TABLE users (name TEXT)").expect("a table");
    drop(other);
    assert_eq!(refused(&place), no_registry);
    assert!(no_registry.to_string().contains("instances.db is no registry of hosts; it was left"));
    // A ledger is none either.
    fs::remove_file(place.instances()).expect("removed");
    ve_store::Embedded::open(&place.instances()).map(drop).expect("a ledger");
    assert_eq!(refused(&place), no_registry);
}

#[test]
fn a_newer_registry_stays_as_it_is() {
    let place = Place::new();
    place.start(1).close().expect("a tidy end");
    let newer = Connection::open(place.instances()).expect("a database");
    newer.pragma_update(None, "user_version", 2).expect("a format");
    drop(newer);
    let path = place.instances();
    assert_eq!(refused(&place), LoadError::Newer { path, found: 2, known: 1 });
}

#[test]
fn a_registry_that_was_removed_or_replaced_takes_nothing() {
    let place = Place::new();
    let mut store = place.start(1);
    written(&mut store, &[fresh([1])]);
    let gone = || Err(AppendFailure::Ledger(INSTANCES_GONE.to_string()));
    fs::rename(place.instances(), place.file("elsewhere")).expect("renamed");
    assert_eq!(store.write(&[&fresh([2])]), gone());
    fs::write(place.instances(), "another").expect("a file");
    assert_eq!(store.write(&[&fresh([2])]), gone());
    store.close().expect("a tidy end");
    assert_eq!(fs::read(place.instances()).expect("a file"), b"another");
}

/// Readable with nothing but `sqlite3`.
#[test]
fn rows_are_readable_by_people() {
    let place = Place::new();
    let mut store = place.start(1);
    written(&mut store, &[fresh([1])]);
    let other = Connection::open(place.instances()).expect("a database");
    let sql =
        "SELECT body ->> '$.seen.name', body ->> '$.state', body ->> '$.home', host FROM hosts";
    let row: (String, String, String, String) = other
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .expect("a row");
    let entry = entry(1);
    let (home, host) = (entry.home.to_string(), entry.host.to_string());
    assert_eq!(row, ("zürich \"1\"".into(), "active".into(), home, host));
}
