//! Files that are taken away under an open ledger: what is written to them would be gone with the
//! process, so nothing of it counts as durable.

use std::fs;

use rusqlite::Connection;
use ve_store::{AppendFailure, LEDGER_GONE, Store};

use crate::events::{Home, license, opened, record, seen, used};

fn gone() -> Result<(), AppendFailure> {
    Err(AppendFailure::Ledger(LEDGER_GONE.to_string()))
}

#[test]
fn a_ledger_that_was_removed_takes_nothing_and_its_marks_go_on() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(1, opened(1)), record(2, used(1, 1, 100))]]).expect("durable");
    fs::remove_file(home.ledger()).expect("removed");
    fs::remove_file(home.log()).expect("removed");
    assert_eq!(store.append(&[&[record(3, opened(2))]]), gone());
    store.reserve(&[record(3, used(1, 1, 700))]).expect("room");
    store.close().expect("a tidy end");
    assert!(!home.ledger().exists());
    let found = ve_store::marks_left(&home.ledger(), ve_core::time::Utc(0));
    assert_eq!(found.meters[&(license(1), 1)].used_ms, 700);
}

/// Its own log stays with it, and nothing is written to it.
#[test]
fn another_ledger_in_its_place_is_left_alone() {
    let (home, other) = (Home::new(), Home::new());
    let mut elsewhere = other.open();
    elsewhere.append(&[&[record(1, seen(2, 9))]]).expect("durable");
    let mut store = home.open();
    store.append(&[&[record(1, seen(1, 1))]]).expect("durable");
    let files = [Home::ledger, Home::log];
    for file in files {
        fs::remove_file(file(&home)).expect("removed");
        fs::copy(file(&other), file(&home)).expect("a copy");
    }
    let before = files.map(|file| fs::read(file(&home)).expect("a file"));
    assert_eq!(store.append(&[&[record(2, seen(1, 2))]]), gone());
    store.close().expect("a tidy end");
    assert!(before == files.map(|file| fs::read(file(&home)).expect("a file")));
    let now = Connection::open(home.ledger()).expect("a database");
    let version = now.query_row("SELECT version FROM versions", [], |row| row.get(0));
    assert_eq!(version, Ok(9));
}

/// A reserve that was removed as well is made anew before anything in it counts as durable.
#[test]
fn a_reserve_that_was_removed_is_made_anew() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(1, used(1, 1, 100))]]).expect("durable");
    for file in [home.ledger(), home.log(), home.reserve()] {
        fs::remove_file(file).expect("removed");
    }
    assert_eq!(store.append(&[&[record(2, used(1, 1, 300))]]), gone());
    store.reserve(&[record(2, used(1, 1, 300))]).expect("room");
    // As if killed: nothing is put in its place.
    let found = ve_store::marks_left(&home.ledger(), ve_core::time::Utc(0));
    assert_eq!(found.meters[&(license(1), 1)].used_ms, 300);
}
