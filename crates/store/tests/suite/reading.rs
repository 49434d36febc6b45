//! Tools read the ledger whether its server runs or not.

use ve_core::node::event::Remembered;
use ve_store::{LoadError, ReadOnly, Store};

use crate::events::{Home, denied, opened, record};

#[test]
fn a_home_without_a_ledger_reads_as_empty_and_stays_so() {
    let home = Home::new();
    let mut reader = ReadOnly::open(&home.ledger()).expect("a reader");
    assert_eq!(reader.remember(), Ok(Remembered::default()));
    assert_eq!(reader.records(9), Ok(Vec::new()));
    assert_eq!(reader.denials(9), Ok(Vec::new()));
    assert!(!home.ledger().exists());
}

#[test]
fn a_ledger_that_was_just_made_reads_as_empty() {
    let home = Home::new();
    std::fs::write(home.ledger(), "").expect("a file");
    let mut reader = ReadOnly::open(&home.ledger()).expect("a reader");
    assert_eq!(reader.remember(), Ok(Remembered::default()));
}

#[test]
fn a_home_that_is_not_there_is_an_error() {
    let home = Home::new();
    let nowhere = home.ledger().join("ledger.db");
    let error = ReadOnly::open(&nowhere).expect_err("no such folder");
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains("can't be opened or read: "), "{error}");
}

#[test]
fn a_reader_sees_what_a_running_server_has_appended() {
    let home = Home::new();
    let mut server = home.open();
    let mut reader = ReadOnly::open(&home.ledger()).expect("a reader");
    for position in 1..=5 {
        server.append(&[&[record(position, opened(position))]]).expect("durable");
        assert_eq!(reader.remember(), server.remember());
    }
    server.append(&[&[record(6, denied())]]).expect("durable");
    assert_eq!(reader.records(3), server.records(3));
    assert_eq!(reader.denials(3), server.denials(3));
}

#[test]
fn a_reader_does_not_hold_up_the_server_and_outlives_it() {
    let home = Home::new();
    let mut server = home.open();
    server.append(&[&[record(1, opened(1))]]).expect("durable");
    let mut reader = ReadOnly::open(&home.ledger()).expect("a reader");
    let before = reader.remember();
    assert_eq!(server.close(), Ok(()));
    assert_eq!(reader.remember(), before);
    drop(reader);
    assert_eq!(ReadOnly::open(&home.ledger()).expect("a reader").remember(), before);
}
