//! Copies of `instances.db` that a running server makes by itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ve_store::HostsReadOnly;
use ve_testbed::{Server, wait};

use super::{
    healing::{ledger_counts, lose},
    hosts::Machine,
    pair::{FIRST, Site, address, configure, reload, rows},
};

/// A configuration under which copies are made every so many minutes.
fn every(minutes: u32, kept: u32) -> String {
    format!("[autove]\nsnapshots = {kept}\nsnapshot_interval = \"{minutes}m\"\n")
}

/// The copies that are there, the oldest first.
fn copies(server: &Server) -> Vec<PathBuf> {
    let entries = fs::read_dir(server.home().join("snapshots")).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut copies: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "db")).collect();
    copies.sort();
    copies
}

/// Waits until there is another newest one, and gives all.
#[track_caller]
fn another(server: &Server, before: &[PathBuf]) -> Vec<PathBuf> {
    wait::until("another snapshot", || {
        let now = copies(server);
        (now.last() != before.last()).then_some(now)
    })
}

/// How many hosts a copy has; it must be whole.
fn hosts_in(copy: &Path) -> usize {
    let mut copy = HostsReadOnly::open_checked(copy).expect("a sound registry");
    copy.entries().expect("entries").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_made_in_time_kept_by_count_and_taken_when_all_is_lost() {
    let site = Site::new();
    let mut server = site.server("kept", &every(60, 2), |license| license.id(FIRST).autove(10));
    let at = address(&server);
    let mut known: Vec<PathBuf> = Vec::new();
    let mut names = Vec::new();
    // Other rules count at once, so the first three don't keep us waiting; the last one comes when
    // the shortest interval is over.
    for (hosts, minutes) in [(1, Some(61)), (2, Some(62)), (3, Some(1)), (4, None)] {
        drop(Machine::new(&format!("host-{hosts}")).runs(at).await);
        if let Some(minutes) = minutes {
            configure(server.home(), &every(minutes, 2));
            reload(&server);
        }
        let now = another(&server, &known);
        let newest = now.last().expect("a snapshot").clone();
        assert_eq!(hosts_in(&newest), hosts, "{}", newest.display());
        assert_eq!(fs::metadata(&newest).expect("a file").permissions().mode() & 0o777, 0o600);
        names.push(newest);
        known = wait::until("the oldest to go", || {
            Some(copies(&server)).filter(|copies| copies.len() <= 2)
        });
        let last = names.len().saturating_sub(2);
        assert_eq!(known, names[last..], "the newest two stay");
    }
    let expected = rows(&server);
    ledger_counts(&server, 4);
    for delete in [true, false] {
        server.kill();
        lose(server.home(), delete);
        server.restart();
        assert_eq!(rows(&server), expected, "the newest snapshot is in its place");
    }
    let status = server.licensectl(&["status"]);
    assert!(!status.contains("may lack hosts"), "no one is missing: {status}");
}
