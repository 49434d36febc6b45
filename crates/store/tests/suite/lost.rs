//! A server's start with a ledger that is damaged, missing, or older than it was.

use std::{fs, path::PathBuf};

use rusqlite::Connection;
use ve_core::{id::ServerKey, time::Utc};
use ve_store::{
    Begun, BegunCause, Embedded, Finding, HighWater, LoadError, Lost, Opened, ReadOnly,
    ReserveFinding, Store,
};

use crate::events::{Home, license, marked, metered, opened, record, seen, used};

const NOW: Utc = Utc(1_763_842_083);

/// A ledger that has gone on for a while, as a killed server leaves it or, when `closed`, as one that
/// ended by itself.
fn grown(closed: bool) -> (Home, HighWater) {
    let home = Home::new();
    let mut store = home.open();
    for position in (1..300).step_by(4) {
        let batch = [
            record(position, opened(position)),
            record(position + 1, used(1, 2, position * 1_000)),
            record(position + 2, marked(NOW.0 - 1_000 + position.cast_signed())),
            record(position + 3, seen(1, 2)),
        ];
        store.append(&[&batch]).expect("durable");
    }
    let marks = HighWater::of(&store.remember().expect("a ledger"));
    if closed {
        store.close().expect("a tidy end");
        return (home, marks);
    }
    let killed = Home::new();
    let files = [Home::ledger, Home::log, Home::reserve];
    for file in files {
        fs::copy(file(&home), file(&killed)).expect("a file");
    }
    (killed, marks)
}

fn start(home: &Home, is_expected: bool) -> Opened {
    Embedded::open_for_service(&home.ledger(), None, is_expected, NOW).expect("a ledger")
}

fn lost(opened: &Opened) -> &Lost {
    match &opened.finding {
        Finding::Lost(lost) => lost,
        other => panic!("{other:?}"),
    }
}

/// All marks are there, the ledger may lack holders, and all of that stays so over another start.
#[track_caller]
fn expect_saved(home: &Home, opened: Opened, marks: &HighWater, cause: BegunCause) {
    let mut store = opened.store;
    for start in ["first", "second"] {
        let remembered = store.remember().expect("a ledger");
        assert_eq!(&HighWater::of(&remembered), marks, "{start}");
        assert!(remembered.may_lack_holders && remembered.sessions.is_empty(), "{start}");
        assert_eq!(store.begun(), Ok(Some(Begun { at: NOW, cause })), "{start}");
        drop(store);
        let again = Embedded::open_for_service(&home.ledger(), None, true, NOW).expect("a ledger");
        assert_eq!(again.finding, Finding::Sound, "{start}");
        store = again.store;
    }
    store.append(&[&[record(marks.position + 1, opened_next(marks))]]).expect("durable");
}

fn opened_next(marks: &HighWater) -> ve_core::node::event::Event {
    opened(marks.last_session + 1)
}

fn damage_pages(home: &Home) {
    let mut bytes = fs::read(home.ledger()).expect("a file");
    bytes[100..4_096].fill(0);
    fs::write(home.ledger(), bytes).expect("a file");
}

#[test]
fn a_first_start_is_no_loss_and_a_sound_ledger_none_either() {
    let home = Home::new();
    let mut first = start(&home, false);
    assert_eq!(first.finding, Finding::FirstStart);
    assert_eq!(first.store.begun(), Ok(None));
    first.store.append(&[&[record(1, seen(1, 1))]]).expect("durable");
    drop(first);
    assert_eq!(start(&home, true).finding, Finding::Sound);
}

#[test]
fn a_missing_ledger_gets_its_marks_from_the_reserve() {
    for closed in [true, false] {
        let (home, marks) = grown(closed);
        fs::remove_file(home.ledger()).expect("removed");
        // Nobody else may make a new one in silence.
        let refused = Embedded::open(&home.ledger()).map(drop);
        assert_eq!(refused, Err(LoadError::Missing(home.ledger())));
        assert!(!home.ledger().exists());
        let opened = start(&home, false);
        let found = lost(&opened).clone();
        assert_eq!((found.damage.as_deref(), &found.aside), (None, &None));
        assert!(found.from_reserve && !found.from_ledger);
        expect_saved(&home, opened, &found.saved, BegunCause::Lost);
        // Position and session number lag by the last batch at most, when the server was killed.
        assert_eq!(
            HighWater { position: 0, last_session: 0, ..found.saved.clone() },
            HighWater { position: 0, last_session: 0, ..marks.clone() }
        );
        assert!(found.saved.position + 4 >= marks.position);
    }
}

#[test]
fn a_missing_ledger_without_a_reserve_is_said_aloud_where_one_must_have_been() {
    let (home, _) = grown(true);
    fs::remove_file(home.ledger()).expect("removed");
    fs::remove_file(home.reserve()).expect("removed");
    let opened = start(&home, true);
    assert!(!lost(&opened).from_reserve && lost(&opened).saved.is_empty());
    expect_saved(&home, opened, &HighWater::default(), BegunCause::LostEntirely);
}

