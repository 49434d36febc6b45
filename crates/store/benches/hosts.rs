//! How long a registry of 100,000 hosts takes: written as a resync of an empty peer does, written one by
//! one as hosts register, opened at a start; beside SQLite's own copy of the same rows. Figures differ
//! from machine to machine; the ratios hold.
//!
//! `cargo bench -p ve-store --bench hosts`

#[path = "../tests/suite/hosts/entries.rs"]
#[allow(dead_code, reason = "shared with the tests, which need more of it")]
mod entries;
#[path = "../tests/suite/events.rs"]
#[allow(dead_code, reason = "shared with the tests, which need more of it")]
mod events;

mod hosts {
    pub(crate) use crate::entries;
}

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tempfile::TempDir;
use ve_core::registry::Batch;
use ve_store::{HostStore, HostWriter, HostsReadOnly, snapshot};

use crate::hosts::entries::{NOW, Place, fresh};

const HOSTS: u64 = 100_000;

/// As many as a message between peers carries.
const BATCH: u64 = 256;

/// How many batches are on their way at a time.
const WINDOWS: [u64; 3] = [1, 4, 16];

/// How many hosts register at a time.
const AT_ONCE: u64 = 64;

fn main() {
    let copied = copied();
    println!("{:>8.0} hosts/s  SQLite copies the rows, one durable transaction", rate(copied));
    for window in WINDOWS {
        let took = written(BATCH, window);
        println!(
            "{:>8.0} hosts/s  batches of {BATCH}, {window} on their way ({:.2} x the copy)",
            rate(took),
            copied.as_secs_f64() / took.as_secs_f64()
        );
    }
    let took = written(1, AT_ONCE);
    println!("{:>8.0} hosts/s  one by one, {AT_ONCE} at a time", rate(took));
    let (_folder, place) = in_target();
    fill(&place);
    let began = Instant::now();
    let count = place.start(2).remember().expect("a registry").entries.len();
    println!("{:>8} ms       a start, every page and row of {count} checked", ms(began));
    let began = Instant::now();
    snapshot(&place.instances(), &place.snapshots(), NOW, 5).expect("a snapshot");
    println!("{:>8} ms       a snapshot", ms(began));
    let began = Instant::now();
    snapshot(&place.instances(), &place.snapshots(), NOW, 5).expect("no news");
    println!("{:>8} ms       no snapshot, as nothing has changed", ms(began));
    let began = Instant::now();
    HostsReadOnly::open(&place.instances()).and_then(|mut it| it.entries()).expect("entries");
    println!("{:>8} ms       a tool reads them all", ms(began));
}

fn ms(since: Instant) -> u128 {
    since.elapsed().as_millis()
}

fn rate(took: Duration) -> f64 {
    f64::from(u32::try_from(HOSTS).expect("few")) / took.as_secs_f64()
}

/// A folder on the disk of the build, since the one for temporary files may be no disk at all.
fn in_target() -> (TempDir, Place) {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let place = Place::at(folder.path());
    (folder, place)
}

fn fill(place: &Place) {
    let mut store = place.start(1);
    store.write(&[&fresh(1..=HOSTS)]).expect("durable");
    store.close().expect("a tidy end");
}

/// SQLite copies the rows into an empty registry.
fn copied() -> Duration {
    let ((_from, from), (_to, to)) = (in_target(), in_target());
    fill(&from);
    to.start(1).close().expect("a tidy end");
    let connection = Connection::open(to.instances()).expect("a registry");
    let name = from.instances();
    connection
        .execute("ATTACH ?1 AS other", [name.to_str().expect("a name in UTF-8")])
        .expect("attached");
    connection.execute_batch("PRAGMA synchronous = FULL").expect("a setting");
    let began = Instant::now();
    let sql = "INSERT INTO main.hosts SELECT * FROM other.hosts";
    assert_eq!(connection.execute(sql, []), Ok(usize::try_from(HOSTS).expect("few")));
    began.elapsed()
}

/// Writes all hosts in batches of `size`, so many of which are on their way at a time.
fn written(size: u64, window: u64) -> Duration {
    let (_folder, place) = in_target();
    let (tell, done) = mpsc::channel();
    let tell = move |_, outcome: Result<(), _>| tell.send(outcome).expect("the bench listens");
    let writer = HostWriter::start(place.start(1), tell).expect("a thread");
    let batches: Vec<Batch> = (0..HOSTS.div_ceil(size))
        .map(|number| fresh(number * size + 1..=((number + 1) * size).min(HOSTS)))
        .collect();
    let began = Instant::now();
    let mut under_way = 0;
    for (id, batch) in (1..).zip(batches) {
        if under_way == window {
            done.recv().expect("an outcome").expect("durable");
            under_way -= 1;
        }
        writer.submit(id, batch).expect("room");
        under_way += 1;
    }
    for _ in 0..under_way {
        done.recv().expect("an outcome").expect("durable");
    }
    began.elapsed()
}
