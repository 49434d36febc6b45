//! How long a server takes to be ready again with a hundred thousand seats in its ledger.
//!
//! Counted from the start of the process to the line that says so: the file is checked, the seats
//! are read and their licenses are judged by then. The yardstick is the same rows read by SQLite
//! alone, in the same run. Afterwards every seat must still be held.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use ve_core::{
    id::{HostKey, RunId, SessionId, SessionNumber},
    node::event::{Event, Record, SessionRecord},
    time::Utc,
};
use ve_store::{Embedded, Store};
use ve_testbed::Server;

/// How many seats are in use.
const SEATS: u64 = 100_000;
/// How many of them share a commit while the ledger is made.
const BATCH: usize = 1_000;
/// How often both are measured in turn.
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let vendor = ve_testbed::vendor(&folder.path().join("vendor"));
    let instances = u32::try_from(SEATS).expect("it fits");
    ve_testbed::install(&vendor, &home, |license| license.instances(instances));
    let ledger = home.join("ledger.db");
    fill(&ledger);
    let (mut ready, mut read) = (Vec::new(), Vec::new());
    let mut server = None;
    for _ in 0..=ROUNDS {
        drop(server.take());
        read.push(read_rows(&ledger));
        let since = Instant::now();
        server = Some(Server::start(&home));
        ready.push(since.elapsed());
    }
    let server = server.expect("it was started");
    let (ready, read) = (median(&ready), median(&read));
    println!(
        "restart with {SEATS} seats: ready after {:.2} s; the same rows read by SQLite alone: {:.2} s; {:.2} s more (median of {ROUNDS})",
        ready.as_secs_f64(),
        read.as_secs_f64(),
        ready.saturating_sub(read).as_secs_f64(),
    );
    assert_eq!(server.list("sessions").len() as u64, SEATS, "everybody has its seat");
}

/// Takes a hundred thousand seats.
fn fill(ledger: &Path) {
    let mut store = Embedded::open(ledger).expect("a ledger");
    let records: Vec<Record> = (1..=SEATS)
        .map(|number| Record {
            // Above what installing the license has written.
            position: 1_000 + number,
            at: Utc(1_790_000_000),
            event: Event::SessionOpened(session(number)),
        })
        .collect();
    for batch in records.chunks(BATCH) {
        store.append(&[batch]).expect("room");
    }
    store.close().expect("a ledger");
}

fn session(number: u64) -> SessionRecord {
    let (mut host, mut id) = ([0; 32], [0; 16]);
    host[..8].copy_from_slice(&number.to_be_bytes());
    id[..8].copy_from_slice(&number.to_be_bytes());
    let name = |text: &str| text.parse().expect("a name");
    SessionRecord {
        number: SessionNumber(number),
        id: SessionId(id),
        host: HostKey(host),
        run: RunId([9; 16]),
        emulator: name(&format!("emulator-{number}")),
        product: name("Charon-SSP/4M"),
        version: name("5.2.1").try_into().expect("a version"),
        hardware: name("Charon-SSP/4M"),
        cpus: 1,
        memory_mb: 64,
        license_id: "01.00000001.002.044".parse().expect("a license ID"),
        section: 0,
        product_code: name("Charon-SSP/ALL"),
        address: name("192.0.2.1:40000"),
        since: Utc(1_790_000_000),
        replaces: None,
        promised_lease_ms: 120_000,
        promised_grace: false,
    }
}

fn read_rows(ledger: &Path) -> Duration {
    let since = Instant::now();
    let connection = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let connection = connection.expect("a ledger");
    let mut rows = connection.prepare("SELECT number, body FROM sessions").expect("a table");
    let rows = rows.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
    let bytes: usize = rows.expect("rows").map(|row| row.expect("a row").1.len()).sum();
    assert!(bytes > 0);
    since.elapsed()
}

/// Of all rounds but the first, which does not count.
fn median(times: &[Duration]) -> Duration {
    let mut times = times[1..].to_vec();
    times.sort();
    times[times.len() / 2]
}
