//! What the same disk, network and database take for the least that must be done.

use std::{
    fs::{File, remove_file},
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio_rustls::TlsConnector;
use ve_documents::keys::SigningKey;
use ve_wire::{
    proto::{Heartbeat, client_message::Kind as Ask, server_message::Kind},
    tls::{self, Identity},
};

use super::{
    median,
    pair::Pair,
    talk::{self, hear, say},
};

/// How often each is measured.
const TIMES: usize = 300;

/// One flush: 4 KiB appended to a file, and `fdatasync`.
pub(crate) fn flush(folder: &Path) -> Duration {
    let mut file = File::create(folder.join("flushed")).expect("a file");
    let mut times: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let since = Instant::now();
            file.write_all(&[7; 4_096]).expect("room");
            file.sync_data().expect("a disk");
            since.elapsed()
        })
        .collect();
    median(&mut times)
}

/// One round trip over TLS: a heartbeat, and its answer.
pub(crate) async fn round_trip(address: SocketAddr) -> Duration {
    let identity = Identity::from_pkcs8(&SigningKey::generate().pkcs8_der()).expect("a fresh key");
    let config = tls::client_config(identity).expect("a fresh key");
    let mut reader = talk::connect(address, TlsConnector::from(Arc::new(config))).await;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let since = Instant::now();
        say(&mut reader, Ask::Heartbeat(Heartbeat {})).await;
        assert!(matches!(hear(&mut reader).await, Kind::Heartbeat(_)));
        times.push(since.elapsed());
    }
    median(&mut times)
}

/// The other peer's rows, copied by SQLite into a new file of the same form, as durably.
pub(crate) fn copy_rows(pair: &Pair) -> Duration {
    let copy = pair.other_file().with_extension("copy");
    let mut connection = Connection::open(&copy).expect("a new file");
    connection.pragma_update(None, "journal_mode", "wal").expect("a mode");
    connection.pragma_update(None, "synchronous", "full").expect("a mode");
    let from = pair.other_file();
    let from = from.to_str().expect("a readable path");
    connection.execute("ATTACH ?1 AS other", [from]).expect("a registry");
    let sql = "SELECT sql FROM other.sqlite_schema WHERE name = 'hosts'";
    let schema: String = connection.query_row(sql, [], |row| row.get(0)).expect("a table");
    connection.execute_batch(&schema).expect("the same table");
    let since = Instant::now();
    let transaction = connection.transaction().expect("nobody else");
    transaction
        .execute("INSERT INTO hosts SELECT * FROM other.hosts ORDER BY number", [])
        .expect("room");
    transaction.commit().expect("a disk");
    let taken = since.elapsed();
    drop(connection);
    for suffix in ["copy", "copy-wal", "copy-shm"] {
        // The last two go with the connection.
        let _ = remove_file(pair.other_file().with_extension(suffix));
    }
    taken
}
