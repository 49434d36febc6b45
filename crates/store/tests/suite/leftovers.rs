//! What is left beside a ledger, or of it: a journal, a reserve without its ledger, numbers that
//! nobody ever gave.

use std::fs;

use rusqlite::Connection;
use ve_core::time::Utc;
use ve_store::{Embedded, Finding, LoadError, ReadOnly, Store, check_copy};

use crate::events::{Home, license, metered, opened, record, seen, used};

const NOW: Utc = Utc(1_763_842_083);

fn start(home: &Home) -> Finding {
    Embedded::open_for_service(&home.ledger(), None, false, NOW).expect("a ledger").finding
}

fn journal(home: &Home) -> std::path::PathBuf {
    home.ledger().with_file_name("ledger.db-journal")
}

/// A file whose first transaction was cut off: its pages are there, and the journal that takes them
/// back.
fn cut_off() -> Home {
    let (busy, home) = (Home::new(), Home::new());
    let other = Connection::open(busy.ledger()).expect("a database");
    let fill = "PRAGMA cache_size = 1; BEGIN; CREATE TABLE t (a);
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)
                INSERT INTO t SELECT zeroblob(4000) FROM n";
    other.execute_batch(fill).expect("a transaction");
    for file in [Home::ledger, journal] {
        fs::copy(file(&busy), file(&home)).expect("a file");
    }
    assert!(fs::read(home.ledger()).expect("a file").len() > 512, "nothing to roll back");
    home
}

#[test]
fn a_first_start_that_was_cut_off_is_read_as_nothing_and_done_again() {
    let reader = ReadOnly::open(&cut_off().ledger()).and_then(|mut reader| reader.remember());
    assert_eq!(reader, Ok(ve_core::node::event::Remembered::default()));
    let home = cut_off();
    assert_eq!(check_copy(&home.ledger()), Err(LoadError::Foreign(home.ledger())));
    assert_eq!(start(&cut_off()), Finding::FirstStart);
}

/// A journal that nobody can use doesn't stay for the next ledger, which it would take back.
#[test]
fn a_damaged_ledger_takes_its_journal_along() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(1, used(1, 1, 900))]]).expect("durable");
    store.close().expect("a tidy end");
    fs::write(journal(&home), "no journal").expect("a file");
    let mut bytes = fs::read(home.ledger()).expect("a file");
    bytes[100..4_096].fill(0);
    fs::write(home.ledger(), bytes).expect("a file");
    assert!(matches!(start(&home), Finding::Lost(_)));
    assert!(!journal(&home).exists());
    assert_eq!(start(&home), Finding::Sound);
}

/// A server ran here: its reserve is there, though nothing can be read of it.
#[test]
fn a_spoiled_reserve_shows_that_there_was_a_ledger() {
    for content in [vec![0; 128 * 1024], vec![0xa5; 9_000], Vec::new()] {
        let home = Home::new();
        fs::write(home.reserve(), content).expect("a file");
        let found = start(&home);
        assert!(matches!(&found, Finding::Lost(lost) if !lost.from_reserve), "{found:?}");
    }
}

#[test]
fn noise_beside_a_reserve_with_marks_is_a_damaged_ledger() {
    for noise in [&[0; 9_000][..], &[0xa5; 9_000], b"x"] {
        let home = Home::new();
        let mut store = home.open();
        store.append(&[&[record(1, used(1, 1, 900))]]).expect("durable");
        store.close().expect("a tidy end");
        fs::write(home.ledger(), noise).expect("a file");
        let opened =
            Embedded::open_for_service(&home.ledger(), None, false, NOW).expect("a ledger");
        let Finding::Lost(lost) = opened.finding else { panic!("{:?}", opened.finding) };
        assert_eq!(lost.saved.meters, [((license(1), 1), metered(900))].into());
        assert_eq!(fs::read(lost.aside.expect("it is kept")).expect("a file"), noise);
    }
}

/// Nothing could be appended above such a number, and nobody could log in ever again.
#[test]
fn a_number_that_nobody_gave_is_damage() {
    for column in ["position", "last_session"] {
        let home = Home::new();
        let mut store = home.open();
        store.append(&[&[record(1, used(1, 1, 900)), record(2, opened(1))]]).expect("durable");
        store.close().expect("a tidy end");
        let other = Connection::open(home.ledger()).expect("a database");
        let sql = format!("UPDATE marks SET {column} = 9223372036854775807");
        other.execute_batch(&sql).expect("a change");
        drop(other);
        let error = check_copy(&home.ledger()).expect_err("refused");
        assert!(matches!(error, LoadError::Damaged { .. }), "{column}: {error}");
        let opened =
            Embedded::open_for_service(&home.ledger(), None, false, NOW).expect("a ledger");
        assert!(matches!(opened.finding, Finding::Lost(_)), "{column}: {:?}", opened.finding);
        let mut store = opened.store;
        let remembered = store.remember().expect("a ledger");
        assert_eq!(remembered.meters, [((license(1), 1), metered(900))].into());
        let next =
            record(remembered.position + 1, crate::events::opened(remembered.last_session + 1));
        store.append(&[&[next]]).expect("durable");
    }
}

/// The reserve couldn't be read when the server started, and can be now.
#[test]
fn a_reserve_that_comes_back_loses_nothing() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(1, used(1, 1, 100))]]).expect("durable");
    store.reserve(&[record(2, used(1, 1, 900)), record(3, seen(2, 7))]).expect("room");
    drop(store);
    let away = home.reserve().with_file_name("away");
    fs::rename(home.reserve(), &away).expect("moved");
    fs::create_dir(home.reserve()).expect("a folder");
    let mut store = home.open();
    assert!(store.reserve_trouble().is_some());
    fs::remove_dir(home.reserve()).expect("removed");
    fs::rename(&away, home.reserve()).expect("moved");
    for position in 4..8 {
        store.append(&[&[record(position, used(1, 1, 100 + position))]]).expect("durable");
    }
    drop(store);
    let remembered = home.open().remember().expect("a ledger");
    assert_eq!(remembered.meters, [((license(1), 1), metered(900))].into());
    assert_eq!(remembered.versions, [(license(2), 7)].into());
}

/// The disk was full, and is not any more: the next start gives the ledger what it missed.
#[test]
fn what_only_the_reserve_knows_gets_into_the_ledger() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(1, used(1, 1, 100))]]).expect("durable");
    store.reserve(&[record(2, seen(2, 7))]).expect("room");
    drop(store);
    drop(home.open());
    fs::remove_file(home.reserve()).expect("removed");
    let remembered = home.open().remember().expect("a ledger");
    assert_eq!((remembered.versions, remembered.position), ([(license(2), 7)].into(), 2));
    assert!(!remembered.may_lack_holders);
}

/// A ledger from a backup may have been made by anyone, and a person reads what is wrong with it.
#[test]
fn what_a_damaged_ledger_says_drives_no_terminal() {
    let home = Home::new();
    home.open().close().expect("a tidy end");
    let other = Connection::open(home.ledger()).expect("a database");
    let sql = r#"UPDATE marks SET begun = '{"\u001b[2Jx": 1}'"#;
    other.execute_batch(sql).expect("a change");
    drop(other);
    let error = home.open().begun().expect_err("refused").to_string();
    assert!(error.contains("[2Jx") && !error.contains('\u{1b}'), "{error:?}");
}
