//! Copies of a ledger for backups, and what becomes of one that is put back.

use std::{fs, path::PathBuf};

use ve_core::time::Utc;
use ve_store::{
    Begun, BegunCause, HighWater, HostMarks, LoadError, ReadOnly, Store, adopt, check_copy,
    hosts_left, marks_left,
};

use crate::events::{
    Home, homed, host, license, marked, metered, opened, record, retired, retired_host, seen, used,
};

const BEGUN: Begun = Begun { at: Utc(9), cause: BegunCause::Restored };

fn copy_of(home: &Home) -> (Home, PathBuf) {
    let elsewhere = Home::new();
    let copy = elsewhere.ledger();
    fs::write(&copy, "").expect("an empty file");
    let copied = ReadOnly::open(&home.ledger()).expect("a reader").copy_to(&copy);
    assert_eq!(copied, Ok(true));
    (elsewhere, copy)
}

#[test]
fn a_copy_is_what_the_ledger_was_at_one_moment() {
    let home = Home::new();
    let mut server = home.open();
    server.append(&[&[record(1, opened(1)), record(2, used(1, 1, 10))]]).expect("durable");
    let before = server.remember().expect("a ledger");
    let (elsewhere, copy) = copy_of(&home);
    server.append(&[&[record(3, opened(2))]]).expect("the copy is in nobody's way");
    assert_eq!(check_copy(&copy), Ok(before.clone()));
    assert!(!elsewhere.log().exists(), "a copy is one file");
    let mut opened = elsewhere.open();
    assert_eq!(opened.remember(), Ok(before));
    assert_eq!(opened.records(9).map(|records| records.len()), Ok(1));
}

#[test]
fn a_home_without_a_ledger_has_nothing_to_copy() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let copied = ReadOnly::open(&home.ledger()).expect("a reader").copy_to(&elsewhere.ledger());
    assert_eq!(copied, Ok(false));
    assert!(!elsewhere.ledger().exists());
}

#[test]
fn a_copy_that_can_not_be_written_says_so() {
    let home = Home::new();
    home.open().append(&[&[record(1, opened(1))]]).expect("durable");
    let copy = home.ledger().with_file_name("nowhere").join("copy");
    let error = ReadOnly::open(&home.ledger()).expect("a reader").copy_to(&copy);
    let error = error.expect_err("no such folder");
    assert!(error.to_string().contains("nowhere/copy can't be written: "), "{error}");
}

#[test]
fn a_damaged_copy_is_found() {
    let home = Home::new();
    let mut server = home.open();
    for number in 1..200 {
        server.append(&[&[record(number, opened(number))]]).expect("durable");
    }
    let (_elsewhere, copy) = copy_of(&home);
    let mut bytes = fs::read(&copy).expect("a file");
    let middle = bytes.len() / 8_192 * 4_096;
    bytes[middle..middle + 4_096].fill(0xa5);
    fs::write(&copy, bytes).expect("a file");
    assert!(matches!(check_copy(&copy), Err(LoadError::Damaged { .. })));
    fs::write(&copy, "").expect("a file");
    assert_eq!(check_copy(&copy), Err(LoadError::Foreign(copy)));
}

#[test]
fn an_adopted_copy_has_the_higher_of_all_marks_and_may_lack_holders() {
    let home = Home::new();
    let mut server = home.open();
    let first = [record(1, opened(1)), record(2, used(1, 1, 500)), record(3, marked(70))];
    server.append(&[&first]).expect("durable");
    let of_hosts = [record(4, retired(1, 1, 50)), record(5, homed(1, 3)), record(6, homed(2, 9))];
    server.append(&[&of_hosts]).expect("durable");
    let (elsewhere, copy) = copy_of(&home);
    let marks = HighWater {
        position: 90,
        last_session: 7,
        time: Some(Utc(60)),
        versions: [(license(1), 3)].into(),
        meters: [((license(1), 1), metered(400)), ((license(2), 1), metered(800))].into(),
    };
    let hosts = HostMarks {
        retired: [(host(1), retired_host(2, 60)), (host(2), retired_host(1, 70))].into(),
        homed: [(license(1), 4), (license(2), 8)].into(),
    };
    adopt(&copy, &marks, &hosts, BEGUN).expect("adopted");
    // Once more changes nothing.
    adopt(&copy, &marks, &hosts, BEGUN).expect("adopted");
    assert!(!elsewhere.log().exists() && !elsewhere.reserve().exists());
    let remembered = check_copy(&copy).expect("a ledger");
    let expected = HighWater {
        time: Some(Utc(70)),
        meters: [((license(1), 1), metered(500)), ((license(2), 1), metered(800))].into(),
        ..marks
    };
    assert_eq!(HighWater::of(&remembered), expected);
    assert!(remembered.may_lack_holders && remembered.sessions.len() == 1);
    // The first retirement and the higher count stay.
    let expected = HostMarks {
        retired: [(host(1), retired_host(1, 50)), (host(2), retired_host(1, 70))].into(),
        homed: [(license(1), 4), (license(2), 9)].into(),
    };
    assert_eq!(HostMarks::of(&remembered), expected);
    assert_eq!(hosts_left(&copy), expected);
    assert_eq!(elsewhere.open().begun(), Ok(Some(BEGUN)));
}

#[test]
fn a_ledger_that_stays_is_raised_and_keeps_what_is_higher() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(5, seen(1, 4)), record(6, used(1, 4, 100))]]).expect("durable");
    let other = HighWater {
        position: 2,
        versions: [(license(1), 3), (license(2), 1)].into(),
        meters: [((license(1), 4), metered(300))].into(),
        ..HighWater::default()
    };
    let own = HighWater::of(&store.remember().expect("a ledger"));
    assert!(!own.covers(&other) && own.covers(&own));
    store.raise(&other).expect("durable");
    let raised = HighWater::of(&store.remember().expect("a ledger"));
    assert_eq!(raised, own.clone().joined(&other));
    drop(store);
    // Both copies have it.
    assert_eq!(marks_left(&home.ledger(), Utc(0)), raised);
    fs::remove_file(home.reserve()).expect("removed");
    assert_eq!(home.open().remember().map(|it| HighWater::of(&it)), Ok(raised));
}

#[test]
fn a_ledger_that_stays_joins_the_hosts_of_another() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(1, retired(1, 1, 50)), record(2, homed(1, 3))]]).expect("durable");
    let other =
        HostMarks { retired: [(host(2), retired_host(1, 70))].into(), ..HostMarks::default() };
    for _ in 0..2 {
        store.join_hosts(&other).expect("durable");
    }
    drop(store);
    let expected = HostMarks {
        retired: [(host(1), retired_host(1, 50)), (host(2), retired_host(1, 70))].into(),
        homed: [(license(1), 3)].into(),
    };
    assert_eq!(HostMarks::of(&home.open().remember().expect("a ledger")), expected);
}
