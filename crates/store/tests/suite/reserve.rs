//! The reserve: marks go on when the ledger takes nothing, and are joined wherever the ledger is read.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    sync::mpsc,
};

use ve_core::{
    node::{
        event::{AppendError, Event, Record, Remembered},
        io::Durable,
    },
    time::Utc,
};
use ve_store::{AppendFailure, Embedded, Limits, Memory, ReadOnly, Store, Writer};

use crate::events::{
    Home, closed, denied, license, marked, metered, opened, record, seen, session, used,
};

/// The length of the file in bytes.
const LENGTH: u64 = 128 * 1024;

fn on_every_engine(check: impl Fn(&mut dyn Store)) {
    println!("memory");
    check(&mut Memory::new());
    println!("embedded");
    check(&mut Home::new().open());
}

#[test]
fn marks_in_the_reserve_count_as_if_the_ledger_had_them() {
    on_every_engine(|store| {
        let first = [record(1, opened(1)), record(2, used(1, 3, 100))];
        store.append(&[&first]).expect("durable");
        let marks = [record(4, used(1, 3, 500)), record(5, marked(900)), record(6, seen(2, 7))];
        store.reserve(&marks).expect("room");
        store.reserve(&[record(7, used(1, 3, 400))]).expect("room");
        let expected = Remembered {
            position: 7,
            last_session: 1,
            sessions: vec![session(1)],
            versions: [(license(2), 7)].into(),
            meters: [((license(1), 3), metered(500))].into(),
            time_mark: Some(Utc(900)),
            ..Remembered::default()
        };
        assert_eq!(store.remember().as_ref(), Ok(&expected));
        // The ledger goes on above, and what it then says is higher.
        store.append(&[&[record(8, used(1, 3, 600)), record(9, closed(1))]]).expect("durable");
        let meters = [((license(1), 3), metered(600))].into();
        let expected = Remembered { position: 9, sessions: Vec::new(), meters, ..expected };
        assert_eq!(store.remember(), Ok(expected));
    });
}

#[test]
fn the_reserve_is_for_marks_alone() {
    for event in [opened(2), closed(1), denied(), Event::HoldersUnknown { unknown: true }] {
        on_every_engine(|store| {
            let refused = store.reserve(&[record(1, used(1, 1, 5)), record(2, event.clone())]);
            let why = "the reserve keeps marks and nothing else".to_string();
            assert_eq!(refused, Err(AppendFailure::Batch { index: 0, why }));
            assert_eq!(store.remember(), Ok(Remembered::default()));
        });
    }
    on_every_engine(|store| {
        let refused = store.reserve(&[record(1, used(1, 1, u64::MAX))]);
        assert!(matches!(refused, Err(AppendFailure::Batch { index: 0, .. })), "{refused:?}");
    });
}

#[test]
fn more_than_it_has_room_for_is_refused_loudly_and_changes_nothing() {
    on_every_engine(|store| {
        let of = |version: u32| record(u64::from(version), used(1, version, 1));
        let fits: Vec<Record> = (1..=200).map(of).collect();
        store.reserve(&fits).expect("room");
        let before = store.remember();
        let too_many: Vec<Record> = (201..=900).map(of).collect();
        let refused = store.reserve(&too_many).expect_err("no room");
        assert!(refused.to_string().contains("the reserve has room for 65484"), "{refused}");
        assert_eq!(store.remember(), before);
        // The ledger itself has room; a version that can't be used any more needs none.
        store.append(&[&too_many]).expect("durable");
        store.append(&[&[record(901, seen(1, 899))]]).expect("durable");
        store.reserve(&[record(902, marked(9))]).expect("room again");
        // What only the reserve knew of those versions went with them.
        assert_eq!(store.remember().map(|it| it.meters.len()), Ok(700));
    });
}

#[test]
fn a_writer_says_where_a_mark_is_durable() {
    let memory = Memory::new();
    let (tell, done) = mpsc::channel();
    let tell = move |_, outcome| tell.send(outcome).expect("the test listens");
    let writer = Writer::start(memory.clone(), tell).expect("a thread");
    let outcome = |position, event| {
        writer.submit(position, vec![record(position, event)]).expect("room");
        done.recv().expect("an outcome")
    };
    assert_eq!(outcome(1, used(1, 1, 10)), Ok(Durable::Ledger));
    memory.break_with("disk full (SQLITE_FULL)");
    assert_eq!(outcome(2, used(1, 1, 20)), Ok(Durable::Reserve));
    assert_eq!(outcome(3, opened(1)), Err(AppendError("disk full (SQLITE_FULL)".into())));
    memory.break_reserve_with("marks.reserve can't be used: gone");
    let both = "disk full (SQLITE_FULL); marks.reserve can't be used: gone";
    assert_eq!(outcome(4, used(1, 1, 30)), Err(AppendError(both.into())));
    memory.repair_reserve();
    assert_eq!(outcome(5, used(1, 1, 40)), Ok(Durable::Reserve));
    memory.repair();
    assert_eq!(outcome(6, used(1, 1, 50)), Ok(Durable::Ledger));
    let meters = [((license(1), 1), metered(50))].into();
    assert_eq!(memory.clone().remember().map(|it| it.meters), Ok(meters));
}

