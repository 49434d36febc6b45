//! A server's start with a registry that is damaged, missing, or another server's.

use std::fs;

use rusqlite::Connection;
use ve_core::{
    id::ServerKey,
    node::event::{Remembered, RetiredHost},
    registry::{Batch, RememberedHosts, Span},
    time::Utc,
};
use ve_store::{HostStore, HostsFinding, HostsLost, LoadError, OpenedHosts, snapshot};

use crate::{
    events::name,
    hosts::entries::{
        NOW, OURS, Place, fresh, home, homed, key, numbers, peer, pulled, span, written,
    },
};

/// A registry of 300 hosts, with snapshots of 100 and of 200.
fn grown() -> Place {
    let place = Place::new();
    let mut store = place.start(1);
    for step in 0..3_u64 {
        let entries = fresh(step * 100 + 1..=step * 100 + 100);
        written(
            &mut store,
            &[Batch { pulled: Some(pulled(step)), peer: Some(peer(9)), ..entries }],
        );
        if step < 2 {
            let at = NOW.plus_seconds(step.cast_signed() * 60);
            let made = snapshot(&place.instances(), &place.snapshots(), at, 5);
            assert!(made.expect("a snapshot").is_some());
        }
    }
    store.close().expect("a tidy end");
    place
}

fn damage(path: &std::path::Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 8_192 * 4_096;
    bytes[middle..middle + 4_096].fill(0xa5);
    fs::write(path, bytes).expect("a file");
}

fn lost(opened: &OpenedHosts) -> HostsLost {
    match &opened.finding {
        HostsFinding::Lost(lost) => lost.clone(),
        other => panic!("{other:?}"),
    }
}

/// The hosts are those that are expected, and may not be all, for as long as the ledger says so.
#[track_caller]
fn expect_hosts(place: &Place, opened: OpenedHosts, count: u64) {
    let mut store = opened.store;
    let hosts = store.remember().expect("a registry");
    assert_eq!(numbers(&hosts), (1..=count).collect::<Vec<_>>());
    assert!(hosts.may_lack_hosts);
    written(&mut store, &[fresh([count + 1])]);
    drop(store);
    for (number, marked, expected) in [(60, 300, true), (61, count + 1, true), (62, 300, false)] {
        let mut again = place.start_with(number, &homed(marked));
        assert_eq!(again.finding, HostsFinding::Sound);
        let hosts = again.store.remember().expect("a registry");
        assert_eq!(hosts.entries.len() as u64, count + 1);
        assert_eq!(hosts.may_lack_hosts, expected, "start {number}");
    }
}

#[test]
fn a_first_start_is_no_loss_and_a_sound_registry_none_either() {
    let place = Place::new();
    let mut first = place.start_with(1, &Remembered::default());
    assert_eq!(first.finding, HostsFinding::FirstStart);
    assert_eq!(first.store.remember(), Ok(RememberedHosts::empty(span(1))));
    drop(first);
    let mut second = place.start_with(2, &homed(7));
    assert_eq!(second.finding, HostsFinding::Sound);
    assert!(!second.store.remember().expect("a registry").may_lack_hosts);
}

/// Its log has pages, and none of them was ever committed.
#[test]
fn a_first_start_that_was_killed_is_no_loss() {
    let (place, killed) = (Place::new(), Place::new());
    let connection = Connection::open(killed.instances()).expect("a file");
    let begin = "PRAGMA journal_mode = WAL; PRAGMA cache_size = 5; BEGIN; CREATE TABLE t (x);
                 INSERT INTO t VALUES (randomblob(1000000));";
    connection.execute_batch(begin).expect("room");
    for (from, to) in [(killed.instances(), place.instances()), (killed.log(), place.log())] {
        let bytes = fs::copy(from, to).expect("a file");
        assert!(bytes > 0, "it is as a killed start leaves it");
    }
    assert_eq!(place.start_with(1, &Remembered::default()).finding, HostsFinding::FirstStart);
}

