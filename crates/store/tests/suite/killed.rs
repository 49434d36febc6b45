//! A server that is killed at any moment has lost nothing that it acknowledged.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use rusqlite::Connection;
use ve_core::node::event::{Record, Remembered};
use ve_store::{Embedded, Limits, ReadOnly, Store};

use crate::events::{Home, closed, denied, marked, opened, record, session, used};

/// Names the ledger to the process that will be killed.
const LEDGER: &str = "VE_STORE_TEST_LEDGER";

/// So few that old rows are removed all the time.
const LIMITS: Limits = Limits { records: 300, denials: 40, pages: None };

/// How many sessions there are at a time.
const SESSIONS: u64 = 50;

const BATCH: u64 = 5;

/// The batch with that number, from 1.
fn batch(number: u64) -> Vec<Record> {
    let events = [
        opened(number),
        closed(number.saturating_sub(SESSIONS)),
        used(1, 1, number * 1_000),
        marked(number.cast_signed()),
        denied(),
    ];
    let first = (number - 1) * BATCH + 1;
    (first..).zip(events).map(|(position, event)| record(position, event)).collect()
}

/// What so many batches add up to.
fn expected(batches: u64) -> Remembered {
    let mut memory = ve_store::Memory::with_limits(LIMITS);
    (1..=batches).for_each(|number| memory.append(&[&batch(number)]).expect("in memory"));
    memory.remember().expect("in memory")
}

#[test]
#[ignore = "a part of the next test, which runs it in a process of its own and kills it"]
fn child_appends_until_it_is_killed() {
    let path = env::var_os(LEDGER).expect("run by the next test, with the ledger's path");
    let mut store = Embedded::open_with(Path::new(&path), LIMITS).expect("a ledger");
    let mut last = store.remember().expect("a ledger").position / BATCH;
    // Groups of all sizes: some commits fit into a page, some start a checkpoint.
    for group in (1..40).cycle() {
        let batches: Vec<_> = (last + 1..=last + group).map(batch).collect();
        let batches: Vec<&[Record]> = batches.iter().map(Vec::as_slice).collect();
        store.append(&batches).expect("durable");
        last += group;
        writeln!(std::io::stdout(), "acknowledged {last}").expect("the parent listens");
    }
}

/// The test that is started as a process of its own.
const CHILD: &str = "killed::child_appends_until_it_is_killed";

fn start_child(child: &str, (variable, path): (&str, &Path)) -> Child {
    Command::new(env::current_exe().expect("this program"))
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(variable, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child")
}

/// Starts this `child`, with the path of its file in a variable, kills it after so many lines, and
/// returns the last batch that it acknowledged.
pub(crate) fn kill_after(child: &str, file: (&str, &Path), lines: usize) -> u64 {
    let mut child = start_child(child, file);
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let mut acknowledged = Vec::new();
    for line in output.lines() {
        let line = line.expect("text");
        acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
        if acknowledged.len() == lines {
            child.kill().expect("killed");
        }
    }
    child.wait().expect("its end");
    assert!(acknowledged.len() >= lines, "the child ended by itself");
    acknowledged.last().and_then(|last| last.parse().ok()).expect("a number")
}

fn is_sound(path: &Path) -> bool {
    let connection = Connection::open(path).expect("a database");
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a verdict");
    verdict == "ok"
}

#[test]
fn a_killed_server_has_lost_nothing_that_it_acknowledged() {
    let home = Home::new();
    // Any numbers will do; these are spread well, and the same in every run.
    for lines in (1..=16).map(|round| 1 + round * 7_919 % 127) {
        let acknowledged = kill_after(CHILD, (LEDGER, &home.ledger()), lines);
        let left_behind = ReadOnly::open(&home.ledger()).expect("a reader").remember();
        let mut store = home.open_with(LIMITS);
        let remembered = store.remember().expect("a sound ledger");
        assert_eq!(left_behind.as_ref(), Ok(&remembered));

        let batches = remembered.position / BATCH;
        assert!(batches >= acknowledged, "{batches} batches, {acknowledged} acknowledged");
        assert_eq!(remembered, expected(batches));
        let newest = store.records(1).expect("the trail");
        assert_eq!(newest, [batch(batches)[1].clone()]);
        assert!(remembered.sessions.contains(&session(acknowledged)));
        drop(store);
        assert!(is_sound(&home.ledger()), "after {lines} lines");
    }
}
