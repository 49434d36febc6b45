//! `instances.db` is lost on one server or on both, and nobody creates a host anew.

use std::{fs, path::Path};

use rusqlite::{Connection, OpenFlags};
use ve_core::registry::HostState;
use ve_testbed::{Server, wait};

use super::{
    hosts::Machine,
    pair::{FIRST, Site, address, has_rows, in_step, licensectl, rows},
};

/// Removes the registry of a server that is down, or damages it.
pub(crate) fn lose(home: &Path, delete: bool) {
    for ending in ["-wal", "-shm"] {
        // They are there or not, as the end came.
        let _ = fs::remove_file(home.join(format!("instances.db{ending}")));
    }
    let file = home.join("instances.db");
    if delete {
        fs::remove_file(file).expect("a registry");
    } else {
        let mut bytes = fs::read(&file).expect("a registry");
        bytes[4_096..].fill(0x5a);
        fs::write(&file, bytes).expect("a damaged registry");
    }
}

/// Waits until the ledger knows how many hosts are at home here: from then on a loss is noticed.
pub(crate) fn ledger_counts(server: &Server, hosts: u64) {
    let ledger = server.home().join("ledger.db");
    wait::until(format!("a ledger that knows of {hosts} hosts"), || {
        let ledger = Connection::open_with_flags(&ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let counted = ledger.query_row("SELECT count FROM homed", [], |row| row.get::<_, u64>(0));
        (counted.ok()? == hosts).then_some(())
    });
}

fn lost_and_started(server: &mut Server, delete: bool) {
    server.kill();
    lose(server.home(), delete);
    server.restart();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_registry_is_refilled_from_the_peer() {
    let site = Site::new();
    let (mut one, other) = site.pair(5, 5);
    let mut hosts = [Machine::new("one"), Machine::new("two")];
    drop(hosts[0].runs(address(&one)).await);
    drop(hosts[1].runs(address(&other)).await);
    wait::until("both hosts at both", || {
        (rows(&one).len() == 2 && rows(&other).len() == 2).then_some(())
    });
    ledger_counts(&one, 1);
    let expected = rows(&other);
    for delete in [true, false] {
        lost_and_started(&mut one, delete);
        let log = one.log();
        let found = if delete { "instances.db was missing" } else { "instances.db was damaged" };
        assert!(log.contains(found), "{log}");
        in_step(&one);
        has_rows(&one, &expected);
        in_step(&other);
        assert_eq!(rows(&other), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_come_back_by_their_receipts_and_newcomers_wait_for_them() {
    let site = Site::new();
    let mut server = site.autove(2);
    let at = address(&server);
    let (mut known, mut gone, mut newcomer) =
        (Machine::new("known"), Machine::new("gone"), Machine::new("newcomer"));
    drop(known.runs(at).await);
    drop(gone.runs(at).await);
    ledger_counts(&server, 2);
    lost_and_started(&mut server, true);
    assert_eq!(rows(&server), []);
    let status = server.licensectl(&["status"]);
    assert!(status.contains("Attention: instances.db may lack hosts"), "{status}");
    let (code, _) = newcomer.is_refused(at).await;
    assert_eq!(code, "instance-limit");
    let _back = known.runs(at).await;
    assert_eq!(rows(&server), [(known.key(), FIRST.to_owned(), HostState::Active)]);
    assert!(server.log().contains("is registered again from"), "{}", server.log());

    // Another host's receipt is nobody's.
    let mut thief = Machine::new("thief");
    thief.receipts = gone.receipts.clone();
    let (code, _) = thief.is_refused(at).await;
    assert_eq!(code, "instance-limit");
    let _gone = gone.runs(at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_host_stays_retired_whatever_is_lost() {
    let site = Site::new();
    let (mut one, mut other) = site.pair(5, 5);
    let mut host = Machine::new("terminated");
    drop(host.runs(address(&one)).await);
    wait::until("the host at the other", || (rows(&other).len() == 1).then_some(()));
    // The peer is down when the host is retired.
    other.kill();
    let (code, out, err) = licensectl(one.home(), &["instances", "retire", "terminated"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, sentence) = host.is_refused(address(&one)).await;
    assert_eq!(code, "instance-retired", "{sentence}");
    other.restart();
    let retired = [(host.key(), FIRST.to_owned(), HostState::Retired)];
    has_rows(&other, &retired);
    // Both lose the registry, and one ledger that knows of it is left.
    one.kill();
    lost_and_started(&mut other, true);
    let (code, sentence) = host.is_refused(address(&other)).await;
    assert_eq!(code, "instance-retired", "{sentence}");
    lose(one.home(), true);
    one.restart();
    in_step(&one);
    has_rows(&one, &retired);
}

#[test]
fn a_general_server_does_without_a_registry() {
    let site = Site::new();
    let home = site.path("general");
    ve_testbed::install(&site.vendor, &home, |license| license);
    fs::create_dir(home.join("instances.db")).expect("a folder in its place");
    let server = Server::start(&home);
    assert!(server.log().contains("General licenses are served"), "{}", server.log());
    assert!(server.list("licenses")[0]["status"] == "valid");
}
