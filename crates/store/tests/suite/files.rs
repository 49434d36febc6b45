//! The file itself: kept over restarts, closed to others, and left alone when it isn't ours or isn't
//! whole.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use rusqlite::Connection;
use ve_core::node::event::{Event, Record};
use ve_store::{Embedded, Limits, LoadError, Memory, ReadOnly, Store};

use crate::events::{Home, blocked, closed, denied, marked, opened, record, seen, used};

/// A batch of each kind of event, at positions above `position`.
fn batch(position: u64) -> Vec<Record> {
    let events = [
        opened(position + 1),
        closed(position / 2),
        Event::RunBlocked(blocked(1, "a", 1)),
        seen(1, u32::try_from(position).expect("small")),
        used(1, 1, position),
        marked(position.cast_signed()),
        denied(),
    ];
    (position + 1..).zip(events).map(|(position, event)| record(position, event)).collect()
}

const BATCH: u64 = 7;

fn fill(store: &mut impl Store, batches: u64) {
    for position in (0..batches).map(|number| number * BATCH) {
        store.append(&[&batch(position)]).expect("durable");
    }
}

/// A closed ledger.
fn filled(batches: u64) -> Home {
    let home = Home::new();
    let mut store = home.open();
    fill(&mut store, batches);
    store.close().expect("a tidy end");
    home
}

#[test]
fn a_ledger_remembers_over_a_restart() {
    let home = Home::new();
    let mut store = home.open();
    assert!(store.is_new());
    fill(&mut store, 10);
    let before = (store.remember(), store.records(999), store.denials(999));
    store.close().expect("a tidy end");
    let mut store = home.open();
    assert!(!store.is_new());
    assert_eq!((store.remember(), store.records(999), store.denials(999)), before);
}

#[test]
fn only_the_owner_reads_the_ledger() {
    let home = filled(1);
    fs::set_permissions(home.ledger(), Permissions::from_mode(0o664)).expect("a mode");
    let _open = home.open();
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let metadata = fs::metadata(home.ledger().with_file_name(file)).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_ledger_that_was_allowed_more_shrinks_by_and_by() {
    let home = filled(200);
    let mut store = home.open_with(Limits { records: 10, ..Limits::default() });
    let count = |store: &mut Embedded| store.records(9_999).expect("the trail").len();
    store.append(&[&[record(9_001, opened(9_001))]]).expect("durable");
    assert_eq!(count(&mut store), 801 - 66);
    for position in 9_002..9_020 {
        store.append(&[&[record(position, opened(position))]]).expect("durable");
    }
    assert_eq!(count(&mut store), 10);
}

fn load_error(path: &Path) -> LoadError {
    Embedded::open(path).expect_err("refused")
}

impl Home {
    /// The file and its log.
    fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        (fs::read(self.ledger()).expect("a file"), fs::read(self.log()).unwrap_or_default())
    }
}

/// Opening for writing and for reading fails alike, and no byte changes.
fn refused_untouched(home: &Home) -> LoadError {
    let before = home.bytes();
    let error = load_error(&home.ledger());
    assert_eq!(ReadOnly::open(&home.ledger()).map(drop), Err(error.clone()));
    assert!(home.bytes() == before, "the file was changed");
    error
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let other_database = {
        let home = Home::new();
        let other = Connection::open(home.ledger()).expect("a database");
        other.execute_batch("CREATE TABLE users (name TEXT)").expect("a table");
        drop(other);
        fs::read(home.ledger()).expect("a file")
    };
    for content in [&b"x"[..], b"# a note\n", &[0xa5; 9_000], &other_database] {
        let home = Home::new();
        fs::write(home.ledger(), content).expect("a file");
        let error = refused_untouched(&home);
        assert_eq!(error, LoadError::Foreign(home.ledger()));
        assert!(error.to_string().contains("is no ledger of a license server; it was left"));
    }
}

#[test]
fn a_newer_ledger_is_refused_and_left_alone() {
    let home = filled(3);
    let newer = Connection::open(home.ledger()).expect("a database");
    newer.pragma_update(None, "user_version", 2).expect("a format");
    drop(newer);
    let error = refused_untouched(&home);
    assert_eq!(error, LoadError::Newer { path: home.ledger(), found: 2, known: 1 });
    assert!(error.to_string().contains("start the version that wrote it, or a newer one"));
}

