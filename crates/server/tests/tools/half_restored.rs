//! Homes in which something was cut off: a restore that is decided and not complete, a first start.

use std::{
    fs,
    io::pipe,
    process::{Command, Stdio},
};

use rusqlite::Connection;
use serde_json::json;
use ve_core::{node::event::Metered, time::HOUR_MS};
use ve_store::HighWater;

use crate::{
    office::{ID, Office},
    running::Server,
    viewer::use_hours,
};

/// A restore is cut off that is to bring the license back as it is now, and to raise the marks.
fn cut_off(office: &Office, raise: Option<&HighWater>) {
    let folder = office.home().path().join("restoring");
    fs::create_dir_all(folder.join("licenses")).unwrap();
    let name = format!("licenses/{ID}.v2c");
    fs::write(folder.join(&name), office.installed()).unwrap();
    let journal = json!({"aside": "before-restore-1", "names": [name], "raise": raise});
    fs::write(folder.join("journal.json"), journal.to_string()).unwrap();
}

/// The next one that takes the home completes the restore, so that it undoes nothing later.
#[test]
fn whoever_changes_the_home_completes_the_restore_first() {
    let part = "A restore that was cut off has been completed first.";
    let office = Office::with_license(|license| license);
    let next = office.license().version(2).sign();
    cut_off(&office, None);
    let told = office.install(&next).expect_code(0);
    assert!(told.stderr.contains(part), "{told:?}");
    drop(Server::start(&office));
    assert_eq!(String::from_utf8(office.installed()).unwrap().trim(), next.trim());
    assert_eq!(office.status(), "valid");

    cut_off(&office, None);
    let told = office.run("licensectl", &["licenses", "remove", ID]).expect_code(0);
    assert!(told.stderr.contains(part), "{told:?}");
    drop(Server::start(&office));
    assert!(!office.home().license_file(&ID.parse().unwrap()).exists());
}

/// What is read there is half of one home and half of another.
#[test]
fn a_half_restored_home_is_neither_backed_up_nor_described() {
    let office = Office::with_license(|license| license);
    cut_off(&office, None);
    office.back_up("b.tar").expect_failure(75, "or was cut off");
    assert!(!office.file("b.tar").exists());
    let file = office.file("x.c2v");
    let c2v = office.run("c2v", &["--filename", file.to_str().unwrap()]);
    c2v.expect_failure(75, "or was cut off there");
    drop(Server::start(&office));
    office.back_up("b.tar").expect_code(0);
    office.c2v();
}

/// The ledger that was to be raised is lost when the restore goes on: the server starts all the same.
#[test]
fn a_ledger_that_was_lost_meanwhile_does_not_end_every_start() {
    for is_missing in [true, false] {
        let office = Office::with_license(|license| license.hours(100));
        use_hours(&office, 1, 5 * HOUR_MS);
        let used = Metered { used_ms: 12 * HOUR_MS, charged_to: None };
        let meters = [((ID.parse().unwrap(), 1), used)].into();
        cut_off(&office, Some(&HighWater { meters, ..HighWater::default() }));
        if is_missing {
            fs::remove_file(office.home().ledger()).unwrap();
        } else {
            let mut bytes = fs::read(office.home().ledger()).unwrap();
            bytes[100..4_096].fill(0);
            fs::write(office.home().ledger(), bytes).unwrap();
        }
        let server = Server::start(&office);
        let status = office.run("licensectl", &["status"]).expect_code(0).stdout;
        assert!(status.contains("Attention: The ledger was begun anew on "), "{status}");
        drop(server);
        let shown = office.run("license_viewer", &[]).expect_code(0).stdout;
        assert!(shown.contains("\nRemaining: 88 hour(s)\n"), "{shown}");
    }
}

/// A first start was killed while the ledger was made. Its journal takes nothing back from the
/// ledger that comes in its place.
#[test]
fn a_backup_is_restored_over_a_first_start_that_was_cut_off() {
    let office = Office::with_license(|license| license.hours(100));
    use_hours(&office, 1, 5 * HOUR_MS);
    office.back_up("b.tar").expect_code(0);
    let elsewhere = Office::new();
    let home = elsewhere.home();
    let busy = Connection::open(elsewhere.file("busy.db")).unwrap();
    let fill = "PRAGMA cache_size = 1; BEGIN; CREATE TABLE t (a);
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)
                INSERT INTO t SELECT zeroblob(4000) FROM n";
    busy.execute_batch(fill).unwrap();
    for suffix in ["", "-journal"] {
        let name = format!("ledger.db{suffix}");
        fs::copy(elsewhere.file(&format!("busy.db{suffix}")), home.path().join(name)).unwrap();
    }
    let shown = elsewhere.run("license_viewer", &[]).expect_code(0).stdout;
    assert!(shown.ends_with("No license is installed.\n"), "{shown}");
    fs::copy(office.file("b.tar"), elsewhere.file("b.tar")).unwrap();
    elsewhere.restore_at(home.path(), "b.tar", &[]).expect_code(0);
    drop(Server::start(&elsewhere));
    let shown = elsewhere.run("license_viewer", &[]).expect_code(0).stdout;
    assert!(shown.contains("\nRemaining: 95 hour(s)\n"), "{shown}");
}

/// `licensectl restore F | head -1`, where `head` is done before the first line.
#[test]
fn a_reader_that_has_seen_enough_does_not_keep_a_backup_from_being_restored() {
    let office = Office::with_license(|license| license);
    office.back_up("b.tar").expect_code(0);
    let elsewhere = office.file("elsewhere");
    let file = office.file("b.tar");
    let mut command = office.command("licensectl", &["restore", file.to_str().unwrap()]);
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    fs::rename(office.home().path(), &elsewhere).unwrap();
    let run = |command: &mut Command| command.stdout(writer).stderr(Stdio::null()).status();
    assert_eq!(run(&mut command).unwrap().code(), Some(0));
    assert_eq!(office.status(), "valid");
}