#[test]
fn a_missing_registry_comes_from_the_newest_snapshot() {
    let place = grown();
    fs::remove_file(place.instances()).expect("removed");
    // The snapshots alone show that there was one.
    let opened = place.start_with(2, &Remembered::default());
    let found = lost(&opened);
    assert_eq!((found.damage, found.aside, found.entries), (None, None, 200));
    let newest = place.snapshots().join("instances-20251122T200903Z.db");
    assert_eq!((found.snapshot, found.unusable), (Some(newest), Vec::new()));
    expect_hosts(&place, opened, 200);
}

#[test]
fn a_damaged_registry_is_put_aside_with_its_log() {
    let place = grown();
    damage(&place.instances());
    let bytes = fs::read(place.instances()).expect("a file");
    fs::write(place.log(), "a log").expect("a file");
    let opened = place.start_with(2, &homed(300));
    let found = lost(&opened);
    let aside = found.aside.expect("it is kept");
    assert_eq!(aside.file_name().expect("a name"), "instances.db.damaged-20251122T200803Z");
    assert!(found.damage.is_some() && fs::read(&aside).expect("a file") == bytes);
    assert!(place.file("instances.db.damaged-20251122T200803Z-wal").exists());
    let mut store = opened.store;
    let hosts = store.remember().expect("a registry");
    // The snapshot's own cursor goes with its entries.
    assert_eq!((hosts.pulled, hosts.peer), (Some(pulled(1)), Some(peer(9))));
    assert_eq!(hosts.spans.last(), Some(&Span { id: span(2), after: 200 }));
    let opened = OpenedHosts { store, finding: HostsFinding::Sound };
    expect_hosts(&place, opened, 200);
}

#[test]
fn a_snapshot_that_is_damaged_is_passed_over() {
    let place = grown();
    let [newest, oldest] = ["20251122T200903Z", "20251122T200803Z"]
        .map(|at| place.snapshots().join(format!("instances-{at}.db")));
    fs::remove_file(place.instances()).expect("removed");
    damage(&newest);
    let opened = place.start_with(2, &homed(300));
    assert_eq!(
        (lost(&opened).snapshot, lost(&opened).unusable),
        (Some(oldest.clone()), vec![newest.clone()])
    );
    expect_hosts(&place, opened, 100);
    fs::remove_file(place.instances()).expect("removed");
    fs::write(&oldest, "").expect("a file");
    let opened = place.start_with(3, &homed(300));
    assert_eq!((lost(&opened).snapshot, lost(&opened).unusable), (None, vec![newest, oldest]));
    expect_hosts(&place, opened, 0);
}

/// Without a snapshot the ledger shows that there were hosts, and so does what is left of the file.
#[test]
fn without_a_snapshot_an_empty_registry_is_begun() {
    let host = RetiredHost { at: Utc(1), name: name("x"), home: home(), identity: None };
    let retired = Remembered { retired_hosts: [(key(1), host)].into(), ..Remembered::default() };
    let nothing = Remembered::default();
    let leave_log: fn(&Place) = |place| fs::write(place.log(), "a log").expect("a file");
    let leave_aside: fn(&Place) =
        |place| fs::write(place.file("instances.db.damaged-x"), "").expect("a file");
    let nothing_left: fn(&Place) = |_| {};
    let cases = [
        (&homed(3), nothing_left),
        (&retired, nothing_left),
        (&nothing, leave_log),
        (&nothing, leave_aside),
    ];
    for (number, (ledger, leave)) in cases.into_iter().enumerate() {
        let place = Place::new();
        leave(&place);
        let mut opened = place.start_with(2, ledger);
        assert_eq!(lost(&opened).entries, 0, "{number}");
        let hosts = opened.store.remember().expect("a registry");
        assert!(hosts.may_lack_hosts && hosts.entries.is_empty(), "{number}");
    }
}