#[test]
fn a_damaged_ledger_is_refused_and_left_alone() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 3] = [
        |bytes| bytes.truncate(bytes.len() / 2 / 4_096 * 4_096),
        |bytes| bytes[4_096..20_480].fill(0xa5),
        |bytes| bytes[100..4_096].fill(0),
    ];
    for damage in damages {
        let home = filled(100);
        let mut bytes = fs::read(home.ledger()).expect("a file");
        damage(&mut bytes);
        fs::write(home.ledger(), &bytes).expect("a file");
        let error = load_error(&home.ledger());
        assert!(matches!(error, LoadError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("it was left as it is: the server's next start"));
        assert!(fs::read(home.ledger()).expect("a file") == bytes, "the file was changed");
    }
}

/// A server was killed, its file is damaged, and its log is the only place of its last appends.
#[test]
fn a_damaged_ledger_keeps_its_log() {
    let (home, damaged) = (filled(100), Home::new());
    let mut store = home.open();
    store.append(&[&batch(100 * BATCH)]).expect("durable");
    let mut bytes = fs::read(home.ledger()).expect("a file");
    bytes[40_960..81_920].fill(0xa5);
    fs::write(damaged.ledger(), bytes).expect("a file");
    fs::copy(home.log(), damaged.log()).expect("a log");
    let before = damaged.bytes();
    let error = load_error(&damaged.ledger());
    assert!(matches!(error, LoadError::Damaged { .. }), "{error}");
    assert!(!before.1.is_empty() && damaged.bytes() == before, "the files were changed");
}

#[test]
fn a_row_that_makes_no_sense_is_damage() {
    for (sql, what) in [
        ("UPDATE sessions SET body = '{}'", "missing field"),
        ("UPDATE versions SET license_id = 'x'", "a license ID has the form"),
        ("UPDATE marks SET position = -1", "out of range"),
    ] {
        let home = filled(3);
        let other = Connection::open(home.ledger()).expect("a database");
        other.execute_batch(sql).expect("a change");
        drop(other);
        let error = load_error(&home.ledger());
        assert!(matches!(error, LoadError::Damaged { .. }), "{sql}: {error}");
        assert!(error.to_string().contains(what), "{sql}: {error}");
    }
}

#[test]
fn what_the_system_does_not_give_is_named() {
    let home = Home::new();
    let nowhere = home.ledger().join("ledger.db");
    let error = load_error(&nowhere).to_string();
    assert!(error.contains("can't be opened or read: No such file or directory"), "{error}");
    fs::create_dir(home.ledger()).expect("a folder");
    let error = load_error(&home.ledger()).to_string();
    assert!(error.contains("a file can't be opened or made (SQLITE_CANTOPEN)"), "{error}");
}

/// Power fails while the log is written: wherever it ends, or turns into noise, what is left is a
/// whole number of appends.
#[test]
fn a_torn_log_ends_between_two_appends() {
    const BATCHES: u64 = 12;
    let home = Home::new();
    let mut store = home.open();
    fill(&mut store, BATCHES);
    let (file, log) = home.bytes();
    let mut found = Vec::new();
    for end in (0..log.len()).step_by(log.len() / 97).chain([log.len()]) {
        let mut noisy = log.clone();
        noisy[end..].fill(0xa5);
        for torn in [&log[..end], &noisy] {
            let copy = Home::new();
            fs::write(copy.ledger(), &file).expect("a file");
            fs::write(copy.log(), torn).expect("a log");
            let remembered = copy.open().remember().expect("a sound ledger");
            let (batches, rest) = (remembered.position / BATCH, remembered.position % BATCH);
            let mut memory = Memory::new();
            fill(&mut memory, batches);
            assert_eq!((Ok(remembered), rest), (memory.remember(), 0), "torn at {end}");
            found.push(batches);
        }
    }
    assert!(found.is_sorted() && found.last() == Some(&BATCHES), "{found:?}");
}