#[test]
fn a_damaged_ledger_is_put_aside_with_its_log_and_begun_anew() {
    let (home, marks) = grown(false);
    let log = fs::read(home.log()).expect("a log");
    damage_pages(&home);
    // The log still has whole pages of it; without one, they are really gone.
    fs::remove_file(home.log()).expect("removed");
    fs::write(home.log(), &log[..40]).expect("a log");
    let bytes = fs::read(home.ledger()).expect("a file");
    let opened = start(&home, true);
    let found = lost(&opened);
    assert!(found.damage.is_some() && found.from_reserve, "{found:?}");
    let aside = found.aside.clone().expect("it was put aside");
    assert_eq!(aside.file_name().expect("a name"), "ledger.db.damaged-20251122T200803Z");
    assert!(fs::read(&aside).expect("a file") == bytes, "it was changed");
    let saved = found.saved.clone();
    assert_eq!((&saved.meters, &saved.versions), (&marks.meters, &marks.versions));
    expect_saved(&home, opened, &saved, BegunCause::Lost);
    assert!(aside.exists());
}

/// Without the reserve, what the damage left is read from the file.
#[test]
fn marks_are_read_from_the_pages_that_are_left() {
    let (home, marks) = grown(true);
    fs::remove_file(home.reserve()).expect("removed");
    let connection = Connection::open(home.ledger()).expect("a database");
    let root: usize = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'records'", [], |row| {
            row.get(0)
        })
        .expect("a table");
    drop(connection);
    let mut bytes = fs::read(home.ledger()).expect("a file");
    bytes[(root - 1) * 4_096..root * 4_096].fill(0xa5);
    fs::write(home.ledger(), bytes).expect("a file");
    let opened = start(&home, true);
    let found = lost(&opened);
    assert!(found.from_ledger && !found.from_reserve, "{found:?}");
    expect_saved(&home, opened, &marks, BegunCause::Lost);
}

#[test]
fn a_time_mark_that_is_noise_is_not_believed() {
    let (home, marks) = grown(true);
    fs::remove_file(home.reserve()).expect("removed");
    let connection = Connection::open(home.ledger()).expect("a database");
    let noise = "UPDATE marks SET time_mark = 99999999999, position = 9000000000000000000;
                 UPDATE sessions SET body = '{}'";
    connection.execute_batch(noise).expect("a change");
    drop(connection);
    let opened = start(&home, true);
    let saved = &lost(&opened).saved;
    assert_eq!((saved.time, saved.position), (None, 0));
    assert_eq!(saved.meters, marks.meters);
}

#[test]
fn what_is_no_ledger_or_a_newer_one_stays_an_error() {
    let home = Home::new();
    fs::write(home.ledger(), vec![0xa5; 9_000]).expect("a file");
    let refused = Embedded::open_for_service(&home.ledger(), None, true, NOW).map(|_| ());
    assert_eq!(refused, Err(LoadError::Foreign(home.ledger())));
    let (home, _) = grown(true);
    let newer = Connection::open(home.ledger()).expect("a database");
    newer.pragma_update(None, "user_version", 2).expect("a format");
    drop(newer);
    let refused = Embedded::open_for_service(&home.ledger(), None, true, NOW).map(|_| ());
    assert!(matches!(refused, Err(LoadError::Newer { .. })), "{refused:?}");
}

#[test]
fn an_older_ledger_in_the_place_of_a_newer_one_is_noticed_and_raised() {
    let home = Home::new();
    let mut store = home.open();
    store.append(&[&[record(1, opened(1)), record(2, used(1, 1, 100))]]).expect("durable");
    store.close().expect("a tidy end");
    let older = fs::read(home.ledger()).expect("a file");
    let mut store = home.open();
    store.append(&[&[record(3, opened(2)), record(4, used(1, 1, 900))]]).expect("durable");
    store.close().expect("a tidy end");
    fs::write(home.ledger(), &older).expect("a file");
    // A tool that writes to it first doesn't hide it.
    let mut tool = home.open();
    let begun = tool.begun().expect("a ledger").map(|begun| begun.cause);
    assert_eq!(begun, Some(BegunCause::Older));
    tool.append(&[&[record(9, seen(1, 1))]]).expect("durable");
    drop(tool);
    assert!(start(&home, true).store.remember().expect("a ledger").may_lack_holders);
    // And the reserve goes on from there.
    fs::write(home.ledger(), older).expect("a file");
    let mut opened = start(&home, true);
    assert_eq!(opened.finding, Finding::Older { found: 2, known: 9 });
    let remembered = opened.store.remember().expect("a ledger");
    assert_eq!(remembered.meters, [((license(1), 1), metered(900))].into());
    assert_eq!((remembered.position, remembered.sessions.len()), (9, 1));
    assert!(remembered.may_lack_holders);
    drop(opened);
    let mut again = start(&home, true);
    assert_eq!(again.finding, Finding::Sound);
    assert!(again.store.remember().expect("a ledger").may_lack_holders);
}