#[test]
fn it_is_there_from_the_start_in_its_full_length_and_its_owners_alone() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(store.reserve_trouble(), None);
    let metadata = fs::metadata(home.reserve()).expect("a file");
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (LENGTH, 0o600));
    assert!(metadata.blocks() * 512 >= LENGTH, "it is a hole, not room");
    drop(store);
    fs::set_permissions(home.reserve(), fs::Permissions::from_mode(0o644)).expect("a mode");
    drop(home.open());
    let mode = fs::metadata(home.reserve()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_reader_sees_the_marks_of_the_reserve() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(1, opened(1)), record(2, used(1, 1, 10))]]).expect("durable");
    let mut reader = ReadOnly::open(&home.ledger()).expect("a reader");
    store.reserve(&[record(3, used(1, 1, 99))]).expect("room");
    assert_eq!(reader.remember(), store.remember());
    let meters = [((license(1), 1), metered(99))].into();
    assert_eq!(reader.remember().map(|it| it.meters), Ok(meters));
}

/// What stands in the reserve's place is never followed, never trusted, and never in the way.
#[test]
fn a_reserve_that_can_not_be_used_is_named_and_the_ledger_works_without() {
    let elsewhere = Home::new();
    let target = elsewhere.reserve();
    fs::write(&target, "somebody's").expect("a file");
    let spoil: [&dyn Fn(&Home); 2] =
        [&|home| fs::create_dir(home.reserve()).expect("a folder"), &|home| {
            symlink(&target, home.reserve()).expect("a link");
        }];
    for spoil in spoil {
        let home = Home::new();
        spoil(&home);
        let mut store = home.open();
        let trouble = store.reserve_trouble().expect("named").to_string();
        assert!(trouble.contains("marks.reserve can't be used: "), "{trouble}");
        store.append(&[&[record(1, used(1, 1, 10))]]).expect("durable");
        let refused = store.reserve(&[record(2, used(1, 1, 20))]);
        assert!(matches!(refused, Err(AppendFailure::Ledger(_))), "{refused:?}");
    }
    assert_eq!(fs::read(&target).expect("a file"), b"somebody's");
    let home = Home::new();
    fs::write(home.reserve(), vec![0xa5; 200_000]).expect("a file");
    let mut store = home.open();
    assert_eq!(store.reserve_trouble(), None);
    assert_eq!(store.remember(), Ok(Remembered::default()));
    store.reserve(&[record(1, used(1, 1, 20))]).expect("it is taken over");
}

#[test]
fn a_reserve_that_was_cut_short_or_lost_comes_back_with_all_marks() {
    for length in [None, Some(0), Some(700), Some(70_000)] {
        let home = Home::new();
        let mut store = home.open();
        for position in 1..9 {
            store.append(&[&[record(position, used(1, 1, position))]]).expect("durable");
        }
        drop(store);
        match length {
            None => fs::remove_file(home.reserve()).expect("removed"),
            Some(length) => {
                let file = File::options().write(true).open(home.reserve()).expect("a file");
                file.set_len(length).expect("cut");
            }
        }
        let mut store = home.open();
        store.reserve(&[record(10, used(1, 1, 77))]).expect("room");
        drop(store);
        assert_eq!(fs::metadata(home.reserve()).expect("a file").len(), LENGTH);
        let meters = [((license(1), 1), metered(77))].into();
        assert_eq!(home.open().remember().map(|it| it.meters), Ok(meters), "{length:?}");
    }
}

/// The ledger is full at once, its process ends without a word, and the marks are there.
#[test]
fn what_the_reserve_took_outlives_its_process() {
    let home = Home::new();
    let limits = Limits { pages: Some(40), ..Limits::default() };
    let mut store = Embedded::open_with(&home.ledger(), limits).expect("a ledger");
    let mut position = 0;
    while store.append(&[&[record(position + 1, opened(position + 1))]]).is_ok() {
        position += 1;
    }
    for tick in 1..=50 {
        store.reserve(&[record(position + tick, used(1, 1, tick * 50_000))]).expect("room");
    }
    drop(store);
    let mut store = home.open();
    let remembered = store.remember().expect("a ledger");
    assert_eq!(remembered.meters, [((license(1), 1), metered(2_500_000))].into());
    assert_eq!((remembered.position, remembered.last_session), (position + 50, position));
    assert!(!remembered.may_lack_holders);
}
