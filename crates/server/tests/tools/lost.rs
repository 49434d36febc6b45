//! A server's start with a ledger that is damaged, missing or older: it says what is lost and what was
//! saved, and never begins from zero hours in silence.

use std::{fs, path::PathBuf};

use rusqlite::Connection;
use ve_core::time::HOUR_MS;

use crate::{
    office::{ID, Office},
    running::Server,
    viewer::use_hours,
};

fn with_hours(used: u64) -> Office {
    let office = Office::with_license(|license| license.hours(100));
    use_hours(&office, 1, used * HOUR_MS);
    office
}

/// Starts a server, and gives what it logged and what `licensectl status` says.
fn start(office: &Office) -> (String, String) {
    let server = Server::start(office);
    let logs = office.run("licensectl", &["logs"]).expect_code(0).stdout;
    let status = office.run("licensectl", &["status"]).expect_code(0).stdout;
    drop(server);
    (logs, status)
}

fn expect_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

fn damaged_files(office: &Office) -> Vec<PathBuf> {
    let entries = fs::read_dir(office.home().path()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    // Not the logs beside them.
    let is_ledger = |name: &str| name.contains("ledger.db.damaged-") && name.ends_with('Z');
    paths.filter(|path| is_ledger(&path.to_string_lossy())).collect()
}

#[test]
fn a_damaged_ledger_is_kept_aside_and_its_hours_are_saved() {
    let office = with_hours(12);
    let mut bytes = fs::read(office.home().ledger()).unwrap();
    bytes[100..4_096].fill(0);
    fs::write(office.home().ledger(), &bytes).unwrap();
    let (logs, status) = start(&office);
    expect_all(
        &logs,
        &[
            "ERROR MAIN ledger.db was damaged (",
            "it is kept as ",
            "ERROR MAIN Lost are all sessions, the audit trail and the list of denials",
            &format!("Saved from marks.reserve: 12 hour(s) of {ID} version 1, {ID} had version 1"),
        ],
    );
    assert!(status.contains("Attention: The ledger was begun anew on "), "{status}");
    let [aside] = damaged_files(&office).try_into().unwrap();
    assert_eq!(fs::read(aside).unwrap(), bytes);
    let shown = office.run("license_viewer", &[]).expect_code(0).stdout;
    assert!(shown.contains("\nRemaining: 88 hour(s)\n"), "{shown}");
}

#[test]
fn a_missing_ledger_gets_its_hours_from_the_reserve() {
    let office = with_hours(12);
    fs::remove_file(office.home().ledger()).unwrap();
    // The tools know the hours already, and none of them makes a new ledger.
    let shown = office.run("license_viewer", &[]).expect_code(0).stdout;
    assert!(shown.contains("\nRemaining: 88 hour(s)\n"), "{shown}");
    office.install(office.license().hours(100).version(2).sign()).expect_code(0);
    assert!(!office.home().ledger().exists());
    let (logs, _) = start(&office);
    expect_all(
        &logs,
        &[
            "ERROR MAIN ledger.db was missing, and this server has run before",
            &format!("Saved from marks.reserve: 12 hour(s) of {ID} version 1"),
        ],
    );
}

#[test]
fn a_home_with_licenses_and_without_any_marks_says_so_aloud() {
    let office = with_hours(12);
    fs::remove_file(office.home().ledger()).unwrap();
    fs::remove_file(office.home().marks_reserve()).unwrap();
    let (logs, status) = start(&office);
    expect_all(&logs, &["ERROR MAIN Nothing was saved: the hours used and the license versions"]);
    let sentence =
        "nothing of it was found: hours and versions count again when clients prove them";
    assert!(status.contains(sentence), "{status}");
    // A second start doesn't cry, and the status still says so.
    let (logs, status) = start(&office);
    assert!(!logs.contains("ERROR"), "{logs}");
    assert!(status.contains(sentence), "{status}");
}

#[test]
fn an_older_ledger_that_was_copied_back_is_noticed() {
    let office = with_hours(12);
    let older = fs::read(office.home().ledger()).unwrap();
    use_hours(&office, 1, 20 * HOUR_MS);
    fs::write(office.home().ledger(), older).unwrap();
    let (logs, _) = start(&office);
    expect_all(&logs, &["ERROR MAIN An older ledger.db was put in place: it has 2 records"]);
    let shown = office.run("license_viewer", &[]).expect_code(0).stdout;
    assert!(shown.contains("\nRemaining: 80 hour(s)\n"), "{shown}");
}

#[test]
fn what_is_no_ledger_stays_and_ends_the_start() {
    let office = with_hours(1);
    fs::remove_file(office.home().ledger()).unwrap();
    let other = Connection::open(office.home().ledger()).unwrap();
    other.execute_batch("CREATE TABLE users (name TEXT)").unwrap();
    drop(other);
    let before = fs::read(office.home().ledger()).unwrap();
    let part = "is no ledger of a license server; it was left as it is";
    office.run("licensed", &["--listen", "127.0.0.1:0"]).expect_code(70);
    let logs = office.run("licensectl", &["logs"]).expect_code(0).stdout;
    assert!(logs.contains(part), "{logs}");
    assert_eq!(fs::read(office.home().ledger()).unwrap(), before);
}

/// A disk that has lost the file's beginning keeps no server from its start.
#[test]
fn noise_in_the_ledgers_place_is_kept_aside_and_its_hours_are_saved() {
    let office = with_hours(12);
    let mut bytes = fs::read(office.home().ledger()).unwrap();
    bytes[..8_192].fill(0);
    fs::write(office.home().ledger(), &bytes).unwrap();
    let (logs, _) = start(&office);
    expect_all(&logs, &["ERROR MAIN ledger.db was damaged (", "Saved from marks.reserve: 12 hour"]);
    let [aside] = damaged_files(&office).try_into().unwrap();
    assert_eq!(fs::read(aside).unwrap(), bytes);
}

#[test]
fn the_tools_say_that_the_hours_are_not_known() {
    let part = "The hours used are not known: there is neither ";
    let office = with_hours(12);
    let c2v = office.file("x.c2v");
    let tools: [(&str, &[&str]); 3] = [
        ("license_viewer", &[]),
        ("licensectl", &["licenses"]),
        ("c2v", &["--filename", c2v.to_str().unwrap()]),
    ];
    for (files, is_told) in [(&[][..], false), (&["ledger.db"], false), (&["marks.reserve"], true)]
    {
        for file in files {
            fs::remove_file(office.home().path().join(file)).unwrap();
        }
        for (tool, arguments) in tools {
            let told = office.run(tool, arguments).expect_code(0);
            assert_eq!(told.stderr.contains(part), is_told, "{tool}: {told:?}");
        }
    }
    // A license without hours has none to lose.
    let office = Office::with_license(|license| license);
    fs::remove_file(office.home().ledger()).unwrap();
    let _ = fs::remove_file(office.home().marks_reserve());
    assert_eq!(office.run("license_viewer", &[]).expect_code(0).stderr, "");
}

#[test]
fn a_damaged_reserve_beside_a_sound_ledger_is_said() {
    let office = with_hours(12);
    fs::write(office.home().marks_reserve(), [0xa5; 4_096]).unwrap();
    let (logs, _) = start(&office);
    expect_all(&logs, &["WARN MAIN marks.reserve was damaged: nothing in it could be read."]);
    assert!(!logs.contains("ERROR"), "{logs}");
    // Each start has a log of its own.
    let (logs, _) = start(&office);
    assert!(!logs.contains("marks.reserve was damaged"), "{logs}");
}

/// Files of one home in another: hours of one server are none of the other's.
#[test]
fn another_servers_ledger_does_not_count_here() {
    let (office, other) = (with_hours(12), with_hours(50));
    // Each has had a server, which gave the ledger its name.
    drop((Server::start(&office), Server::start(&other)));
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(office.home().path().join(file));
        let _ = fs::copy(other.home().path().join(file), office.home().path().join(file));
    }
    let (logs, status) = start(&office);
    expect_all(
        &logs,
        &[
            "ERROR MAIN ledger.db was another server's, and none of its marks count here; it is kept",
            &format!("Saved from marks.reserve: 12 hour(s) of {ID} version 1"),
        ],
    );
    expect_all(&status, &["because the one in its place was another server's", "88 hour(s) left"]);
    fs::copy(other.home().marks_reserve(), office.home().marks_reserve()).unwrap();
    let (logs, status) = start(&office);
    expect_all(&logs, &["WARN MAIN marks.reserve was another server's; it is kept as "]);
    expect_all(&status, &["88 hour(s) left"]);
}