/// The machine fails anywhere in a recovery: the next start ends it, and no mark is gone.
#[test]
fn a_recovery_that_was_cut_off_is_done_again() {
    let steps: [&dyn Fn(&Home); 4] = [
        // The log is aside already, the ledger is not.
        &|home| damage_pages(home),
        // All is aside.
        &|home| fs::remove_file(home.ledger()).expect("removed"),
        // The new file is made, and nothing is in it.
        &|home| fs::write(home.ledger(), "").expect("a file"),
        // It is set up, and nothing is committed.
        &|home| {
            fs::remove_file(home.ledger()).expect("removed");
            let begun = Connection::open(home.ledger()).expect("a database");
            let mode = "PRAGMA journal_mode = WAL";
            begun.query_row(mode, [], |_| Ok(())).expect("a log");
        },
    ];
    for (number, step) in steps.iter().enumerate() {
        let (home, marks) = grown(true);
        step(&home);
        let opened = start(&home, true);
        assert_eq!(lost(&opened).saved, marks, "{number}");
        expect_saved(&home, opened, &marks, BegunCause::Lost);
    }
}

#[test]
fn two_losses_in_one_second_keep_both_files() {
    let (home, _) = grown(true);
    let mut aside: Vec<PathBuf> = Vec::new();
    for _ in 0..2 {
        damage_pages(&home);
        let opened = start(&home, true);
        aside.extend(lost(&opened).aside.clone());
        opened.store.close().expect("a tidy end");
    }
    assert!(aside.len() == 2 && aside[0] != aside[1], "{aside:?}");
    assert!(aside.iter().all(|path| path.exists()));
    let begun = ReadOnly::open(&home.ledger()).and_then(|mut reader| reader.begun());
    assert_eq!(begun, Ok(Some(Begun { at: NOW, cause: BegunCause::Lost })));
}

const OURS: ServerKey = ServerKey([1; 32]);
const THEIRS: ServerKey = ServerKey([2; 32]);

fn serve(home: &Home, server_key: ServerKey) -> Opened {
    Embedded::open_for_service(&home.ledger(), Some(server_key), true, NOW).expect("a ledger")
}

/// Another server's home, in which a few hours were used.
fn theirs() -> Home {
    let (home, _) = grown(true);
    // The first server that opens it gives it its name, and keeps it.
    for _ in 0..2 {
        let opened = serve(&home, THEIRS);
        assert_eq!((opened.finding, opened.reserve), (Finding::Sound, ReserveFinding::Sound));
        opened.store.close().expect("a tidy end");
    }
    home
}

#[test]
fn another_servers_ledger_is_put_aside_and_its_marks_do_not_count() {
    for with_reserve in [true, false] {
        let (home, theirs) = (Home::new(), theirs());
        let mut ours = Embedded::open_for_service(&home.ledger(), Some(OURS), false, NOW)
            .expect("a ledger")
            .store;
        ours.append(&[&[record(1, used(3, 1, 700))]]).expect("durable");
        ours.close().expect("a tidy end");
        fs::copy(theirs.ledger(), home.ledger()).expect("a copy");
        if with_reserve {
            fs::copy(theirs.reserve(), home.reserve()).expect("a copy");
        }
        let mut opened = serve(&home, OURS);
        let found = lost(&opened);
        assert!(found.is_of_other_server && !found.from_ledger, "{found:?}");
        assert_eq!(found.from_reserve, !with_reserve);
        let aside = found.aside.clone().expect("it is kept");
        assert!(aside.to_string_lossy().contains("ledger.db.foreign-"), "{aside:?}");
        assert_eq!(fs::read(aside).ok(), fs::read(theirs.ledger()).ok());
        assert_eq!(
            matches!(&opened.reserve, ReserveFinding::OfOtherServer(aside) if aside.exists()),
            with_reserve
        );
        let remembered = opened.store.remember().expect("a ledger");
        let hours = remembered.meters.iter().map(|((id, _), metered)| (id, metered.used_ms));
        let expected = (license(3), 700);
        let expected = (!with_reserve).then_some((&expected.0, expected.1));
        assert!(hours.eq(expected), "{remembered:?}");
        assert!(remembered.may_lack_holders);
        let cause = BegunCause::OfOtherServer;
        assert_eq!(opened.store.begun(), Ok(Some(Begun { at: NOW, cause })));
        drop(opened);
        let again = serve(&home, OURS);
        assert_eq!((again.finding, again.reserve), (Finding::Sound, ReserveFinding::Sound));
    }
}

#[test]
fn a_damaged_reserve_beside_a_sound_ledger_is_told_and_made_anew() {
    let (home, marks) = grown(true);
    fs::write(home.reserve(), vec![0xa5; 128 * 1024]).expect("a file");
    let opened = start(&home, true);
    assert_eq!((opened.finding, opened.reserve), (Finding::Sound, ReserveFinding::Damaged));
    drop(opened.store);
    let again = start(&home, true);
    assert_eq!((again.finding, again.reserve), (Finding::Sound, ReserveFinding::Sound));
    assert_eq!(ve_store::marks_left(&home.ledger(), NOW), marks);
}
