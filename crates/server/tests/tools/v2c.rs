//! `v2c` without a running server: the difference that it shows, and what it leaves behind.

use std::fs;

use crate::office::{ID, Office, mode};

#[test]
fn an_update_shows_what_differs_and_keeps_what_it_replaces() {
    let office =
        Office::with_license(|license| license.hours(100).passphrase("1111-2222-3333-4444"));
    let before = office.installed();
    let update = office.license().version(2).hours(250).instances(5).sign();
    let path = office.write("update.v2c", &update);
    let path = path.to_str().unwrap();
    let shown = "\
License 01.00000001.002.044: version 1 → 2

Field                              Before               After
Expiration date                    100 hour(s)          250 hour(s)
License version                    1                    2
Charon-SSP/ALL: Instances allowed  3                    5
Charon-SSP/ALL: Passphrase         ****-****-****-4444  -

No server runs here; the next start takes the license up.
Status: valid
";
    let dry = office.run("v2c", &["--filename", path, "--dry-run"]).expect_code(0);
    assert_eq!(dry.stdout, format!("{shown}This was a dry run: nothing was changed.\n"));
    assert_eq!(office.installed(), before);
    let done = office.run("v2c", &["--filename", path]).expect_code(0);
    assert_eq!(done.stdout, format!("{shown}Installed.\n"));
    assert_eq!(office.installed(), format!("{update}\n").as_bytes());
    let home = office.home();
    let id = ID.parse().unwrap();
    assert_eq!(fs::read(home.earlier_license_file(&id, 1)).unwrap(), before);
    assert_eq!(mode(&home.license_file(&id)), 0o600);
    let again = office.run("v2c", &["--filename", path]).expect_code(0);
    assert_eq!(
        again.stdout,
        "License 01.00000001.002.044 version 2 is installed already; nothing changes.\n\
         Status: valid\n"
    );
}

#[test]
fn a_license_that_has_expired_is_installed_and_says_so() {
    let office = Office::new();
    let expired = office.license().expires("2026-02-01 00:00:00").sign();
    let outcome = office.install(expired).expect_code(0);
    assert!(outcome.stdout.contains("\nStatus: license-expired: "), "{}", outcome.stdout);
}

#[test]
fn a_server_holds_any_number_of_licenses_of_one_mode() {
    let office = Office::with_license(|license| license);
    office.install(office.license().id("01.00000001.002.045").sign()).expect_code(0);
    let licenses = office.run("licensectl", &["licenses"]).expect_code(0).stdout;
    assert_eq!(licenses.matches("  valid\n").count(), 2, "{licenses}");
    let autove = office.license().id("01.00000001.002.046").with(|license| {
        license.mode = ve_core::license::Mode::AutoVe;
    });
    office.install(autove.sign()).expect_failure(77, "one server serves one mode");
}

#[test]
fn a_home_must_trust_a_vendor_and_have_a_key() {
    let office = Office::new();
    let license = office.license().sign();
    fs::remove_file(office.home().vendor_keys()).unwrap();
    office.install(&license).expect_failure(78, "vendor.pub, so no vendor is trusted here");
    fs::write(office.home().vendor_keys(), "hello\n").unwrap();
    office.install(&license).expect_failure(78, "vendor.pub: line 1 is no part of");
    office.vendor.trust_in(office.home().path());
    fs::remove_file(office.home().identity_key()).unwrap();
    office.install(&license).expect_failure(78, "make it with c2v");
    assert!(!office.home().license_file(&ID.parse().unwrap()).exists());
}

#[test]
fn the_ledgers_mark_outlives_the_license() {
    let office = Office::new();
    let mut store = ve_store::Embedded::open(&office.home().ledger()).unwrap();
    let event =
        ve_core::node::event::Event::LicenseSeen { license_id: ID.parse().unwrap(), version: 7 };
    let record = ve_core::node::event::Record { position: 1, at: ve_core::time::Utc(0), event };
    ve_store::Store::append(&mut store, &[&[record]]).unwrap();
    ve_store::Store::close(store).unwrap();
    office.install(office.license().version(6).sign()).expect_failure(
        77,
        "version 6 is older than version 7, which was installed here before; ask the vendor for \
         version 8 or higher",
    );
    office.install(office.license().version(7).sign()).expect_code(0);
}

#[test]
fn a_license_is_removed_and_its_file_kept() {
    let office = Office::with_license(|license| license);
    let before = office.installed();
    let id = ID.parse().unwrap();
    office.run("licensectl", &["licenses", "remove", ID]).expect_code(0);
    assert!(!office.home().license_file(&id).exists());
    assert_eq!(fs::read(office.home().earlier_license_file(&id, 1)).unwrap(), before);
    office.run("licensectl", &["licenses", "remove", ID]).expect_failure(65, "is not installed");
    office.run("licensectl", &["licenses", "remove", "../x"]).expect_failure(64, "license ID");
}
