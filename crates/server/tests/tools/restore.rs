//! `licensectl restore`: on the same host only, never over a running server, and no mark goes down.

use std::{fs, path::PathBuf};

use serde_json::Value;
use ve_core::{id::LicenseId, time::HOUR_MS};
use ve_store::{Embedded, ReadOnly, Store};

use crate::{
    office::{ID, Office, mode},
    running::Server,
    viewer::use_hours,
};

fn id() -> LicenseId {
    ID.parse().unwrap()
}

/// A home with a license of 100 hours, of which 5 are used, and a backup of it.
fn backed_up() -> Office {
    let office = Office::with_license(|license| license.hours(100));
    use_hours(&office, 1, 5 * HOUR_MS);
    office.back_up("b.tar").expect_code(0);
    office
}

/// The home's folders with replaced files.
fn aside(office: &Office) -> Vec<PathBuf> {
    let entries = fs::read_dir(office.home().path()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_aside =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("before-restore-");
    paths.filter(is_aside).collect()
}

fn remaining(office: &Office) -> String {
    let shown = office.run("license_viewer", &[]).expect_code(0).stdout;
    let line = shown.lines().find_map(|line| line.strip_prefix("Remaining: "));
    line.unwrap_or_else(|| panic!("{shown}")).to_string()
}

fn may_lack_holders(office: &Office) -> bool {
    ReadOnly::open(&office.home().ledger()).unwrap().remember().unwrap().may_lack_holders
}

fn restore(office: &Office) -> String {
    let home = office.home();
    office.restore_at(home.path(), "b.tar", &[]).expect_code(0).stdout
}

#[test]
fn an_empty_home_becomes_what_it_was() {
    let office = backed_up();
    let before = fs::read(office.home().identity_key()).unwrap();
    let elsewhere = office.file("elsewhere");
    let shown = office.restore_at(&elsewhere, "b.tar", &["--dry-run"]).expect_code(0).stdout;
    assert!(shown.ends_with("\nThis was a dry run: nothing was changed.\n"), "{shown}");
    assert!(!elsewhere.exists());
    fs::rename(office.home().path(), office.file("gone")).unwrap();
    let done = restore(&office);
    insta::assert_snapshot!(
        done.lines()
            .skip(1)
            .collect::<Vec<_>>()
            .join("\n")
            .replace(&*office.file("").to_string_lossy(), "/")
    );
    assert_eq!(fs::read(office.home().identity_key()).unwrap(), before);
    assert_eq!(remaining(&office), "95 hour(s)");
    assert_eq!(office.status(), "valid");
    assert!(may_lack_holders(&office));
    for file in
        [office.home().identity_key(), office.home().license_file(&id()), office.home().ledger()]
    {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(aside(&office), Vec::<PathBuf>::new());
    let server = Server::start(&office);
    let logs = office.run("licensectl", &["logs"]).expect_code(0).stdout;
    assert!(logs.contains("WARN MAIN The ledger was restored from a backup on "), "{logs}");
    let status = office.run("licensectl", &["status"]).expect_code(0).stdout;
    assert!(status.contains("Attention: The ledger was restored from a backup on "), "{status}");
    drop(server);
}

#[test]
fn a_sound_home_stays_as_it_is() {
    let office = backed_up();
    use_hours(&office, 1, 7 * HOUR_MS);
    let shown = restore(&office);
    let ledger = shown.lines().find(|line| line.starts_with("ledger.db ")).unwrap();
    assert!(ledger.contains("  stays  "), "{shown}");
    assert_eq!(shown.matches(" is the same").count(), 3, "{shown}");
    assert_eq!((remaining(&office), aside(&office)), ("93 hour(s)".into(), Vec::new()));
    assert!(!may_lack_holders(&office));
}

/// The ledger is damaged and the configuration spoiled: both are kept aside, and the reserve knows
/// of hours that the backup doesn't.
#[test]
fn a_damaged_home_is_repaired_and_no_hour_is_gained() {
    let office = backed_up();
    use_hours(&office, 1, 9 * HOUR_MS);
    let mut damaged = fs::read(office.home().ledger()).unwrap();
    damaged[100..4_096].fill(0);
    fs::write(office.home().ledger(), &damaged).unwrap();
    fs::write(office.home().license_file(&id()), "spoiled").unwrap();
    let json = office.restore_at(office.home().path(), "b.tar", &["--dry-run", "--json"]);
    let json: Value = serde_json::from_str(&json.expect_code(0).stdout).unwrap();
    assert_eq!(json["marks"][1]["backup"], "5");
    assert_eq!((&json["marks"][1]["home"], &json["marks"][1]["after"]), (&"9".into(), &"9".into()));
    assert_eq!(json["licenses"][0]["status"], "valid");
    assert_eq!(fs::read(office.home().ledger()).unwrap(), damaged);
    restore(&office);
    assert_eq!((remaining(&office), office.status()), ("91 hour(s)".into(), "valid".into()));
    let [aside] = aside(&office).try_into().unwrap();
    assert_eq!(mode(&aside), 0o700);
    assert_eq!(fs::read(aside.join("ledger.db")).unwrap(), damaged);
    let spoiled = fs::read(aside.join(format!("licenses/{ID}.v2c"))).unwrap();
    assert_eq!(spoiled, b"spoiled");
    drop(Server::start(&office));
}

#[test]
fn an_older_backup_keeps_the_newer_license_and_all_marks() {
    let office = backed_up();
    office.install(office.license().hours(300).version(2).sign()).expect_code(0);
    use_hours(&office, 2, 40 * HOUR_MS);
    fs::remove_file(office.home().ledger()).unwrap();
    let shown = restore(&office);
    assert!(shown.contains("version 2 is installed, which is newer than the backup's"), "{shown}");
    assert_eq!((remaining(&office), office.status()), ("260 hour(s)".into(), "valid".into()));

    // Without the newer file, the older one comes back and is what it says: rolled back.
    fs::remove_file(office.home().license_file(&id())).unwrap();
    let shown = restore(&office);
    assert!(shown.contains("license-version-rolled-back: "), "{shown}");
    assert!(office.status().starts_with("license-version-rolled-back: "), "{}", office.status());
    office.install(office.license().hours(300).version(2).sign()).expect_code(0);
    assert_eq!(remaining(&office), "260 hour(s)");
}

#[test]
fn a_running_server_is_not_restored_over() {
    let office = backed_up();
    let server = Server::start(&office);
    let part = format!("is in use by process {}", server.0.id());
    for more in [&["--dry-run"][..], &[]] {
        office.restore_at(office.home().path(), "b.tar", more).expect_failure(75, &part);
    }
}

#[test]
fn another_machines_backup_is_refused_with_the_component() {
    let office = backed_up();
    let path = office.home().license_file(&id());
    office.license().version(2).of_another_machine().write(&path);
    office.back_up("other.tar").expect_code(0);
    let elsewhere = office.file("elsewhere");
    let part = "binding-changed: license 01.00000001.002.044 is bound to another machine, or this one \
                has changed: machine-id.";
    for more in [&["--dry-run"][..], &[]] {
        office.restore_at(&elsewhere, "other.tar", more).expect_failure(77, part);
    }
    assert!(!elsewhere.join("identity.key").exists());
}

#[test]
fn another_servers_backup_is_refused_where_licenses_are() {
    let (office, other) = (backed_up(), backed_up());
    fs::copy(other.file("b.tar"), office.file("other.tar")).unwrap();
    let before = fs::read(office.home().identity_key()).unwrap();
    let part = "binding-changed: ";
    office.restore_at(office.home().path(), "other.tar", &[]).expect_failure(77, part);
    assert_eq!(fs::read(office.home().identity_key()).unwrap(), before);
    // A key that no license is bound to gives way, and is kept.
    fs::remove_file(office.home().license_file(&id())).unwrap();
    other.vendor.trust_in(office.home().path());
    office.restore_at(office.home().path(), "other.tar", &[]).expect_code(0);
    let [aside] = aside(&office).try_into().unwrap();
    assert_eq!(fs::read(aside.join("identity.key")).unwrap(), before);
    assert_eq!(office.status(), "valid");
}

#[test]
fn holders_stay_unknown_over_another_restart() {
    let office = backed_up();
    fs::remove_file(office.home().ledger()).unwrap();
    restore(&office);
    for _ in 0..2 {
        drop(Server::start(&office));
        assert!(may_lack_holders(&office));
    }
    let begun = Embedded::open(&office.home().ledger()).unwrap().begun().unwrap();
    assert_eq!(begun.unwrap().cause, ve_store::BegunCause::Restored);
    let mut store = Embedded::open(&office.home().ledger()).unwrap();
    assert!(store.remember().unwrap().sessions.is_empty());
}

/// A ledger that was begun anew counts from one again: however far it gets, it is not the newer one.
#[test]
fn a_ledger_that_was_begun_anew_gives_way_to_the_backups() {
    let office = backed_up();
    fs::remove_file(office.home().ledger()).unwrap();
    fs::remove_file(office.home().marks_reserve()).unwrap();
    drop(Server::start(&office));
    use_hours(&office, 1, 2 * HOUR_MS);
    for _ in 0..3 {
        office.install(office.license().hours(100).sign()).expect_code(0);
    }
    let anew = "nothing of it was found";
    let server = Server::start(&office);
    let status = office.run("licensectl", &["status"]).expect_code(0).stdout;
    assert!(status.contains(anew), "{status}");
    drop(server);
    // What was backed up after the loss has the same history, and is compared.
    office.back_up("after.tar").expect_code(0);
    let shown = office.restore_at(office.home().path(), "after.tar", &[]).expect_code(0).stdout;
    assert!(shown.contains("sound, and not older than the backup's"), "{shown}");

    let shown = restore(&office);
    assert!(shown.contains("the home's was begun anew, after a loss"), "{shown}");
    assert_eq!(remaining(&office), "95 hour(s)");
    assert!(may_lack_holders(&office));
    let server = Server::start(&office);
    let status = office.run("licensectl", &["status"]).expect_code(0).stdout;
    assert!(!status.contains(anew), "{status}");
    assert!(status.contains("The ledger was restored from a backup on "), "{status}");
    drop(server);
    // And from here on it is compared again.
    assert!(restore(&office).contains("sound, and not older than the backup's"));
}
