//! A disk that is full or fails: what it did not take is not remembered, and it goes on by itself.

use std::{env, fs, path::PathBuf};

use ve_store::{AppendFailure, EmbeddedHosts, HostStore};

use crate::{
    broken_disk,
    full_disk::{self, leave_no_room},
    hosts::entries::{Place, fresh, numbers},
};

/// Names the folder to the process that has a disk of its own.
const FOLDER: &str = "VE_STORE_TEST_HOSTS_FOLDER";

const FULL: &str = "disk full (SQLITE_FULL)";

/// Writes one host after the other until one is not taken; how many there are then.
fn fill(store: &mut EmbeddedHosts) -> u64 {
    let mut count = store.remember().expect("a registry").entries.len() as u64;
    let failure = loop {
        if let Err(failure) = store.write(&[&fresh([count + 1])]) {
            break failure;
        }
        count += 1;
        assert!(count < 100_000, "the disk is never full");
    };
    assert_eq!(failure, AppendFailure::Ledger(FULL.into()));
    let hosts = store.remember().expect("still readable");
    assert_eq!(numbers(&hosts), (1..=count).collect::<Vec<_>>());
    count
}

#[test]
fn a_registry_at_its_largest_size_reads_disk_full_and_goes_on_when_there_is_room() {
    let place = Place::new();
    let mut store = place.start(1);
    store.limit_pages(64).expect("a limit");
    let first = fill(&mut store);
    assert!(first > 0);
    store.limit_pages(96).expect("a limit");
    assert!(fill(&mut store) > first);
}

#[test]
#[ignore = "a part of the next test, which mounts a small disk for it in a namespace of its own"]
fn child_fills_its_small_disk() {
    let folder = PathBuf::from(env::var_os(full_disk::DISK).expect("run by the next test"));
    let place = Place::at(&folder);
    fs::write(folder.join("ballast"), vec![0; 200_000]).expect("room");
    fs::write(folder.join("spare"), vec![0; 200_000]).expect("room");
    let mut store = place.start(1);
    let first = fill(&mut store);
    assert!(first > 0);
    assert_eq!(place.read().entries.len() as u64, first);
    leave_no_room(&folder);
    assert!(store.write(&[&fresh([first + 1])]).is_err());
    fs::remove_file(folder.join("ballast")).expect("room again");
    assert!(fill(&mut store) > first, "it goes on by itself");
    let before = store.remember().expect("a registry").entries;
    drop(store);
    fs::remove_file(folder.join("spare")).expect("room again");
    assert_eq!(place.start(2).remember().expect("a registry").entries, before);
}

#[test]
fn a_full_disk_is_named_and_forgiven() {
    let place = Place::new();
    let namespaces = match full_disk::namespaces(place.folder()) {
        Ok(namespaces) => namespaces,
        Err(why) => {
            ve_testbed::skip(format_args!("this user can't mount a small disk here: {why}"));
            return;
        }
    };
    let exe = env::current_exe().expect("this program");
    let child = ["--exact", "hosts::disk::child_fills_its_small_disk", "--ignored", "--nocapture"];
    let command = [&[exe.to_str().expect("a path in UTF-8")][..], &child].concat();
    let output = full_disk::on_small_disk(place.folder(), namespaces, &command);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(!place.instances().exists(), "the small disk was not in use");
}

const WRITES: u64 = 40;

#[test]
#[ignore = "a part of the next test, which lets the flushes of its own process fail"]
fn child_writes_while_flushes_fail() {
    let folder = PathBuf::from(env::var_os(FOLDER).expect("run by the next test"));
    let mut store = Place::at(&folder).start(1);
    let mut failures = Vec::new();
    for number in 1..=WRITES {
        let before = store.remember();
        if let Err(failure) = store.write(&[&fresh([number])]) {
            failures.push(failure);
            assert_eq!(store.remember(), before, "nothing of it is remembered");
        }
    }
    let AppendFailure::Ledger(why) = failures.first().expect("a flush failed") else {
        panic!("{failures:?}");
    };
    assert!(why.starts_with("input/output error of the disk (SQLITE_IOERR "), "{why}");
    assert_eq!(failures.len(), 3, "it goes on by itself");
    store.close().expect("a tidy end");
}

#[test]
fn a_disk_that_fails_for_a_while_costs_only_what_it_refused() {
    let place = Place::new();
    let child = "hosts::disk::child_writes_while_flushes_fail";
    if broken_disk::run_with_failing_flushes(child, FOLDER, place.folder()) {
        assert_eq!(place.read().entries.len() as u64, WRITES - 3);
    }
}