/// A license that is installed meanwhile doesn't hide the loss: the server finds it, and says it.
#[test]
fn an_installed_license_hides_no_loss() {
    let office = with_hours(12);
    fs::remove_file(office.home().ledger()).unwrap();
    fs::remove_file(office.home().marks_reserve()).unwrap();
    let told = office.install(office.license().hours(100).version(2).sign()).expect_code(0);
    assert!(told.stderr.contains("ledger.db is missing, though there have been"), "{told:?}");
    let (logs, status) = start(&office);
    expect_all(&logs, &["ERROR MAIN Nothing was saved: the hours used and the license versions"]);
    expect_all(&status, &["hours and versions count again when clients prove them"]);
}

#[test]
fn a_license_that_was_removed_still_shows_that_there_was_a_ledger() {
    let office = with_hours(12);
    office.run("licensectl", &["licenses", "remove", ID]).expect_code(0);
    fs::remove_file(office.home().ledger()).unwrap();
    fs::remove_file(office.home().marks_reserve()).unwrap();
    let (logs, _) = start(&office);
    expect_all(&logs, &["ERROR MAIN ledger.db was missing, and this server has run before"]);
}

#[test]
fn a_first_start_is_no_loss() {
    let office = Office::new();
    let (logs, status) = start(&office);
    assert!(!logs.contains("ERROR MAIN") && !logs.contains("ledger"), "{logs}");
    assert!(!status.contains("ledger"), "{status}");
}

/// It is there for people to read, and no reason to end a start.
#[test]
fn a_beginning_that_makes_no_sense_keeps_no_server_from_its_start() {
    let office = with_hours(12);
    let other = Connection::open(office.home().ledger()).unwrap();
    other.execute_batch("UPDATE marks SET begun = '{}', may_lack_holders = 1").unwrap();
    drop(other);
    let (logs, _) = start(&office);
    assert!(!logs.contains("ERROR"), "{logs}");
}
