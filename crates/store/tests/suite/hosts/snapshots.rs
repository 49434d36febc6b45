//! Snapshots: made when something has changed, whole or not at all, and only so many of them.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use ve_core::time::Utc;
use ve_store::{HostStore, HostsReadOnly, Snapshot, snapshot, snapshots};

use crate::hosts::entries::{NOW, Place, fresh, written};

fn take(place: &Place, now: Utc, keep: u32) -> Option<PathBuf> {
    snapshot(&place.instances(), &place.snapshots(), now, keep).expect("a snapshot, or no news")
}

fn names(place: &Place) -> Vec<String> {
    let list = snapshots(&place.snapshots()).expect("a list");
    let name = |snapshot: &Snapshot| snapshot.path.file_name().expect("a name").to_owned();
    list.iter().map(|snapshot| name(snapshot).into_string().expect("text")).collect()
}

fn entries(path: &std::path::Path) -> usize {
    let mut reader = HostsReadOnly::open_checked(path).expect("a sound snapshot");
    reader.entries().expect("entries").len()
}

#[test]
fn a_snapshot_is_made_when_an_entry_has_changed() {
    let place = Place::new();
    assert_eq!(take(&place, NOW, 5), None);
    assert!(!place.snapshots().exists(), "there was nothing to take");
    let mut server = place.start(1);
    written(&mut server, &[fresh([1])]);
    let first = take(&place, NOW, 5).expect("the first");
    assert_eq!(first, place.snapshots().join("instances-20251122T200803Z.db"));
    assert_eq!(take(&place, NOW.plus_seconds(60), 5), None);
    // A start alone is no news of hosts.
    server.close().expect("a tidy end");
    let mut server = place.start(2);
    assert_eq!(take(&place, NOW.plus_seconds(120), 5), None);
    written(&mut server, &[fresh([2])]);
    let second = take(&place, NOW.plus_seconds(180), 5).expect("news");
    assert_eq!((entries(&first), entries(&second)), (1, 2));
    let mode = |path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode(second), mode(place.snapshots())), (0o600, 0o700));
    let left: Vec<_> = fs::read_dir(place.snapshots()).expect("a folder").collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn only_the_newest_are_kept() {
    let place = Place::new();
    let mut server = place.start(1);
    for number in 1..=6 {
        written(&mut server, &[fresh([number])]);
        take(&place, NOW.plus_seconds(number.cast_signed()), 3).expect("news");
    }
    let kept = ["08:09", "08:08", "08:07"]
        .map(|at| format!("instances-20251122T20{}Z.db", at.replace(':', "")));
    assert_eq!(names(&place), kept);
    // As many as are asked for from now on, and one at least.
    written(&mut server, &[fresh([7])]);
    take(&place, NOW.plus_seconds(60), 0).expect("news");
    assert_eq!(names(&place), ["instances-20251122T200903Z.db"]);
}

/// A snapshot from before the clock was set back is older all the same.
#[test]
fn a_clock_that_was_set_back_makes_no_new_snapshot_the_oldest() {
    let place = Place::new();
    let mut server = place.start(1);
    for (number, now) in (1..).zip([NOW, NOW.plus_seconds(-999_999), NOW.plus_seconds(-999_998)]) {
        written(&mut server, &[fresh([number])]);
        let made = take(&place, now, 2).expect("news");
        assert_eq!(entries(&made) as u64, number);
        assert_eq!(snapshots(&place.snapshots()).expect("a list")[0].path, made);
    }
    assert_eq!(names(&place), ["instances-20251122T200805Z.db", "instances-20251122T200804Z.db"]);
}

#[test]
fn what_a_killed_snapshot_left_is_replaced_and_a_damaged_one_is_no_reason_to_wait() {
    let place = Place::new();
    let mut server = place.start(1);
    written(&mut server, &[fresh([1])]);
    let first = take(&place, NOW, 5).expect("the first");
    fs::write(place.snapshots().join(".instances.part"), [0xa5; 5_000]).expect("a file");
    fs::write(&first, "damaged").expect("a file");
    let second = take(&place, NOW.plus_seconds(60), 5).expect("the first is no good");
    assert_eq!(entries(&second), 1);
    assert!(!place.snapshots().join(".instances.part").exists());
}

#[test]
fn other_files_are_no_snapshots() {
    let place = Place::new();
    fs::create_dir(place.snapshots()).expect("a folder");
    for name in [
        "instances-20251122T200803Z.db.old",
        "instances-20251122T200803.db",
        "instances-20251122T200861Z.db",
        "instances-2025112XT200803Z.db",
        "instances-20251122-200803Z.db",
        "instances-é0251122T200803Z.db",
        "instances-.db",
        "ledger.db",
    ] {
        fs::write(place.snapshots().join(name), "").expect("a file");
    }
    assert_eq!(names(&place), Vec::<String>::new());
}

#[test]
fn a_snapshot_that_can_not_be_written_says_so_and_removes_none() {
    let place = Place::new();
    let mut server = place.start(1);
    written(&mut server, &[fresh([1])]);
    take(&place, NOW, 1).expect("the first");
    written(&mut server, &[fresh([2])]);
    fs::create_dir(place.snapshots().join(".instances.part")).expect("a folder in the way");
    let error = snapshot(&place.instances(), &place.snapshots(), NOW.plus_seconds(9), 1)
        .expect_err("there is no place for it");
    assert!(
        error.to_string().contains("instances-20251122T200812Z.db can't be written"),
        "{error}"
    );
    assert_eq!(names(&place), ["instances-20251122T200803Z.db"]);
}
