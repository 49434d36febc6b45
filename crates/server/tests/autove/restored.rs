//! An old copy of `instances.db` is put in its place while hosts are connected and known elsewhere: it
//! is brought forward, and takes nobody back.

use std::{fs, path::Path};

use ve_core::registry::HostState::{Active, Retired};
use ve_testbed::{Server, wait};

use super::{
    healing::{ledger_counts, lose},
    hosts::{Machine, Row},
    pair::{FIRST, SECOND, Site, address, has_rows, in_step, licensectl, rows},
};

fn said(server: &Server, arguments: &[&str], code: i32) -> String {
    let (ended, out, err) = licensectl(server.home(), arguments);
    assert_eq!(ended, Some(code), "{arguments:?}: {out}{err}");
    out + &err
}

/// Kills a server, lets something happen to its home, restores the backup, and starts it again.
fn set_back(server: &mut Server, backup: &str, loss: impl FnOnce(&Path)) -> String {
    server.kill();
    loss(server.home());
    let told = said(server, &["restore", backup], 0);
    server.restart();
    told
}

/// What becomes of a home before it is restored.
type Loss = fn(&Path);

/// Loses the ledger as well, and what saves its marks.
fn lose_all(home: &Path) {
    lose(home, true);
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "marks.reserve"] {
        // Some of them are there only while the server runs.
        let _ = fs::remove_file(home.join(name));
    }
    assert!(!home.join("ledger.db").exists());
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_peer_brings_an_old_copy_forward_and_is_never_set_back_by_it() {
    let site = Site::new();
    let (mut one, mut other) = site.pair(10, 10);
    let hosts = ["early", "gone", "late", "at-other"].map(Machine::new);
    let [mut early, mut gone, mut late, mut at_other] = hosts;
    let _early = early.runs(address(&one)).await;
    drop(gone.runs(address(&one)).await);
    let backup = site.path("old.tar").to_str().expect("a plain name").to_owned();
    said(&one, &["backup", &backup], 0);
    // All that the backup doesn't know of.
    let _late = late.runs(address(&one)).await;
    let _at_other = at_other.runs(address(&other)).await;
    said(&one, &["instances", "retire", "gone"], 0);
    let mut expected = sorted(vec![
        (early.key(), FIRST.to_owned(), Active),
        (gone.key(), FIRST.to_owned(), Retired),
        (late.key(), FIRST.to_owned(), Active),
        (at_other.key(), SECOND.to_owned(), Active),
    ]);
    has_rows(&other, &expected);
    has_rows(&one, &expected);
    let message = said(&one, &["restore", &backup], 75);
    assert!(message.contains(&one.process_id().to_string()), "the server runs: {message}");

    let losses: [(Loss, &str); 4] = [
        (|_| {}, "it has every host of the backup"),
        (|home| lose(home, true), "the home has none"),
        (|home| lose(home, false), "the home's is damaged"),
        (lose_all, "the home has none"),
    ];
    for (loss, words) in losses {
        let told = set_back(&mut one, &backup, loss);
        let line = told.lines().find(|line| line.starts_with("instances.db ")).expect("a line");
        assert!(line.contains(words), "{told}");
        in_step(&one);
        has_rows(&one, &expected);
        in_step(&other);
        assert_eq!(rows(&other), expected, "the peer is as it was");
        for host in [&mut early, &mut late] {
            drop(host.runs(address(&one)).await);
        }
        let (code, _) = gone.is_refused(address(&one)).await;
        assert_eq!(code, "instance-retired");
        // What it decides from now on is news to the peer, though numbers were given twice.
        let mut newcomer = Machine::new("newcomer");
        drop(newcomer.runs(address(&one)).await);
        expected = sorted([expected, vec![(newcomer.key(), FIRST.to_owned(), Active)]].concat());
        has_rows(&other, &expected);
        assert_eq!(rows(&one), expected);
    }
    // Its ledger has heard of the retirement again: the peer is not needed to know it.
    other.kill();
    set_back(&mut one, &backup, |home| lose(home, true));
    let (code, _) = gone.is_refused(address(&one)).await;
    assert_eq!(code, "instance-retired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_bring_an_old_copy_forward_where_no_peer_does() {
    let site = Site::new();
    let mut server = site.autove(2);
    let at = address(&server);
    let (mut early, mut late, mut newcomer) =
        (Machine::new("early"), Machine::new("late"), Machine::new("newcomer"));
    let _early = early.runs(at).await;
    let backup = site.path("old.tar").to_str().expect("a plain name").to_owned();
    said(&server, &["backup", &backup], 0);
    let _late = late.runs(at).await;
    ledger_counts(&server, 2);
    let registered = |server: &Server, host: &Machine| {
        let hosts = server.list("instances");
        let found = hosts.into_iter().find(|found| found["host"] == host.key());
        found.expect("a host that is listed")["registered"].clone()
    };
    let date = registered(&server, &late);
    set_back(&mut server, &backup, |home| lose(home, true));
    assert_eq!(rows(&server), [(early.key(), FIRST.to_owned(), Active)]);
    // It is known that somebody is missing, and kept for whoever that is.
    let (code, _) = newcomer.is_refused(at).await;
    assert_eq!(code, "instance-limit");
    drop(late.runs(at).await);
    wait::until("both hosts", || (rows(&server).len() == 2).then_some(()));
    assert_eq!(registered(&server, &late), date);
    drop(early.runs(at).await);
}
