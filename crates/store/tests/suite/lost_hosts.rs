//! What a lost ledger knew of hosts: a retired one must not come back by it.

use std::fs;

use rusqlite::Connection;
use ve_core::{id::ServerKey, time::Utc};
use ve_store::{Embedded, Finding, HostMarks, Opened, Store, hosts_left};

use crate::events::{Home, homed, host, license, opened, record, retired, retired_host};

const NOW: Utc = Utc(1_763_842_083);

fn known() -> HostMarks {
    HostMarks {
        retired: [(host(1), retired_host(1, 50)), (host(2), retired_host(2, 70))].into(),
        homed: [(license(1), 3)].into(),
    }
}

/// A ledger that knows of hosts, and whose audit trail is damaged.
fn damaged() -> Home {
    let home = Home::new();
    let mut store = home.open();
    let first = [record(1, retired(1, 1, 50)), record(2, retired(2, 2, 70))];
    store.append(&[&first, &[record(3, homed(1, 3)), record(4, opened(1))]]).expect("durable");
    store.close().expect("a tidy end");
    let connection = Connection::open(home.ledger()).expect("a database");
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'records'";
    let root: usize = connection.query_row(sql, [], |row| row.get(0)).expect("a table");
    drop(connection);
    let mut bytes = fs::read(home.ledger()).expect("a file");
    bytes[(root - 1) * 4_096..root * 4_096].fill(0xa5);
    fs::write(home.ledger(), bytes).expect("a file");
    home
}

fn start(home: &Home, server_key: Option<ServerKey>) -> Opened {
    Embedded::open_for_service(&home.ledger(), server_key, true, NOW).expect("a ledger")
}

fn remembered(opened: &mut Opened) -> HostMarks {
    HostMarks::of(&opened.store.remember().expect("a ledger"))
}

#[test]
fn hosts_are_read_from_the_pages_that_are_left() {
    let home = damaged();
    assert_eq!(hosts_left(&home.ledger()), known());
    let mut opened = start(&home, None);
    assert!(matches!(opened.finding, Finding::Lost(_)), "{:?}", opened.finding);
    assert_eq!(remembered(&mut opened), known());
    drop(opened);
    let mut again = start(&home, None);
    assert_eq!((again.finding.clone(), remembered(&mut again)), (Finding::Sound, known()));
}

/// The machine fails when the damaged ledger is aside and the new one is not there: who was retired is
/// read from where it is now.
#[test]
fn a_recovery_that_was_cut_off_forgets_no_retired_host() {
    let home = damaged();
    let aside = home.ledger().with_file_name("ledger.db.damaged-20251122T200803Z");
    fs::rename(home.ledger(), aside).expect("renamed");
    let retired = HostMarks { homed: [].into(), ..known() };
    assert_eq!(remembered(&mut start(&home, None)), retired);
}

#[test]
fn another_servers_hosts_are_not_taken() {
    let home = Home::new();
    let mut opened = start(&home, Some(ServerKey([2; 32])));
    opened.store.append(&[&[record(1, retired(1, 1, 50))]]).expect("durable");
    opened.store.close().expect("a tidy end");
    assert_eq!(remembered(&mut start(&home, Some(ServerKey([1; 32])))), HostMarks::default());
}

/// Noise that passes for a row costs itself and nothing else.
#[test]
fn rows_that_make_no_sense_are_left_out() {
    let home = damaged();
    let connection = Connection::open(home.ledger()).expect("a database");
    let noise = "INSERT INTO retired_hosts VALUES ('00', 1, 'x', 'y', NULL);
                 INSERT INTO homed VALUES ('01.00000001.002.002', 9000000000000000000)";
    connection.execute_batch(noise).expect("a change");
    drop(connection);
    assert_eq!(hosts_left(&home.ledger()), known());
}
