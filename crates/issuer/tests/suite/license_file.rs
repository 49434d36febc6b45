//! `L.toml`: what is read, and the error of everything that is not.

use std::collections::BTreeSet;

use ve_core::{
    fingerprint::Component,
    license::{KeyType, Lease, Mode},
    time::Utc,
};
use ve_issuer::license_file::LicenseFile;

use crate::desk::{Desk, LICENSE};

/// The interface description's example with every key in it.
const FULL: &str = r#"
customer = "Stromasys/Testing"
license_id = "01.00000001.002.044"
version = 1                      # optional
mode = "autove"
key_type = "NORMAL"
expires = "2026-12-31 15:55:00"
grace = "20s"
check_interval = "10s"
lease = "grace"
tolerance = ["cpu-cores"]

[[product]]
code = "Charon-SSP/ALL"
virtual_hardware = ["Charon-SSP/4M"]
expires = 2021-12-22 23:55:00    # without quotes
major = 5
minor = 3
max_cpu = 64
max_memory_mb = 1048576
instances = 3

[[product]]
code = "Charon-PA9-64-L4"
virtual_hardware = ["Charon-PA9-64-L4"]
major = 3
minor = 0
max_cpu = 8
max_memory_mb = 32768
instances = 3
passphrase = "1111-2222-3333-4444"
"#;

#[test]
fn every_key_is_read() {
    let file = LicenseFile::parse(FULL).unwrap();
    assert_eq!((file.version, file.mode, file.lease), (Some(1), Mode::AutoVe, Lease::Grace));
    let date = |text| Some(Utc::parse(text).unwrap());
    assert_eq!(file.key_type, KeyType::Normal { expires: date("2026-12-31 15:55:00") });
    assert_eq!((file.grace_ms, file.check_interval_ms), (20_000, 10_000));
    assert_eq!(file.tolerance, BTreeSet::from([Component::CpuCores]));
    assert_eq!(file.sections[0].expires, date("2021-12-22 23:55:00"));
    assert_eq!((file.sections[1].expires, file.sections[1].max_memory_mb), (None, 32_768));
    assert_eq!(file.sections[1].passphrase.as_ref().unwrap().reveal(), "1111-2222-3333-4444");
}

#[test]
fn what_is_left_out_has_its_default() {
    let file = LicenseFile::parse(LICENSE).unwrap();
    assert_eq!((file.version, file.lease), (None, Lease::For(120_000)));
    assert_eq!((file.grace_ms, file.check_interval_ms), (7_200_000, 3_600_000));
    let autove = LicenseFile::parse(&LICENSE.replace("general", "autove")).unwrap();
    assert_eq!(autove.grace_ms, 86_400_000);
    let perpetual = LICENSE.replace("COUNTDOWN", "NORMAL").replace("hours = 100", "");
    let perpetual = LicenseFile::parse(&perpetual).unwrap();
    assert_eq!(perpetual.key_type, KeyType::Normal { expires: None });
}

#[test]
fn every_mistake_has_its_own_error() {
    let desk = Desk::new();
    for (from, to, expected) in [
        ("hours = 100", "hours = 100\nhour = 1", "hour is an unknown field"),
        ("major = 5", "major = 5\nextra = 1", "product[0].extra is an unknown field"),
        ("hours = 100", "hours = 100\nhours = 200", "line 7: duplicate key"),
        ("mode = \"general\"", "mode = general", "line 4: "),
        ("customer = \"Stromasys/Testing\"", "", "customer is missing"),
        ("instances = 2", "", "product[0].instances is missing"),
        ("instances = 2", "instances = -2", "product[0].instances: expected a whole number"),
        ("instances = 2", "instances = 2.0", "product[0].instances: expected a whole number"),
        ("instances = 2", "instances = \"2\"", "product[0].instances: expected a whole number"),
        ("instances = 2", "instances = 0", "instances must be between 1 and 1000000"),
        ("01.00000001.002.044", "1", "license_id: a license ID has the form"),
        ("mode = \"general\"", "mode = \"General\"", "mode: expected one of"),
        ("\"COUNTDOWN\"", "\"FOREVER\"", "key_type: expected NORMAL or COUNTDOWN"),
        ("\"COUNTDOWN\"", "\"NORMAL\"", "hours: goes with key_type COUNTDOWN only"),
        ("hours = 100", "", "key_type: COUNTDOWN needs hours"),
        (
            "hours = 100",
            "expires = \"2026-12-31 15:55:00\"",
            "expires: goes with key_type NORMAL only",
        ),
        ("hours = 100", "hours = 0", "hours must be between"),
        ("hours = 100", "hours = 100\nversion = 0", "version must be at least 1"),
        (
            "hours = 100",
            "hours = 100\ngrace = \"2 hours\"",
            "grace: a duration is a whole number and a unit",
        ),
        ("hours = 100", "hours = 100\ngrace = 7200", "grace: expected a text"),
        ("hours = 100", "hours = 100\ngrace = \"0s\"", "grace must be between 1s and 3650d"),
        ("hours = 100", "hours = 100\nlease = \"long\"", "lease: a duration is"),
        ("hours = 100", "hours = 100\ntolerance = [\"nose\"]", "tolerance[0]: expected one of"),
        ("2099-12-22 23:55:00", "2099-12-22", "product[0].expires: a date is written as"),
        (
            "\"2099-12-22 23:55:00\"",
            "2099-12-22T23:55:00Z",
            "product[0].expires: a date is written as",
        ),
        ("\"Charon-SSP/4U\"", "\"charon-ssp/4m\"", "virtual hardware charon-ssp/4m is named twice"),
        (
            "[\"Charon-SSP/4M\", \"Charon-SSP/4U\"]",
            "[]",
            "virtual_hardware must be a list of 1 to 256",
        ),
        ("Stromasys/Testing", "a\\nb", "customer: contains a control character"),
        ("\"1111-2222-3333-4444\"", "1111", "product[0].passphrase: expected a text"),
        ("\"1111-2222-3333-4444\"", "\"1111-2222", "line 17: "),
    ] {
        assert!(LICENSE.contains(from), "{from}");
        desk.write("L.toml", &LICENSE.replacen(from, to, 1));
        let run = desk.issue(&[]);
        run.assert_fails(65, &format!("L.toml: {expected}"));
        assert!(!run.stderr.contains("1111"), "a secret in an error: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    desk.write("L.toml", LICENSE.split("[[product]]").next().unwrap());
    desk.issue(&[]).assert_fails(65, "L.toml: product is missing");
    std::fs::File::create(desk.path("L.toml")).unwrap().set_len(1 << 30).unwrap();
    desk.issue(&[]).assert_fails(65, "L.toml is larger than 1048576 bytes");
}

#[test]
fn the_vendor_s_guide_shows_a_license_file_that_works() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vendor.md");
    let page = std::fs::read_to_string(page).unwrap();
    let example = page.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    let desk = Desk::new();
    desk.write("L.toml", example);
    assert_eq!(desk.issue(&[]).code, 0, "{}", desk.issue(&[]).stderr);
    assert_eq!(desk.issued().license.version, 1);
}