/// Every kind of damage that can be read: pages, rows, numbers, spans.
#[test]
fn what_makes_no_sense_is_damage() {
    for sql in [
        "UPDATE hosts SET body = '{}' WHERE number = 7",
        "UPDATE hosts SET body = body || ' ' || body WHERE number = 7",
        "UPDATE hosts SET host = 'x' WHERE number = 7",
        "UPDATE hosts SET number = 9000000000000000000 WHERE number = 7",
        "UPDATE hosts SET host = (SELECT host FROM hosts WHERE number = 8) WHERE number = 7",
        "UPDATE spans SET id = 'x'",
        "UPDATE copy SET peer = 'x'",
        "INSERT INTO spans (place, id, after) VALUES (0, 'ffffffffffffffffffffffffffffffff', 999)",
        "DELETE FROM copy",
    ] {
        let place = grown();
        let other = Connection::open(place.instances()).expect("a database");
        other.execute_batch(sql).expect("a change");
        drop(other);
        let opened = place.start_with(2, &homed(300));
        assert_eq!(lost(&opened).entries, 200, "{sql}");
    }
}

#[test]
fn noise_is_damage_where_there_must_have_been_a_registry() {
    let place = grown();
    let mut bytes = fs::read(place.instances()).expect("a file");
    bytes[..8_192].fill(0);
    fs::write(place.instances(), bytes).expect("a file");
    let opened = place.start_with(2, &Remembered::default());
    assert_eq!(lost(&opened).damage.as_deref(), Some("there is only noise in it"));
    expect_hosts(&place, opened, 200);
}

/// The machine fails anywhere in a recovery: the next start ends it.
#[test]
fn a_recovery_that_was_cut_off_is_done_again() {
    let steps: [&dyn Fn(&Place); 5] = [
        // Half of what is to take the place is written.
        &|place| {
            damage(&place.instances());
            fs::write(place.file("instances.db.new"), [0xa5; 5_000]).expect("a file");
            fs::write(place.file("instances.db.new-wal"), "a log").expect("a file");
        },
        // All is aside.
        &|place| {
            let aside = place.file("instances.db.damaged-20251122T200803Z");
            fs::rename(place.instances(), aside).expect("renamed");
        },
        &|place| fs::remove_file(place.instances()).expect("removed"),
        &|place| fs::write(place.instances(), "").expect("a file"),
        // It is set up, and nothing is committed.
        &|place| {
            fs::remove_file(place.instances()).expect("removed");
            let begun = Connection::open(place.instances()).expect("a database");
            begun.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("a log");
        },
    ];
    for (number, step) in steps.iter().enumerate() {
        let place = grown();
        step(&place);
        let opened = place.start_with(2, &homed(300));
        assert_eq!(lost(&opened).entries, 200, "{number}");
        assert!(!place.file("instances.db.new").exists(), "{number}");
        expect_hosts(&place, opened, 200);
    }
}

/// The hosts are the same for both peers; spans, cursor and peer are one server's.
#[test]
fn another_servers_registry_keeps_its_hosts_and_forgets_the_rest() {
    let place = grown();
    let theirs = ServerKey([2; 32]);
    let ledger = homed(300);
    let opened = place.try_start(2, theirs, &ledger).expect("a registry");
    assert_eq!(opened.finding, HostsFinding::OfOtherServer);
    drop(opened);
    let mut again = place.try_start(3, theirs, &ledger).expect("a registry");
    assert_eq!(again.finding, HostsFinding::Sound);
    let hosts = again.store.remember().expect("a registry");
    assert_eq!((hosts.entries.len(), hosts.pulled, hosts.peer), (300, None, None));
    assert_eq!(hosts.spans, [2, 3].map(|number| Span { id: span(number), after: 300 }));
    drop(again);
    let back = place.try_start(4, OURS, &ledger).expect("a registry");
    assert_eq!(back.finding, HostsFinding::OfOtherServer);
}

#[test]
fn a_start_that_can_not_recover_says_so_and_changes_nothing() {
    let place = grown();
    damage(&place.instances());
    fs::create_dir(place.file("instances.db.new")).expect("a folder in the way");
    let error = place.try_start(2, OURS, &homed(300)).map(drop).expect_err("refused");
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
    assert!(place.instances().exists());
}
