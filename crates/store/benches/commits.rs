//! How much group commit saves: durable appends a second one by one, and with many waiting, beside
//! what SQLite makes of single rows. Figures differ from machine to machine; the ratios hold.
//!
//! `cargo bench -p ve-store --bench commits`

#[path = "../tests/suite/events.rs"]
#[allow(dead_code, reason = "shared with the tests, which need more of it")]
mod events;

use std::{
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use tempfile::TempDir;
use ve_core::node::event::Record;
use ve_store::{Embedded, MAX_GROUP_APPENDS, Store, Writer};

use crate::events::{opened, record};

/// How long each part is measured.
const MEASURED: Duration = Duration::from_secs(3);

/// How many appends wait at a time: two groups, so that one gathers while the other is written.
const WAITING: usize = 2 * MAX_GROUP_APPENDS;

fn main() {
    let bare = bare_rows_per_second(&in_target().path().join("bare.db"));
    let single = single_appends_per_second(&in_target().path().join("ledger.db"));
    let grouped = grouped_appends_per_second(&in_target().path().join("ledger.db"));
    println!("{bare:>9.0} rows/s      bare SQLite, one row of 600 bytes a durable commit");
    println!("{single:>9.0} appends/s   ledger, one append a commit ({:.2} x)", single / bare);
    println!(
        "{grouped:>9.0} appends/s   ledger, {WAITING} appends waiting ({:.1} x bare, {:.1} x single)",
        grouped / bare,
        grouped / single
    );
}

/// A folder on the disk of the build, since the one for temporary files may be no disk at all.
fn in_target() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder")
}

fn append(position: u64) -> Vec<Record> {
    vec![record(position, opened(position))]
}

/// Calls `step` with 1, 2, 3 … for [`MEASURED`]; how many calls a second that was.
fn per_second(mut step: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    let mut count: u32 = 0;
    while start.elapsed() < MEASURED {
        count += 1;
        step(u64::from(count));
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn bare_rows_per_second(path: &Path) -> f64 {
    let connection = Connection::open(path).expect("a database");
    let set_up = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                  CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL);";
    connection.execute_batch(set_up).expect("a table");
    let mut insert = connection.prepare("INSERT INTO rows VALUES (?1, ?2)").expect("a statement");
    let body = "x".repeat(600);
    per_second(|id| {
        insert.execute(params![id.cast_signed(), body]).expect("durable");
    })
}

fn single_appends_per_second(path: &Path) -> f64 {
    let mut store = Embedded::open(path).expect("a ledger");
    per_second(|position| store.append(&[&append(position)]).expect("durable"))
}

fn grouped_appends_per_second(path: &Path) -> f64 {
    let (tell, done) = mpsc::channel();
    let listener = move |_, outcome| tell.send(outcome).expect("somebody counts");
    let store = Embedded::open(path).expect("a ledger");
    let writer = Writer::start(store, listener).expect("a thread");
    let mut position = 0;
    let mut submit = || {
        position += 1;
        writer.submit(position, append(position)).expect("room");
    };
    (0..WAITING).for_each(|_| submit());
    let rate = per_second(|_| {
        done.recv().expect("an outcome").expect("durable");
        submit();
    });
    writer.finish().expect("a tidy end");
    rate
}
