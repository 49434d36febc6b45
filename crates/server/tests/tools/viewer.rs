//! `license_viewer`: the sample of the interface, to the letter, and what else it says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use ve_core::{
    fingerprint::{Fingerprint, Platform},
    id::{BootId, ServerKey},
    license::{KeyType, Lease, License, Mode, ProductSection, Verified},
    node::event::{Event, Record},
    time::{Elapsed, HOUR_MS, Moment, Utc},
};
use ve_documents::v2c::Passphrases;
use ve_server::{control::protocol::LicenseReport, viewer};
use ve_store::{Embedded, Store};

use crate::office::{ID, Office};

const FINGERPRINT: &str = "07792211fc8ce3fdc08507792211fc8ce3fdc08507792211fc8ce3fdc0850779";

const SAMPLE: &str = "\
<<License Viewer>>

Current license:
License fingerprint: 07792211fc8ce3fdc08507792211fc8ce3fdc08507792211fc8ce3fdc0850779
Customer name: Stromasys
License ID: 01.00000001.002.020
Key type: COUNTDOWN
Expiration date: 100 hour(s)
Platform: amazon.aws
Release date: 2021-06-17 13:08:01
Grace period: 120 minutes
License check interval: 60 minutes
License version: 1
Remaining: 97.5 hour(s)
Status: valid

Virtual Hardware: Charon-SSP/4M,Charon-SSP/4U
Product code: Charon-SSP/ALL
Expiration date: 2021-12-22 23:55:00
Major Version: 5
Minor Version: 3
Maximum CPU: 64
Maximum virtual memory: 1048576MB
Instances allowed: 3
Passphrase: ****-****-****-4444
";

fn sample() -> License {
    License {
        id: "01.00000001.002.020".parse().unwrap(),
        version: 1,
        customer: "Stromasys".parse().unwrap(),
        mode: Mode::General,
        key_type: KeyType::Countdown { hours: 100 },
        platform: Platform::AmazonAws,
        released: Utc::parse("2021-06-17 13:08:01").unwrap(),
        grace_ms: 2 * HOUR_MS,
        check_interval_ms: HOUR_MS,
        lease: Lease::For(120_000),
        tolerance: BTreeSet::new(),
        binding: Fingerprint(BTreeMap::new()),
        fingerprint: FINGERPRINT.parse().unwrap(),
        server_key: ServerKey([1; 32]),
        sections: vec![ProductSection {
            code: "Charon-SSP/ALL".parse().unwrap(),
            virtual_hardware: ["Charon-SSP/4M", "Charon-SSP/4U"]
                .map(|model| model.parse().unwrap())
                .to_vec(),
            expires: Some(Utc::parse("2021-12-22 23:55:00").unwrap()),
            major: 5,
            minor: 3,
            max_cpu: 64,
            max_memory_mb: 1_048_576,
            instances: 3,
            passphrase: Some("1111-2222-3333-4444".parse().unwrap()),
        }],
    }
}

fn report(license: &License, remaining_seconds: Option<u64>) -> LicenseReport {
    LicenseReport {
        id: license.id.to_string(),
        version: license.version,
        status: "valid".to_string(),
        reason: None,
        remaining_seconds,
        used_seconds: None,
        mode: None,
        customer: None,
        key_type: None,
        expires: None,
        products: Vec::new(),
    }
}

fn shown(license: License, remaining_seconds: Option<u64>) -> String {
    let report = report(&license, remaining_seconds);
    viewer::text(&[Verified::vouch(license)], &[report], Passphrases::Masked)
}

#[test]
fn the_sample_is_printed_to_the_letter() {
    assert_eq!(shown(sample(), Some(351_000)), SAMPLE);
    let revealed = viewer::text(
        &[Verified::vouch(sample())],
        &[report(&sample(), Some(351_000))],
        Passphrases::Revealed,
    );
    assert_eq!(revealed, SAMPLE.replace("****-****-****-4444", "1111-2222-3333-4444"));
}

#[test]
fn other_kinds_of_licenses_have_the_same_lines() {
    let mut license = sample();
    license.key_type =
        KeyType::Normal { expires: Some(Utc::parse("2026-12-31 15:55:00").unwrap()) };
    license.grace_ms = 20_000;
    license.check_interval_ms = 90_000;
    license.sections[0].passphrase = None;
    license.sections[0].expires = None;
    let text = shown(license.clone(), None);
    let expected = SAMPLE
        .replace("COUNTDOWN", "NORMAL")
        .replace("100 hour(s)", "2026-12-31 15:55:00")
        .replace("120 minutes", "20 seconds")
        .replace("60 minutes", "90 seconds")
        .replace("Remaining: 97.5 hour(s)\n", "")
        .replace("2021-12-22 23:55:00", "2026-12-31 15:55:00")
        .replace("Passphrase: ****-****-****-4444\n", "");
    assert_eq!(text, expected);
    license.key_type = KeyType::Normal { expires: None };
    assert_eq!(shown(license, None), expected.replace("2026-12-31 15:55:00", "none"));
}

#[test]
fn a_license_that_counts_hosts_says_so_after_the_original_lines() {
    let license = License { mode: Mode::AutoVe, ..sample() };
    let expected = SAMPLE.replace("Status: valid\n", "Status: valid\nMode: autove\n");
    assert_eq!(shown(license, Some(351_000)), expected);
}

#[test]
fn an_empty_home_has_no_license_and_none_is_made() {
    let office = Office::new();
    let outcome = office.run("license_viewer", &[]).expect_code(0);
    assert_eq!(outcome.stdout, "<<License Viewer>>\n\nNo license is installed.\n");
    let json = office.run("license_viewer", &["--json"]).expect_code(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), serde_json::json!({"licenses": []}));
    assert!(!office.home().identity_key().exists() && !office.home().ledger().exists());
}

/// A ledger in which a license version has used so much.
pub(crate) fn use_hours(office: &Office, version: u32, used_ms: u64) {
    let mut store = Embedded::open(&office.home().ledger()).unwrap();
    let charged_to =
        Moment { boot: BootId([1; 16]), elapsed: Elapsed(1_000), wall: Utc(1_700_000_000) };
    let event = Event::HoursUsed { license_id: ID.parse().unwrap(), version, used_ms, charged_to };
    let position = store.remember().unwrap().position + 1;
    let record = Record { position, at: Utc(0), event };
    store.append(&[&[record]]).unwrap();
    store.close().unwrap();
}

#[test]
fn hours_come_from_the_ledger_and_validity_from_the_core() {
    let office =
        Office::with_license(|license| license.hours(100).passphrase("1111-2222-3333-4444"));
    use_hours(&office, 1, 5 * HOUR_MS / 2 + 1_000);
    let text = office.run("license_viewer", &[]).expect_code(0).stdout;
    assert!(text.contains("\nRemaining: 97.4 hour(s)\nStatus: valid\n"), "{text}");
    let json = office.run("license_viewer", &["--json"]).expect_code(0).stdout;
    assert!(!json.contains("1111-2222"), "{json}");
    let json: Value = serde_json::from_str(&json).unwrap();
    let license = &json["licenses"][0];
    assert_eq!(license["id"], ID);
    assert_eq!(license["version"], 1);
    assert_eq!(license["status"], "valid");
    assert_eq!(license["remaining_seconds"], 350_999);
    assert_eq!(license["used_seconds"], 9_001);
    assert_eq!(license["license"]["products"][0]["passphrase"], "****-****-****-4444");
    let revealed = office.run("license_viewer", &["--show-passphrase"]).expect_code(0).stdout;
    assert!(revealed.contains("\nPassphrase: 1111-2222-3333-4444\n"), "{revealed}");
}

#[test]
fn used_up_hours_and_a_past_end_are_named() {
    let office = Office::with_license(|license| license.hours(2));
    use_hours(&office, 1, 2 * HOUR_MS);
    assert_eq!(
        office.status(),
        format!("hours-exhausted: all 2 hours of license {ID} are used up.")
    );
    let office = Office::with_license(|license| license.expires("2026-01-02 00:00:00"));
    assert_eq!(
        office.status(),
        format!("license-expired: license {ID} expired on 2026-01-02 00:00:00 UTC.")
    );
}

#[test]
fn a_license_that_can_not_be_used_is_shown_with_the_reason() {
    let office = Office::with_license(|license| license);
    let path = office.home().license_file(&ID.parse().unwrap());
    let good = office.installed();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    assert!(office.status().starts_with("license-not-available: "), "{}", office.status());
    std::fs::write(&path, &good).unwrap();
    std::fs::remove_file(office.home().vendor_keys()).unwrap();
    assert!(office.status().contains("no vendor is trusted here"), "{}", office.status());
    let other = ve_testbed::vendor(&office.file("other"));
    other.trust_in(office.home().path());
    let kid = office.vendor.key().verifying_key().kid().to_string();
    let sentence = format!("vendor key {kid} is not trusted here");
    assert!(office.status().contains(&sentence), "{}", office.status());
    office.vendor.trust_in(office.home().path());
    std::fs::rename(&path, path.with_file_name("01.00000001.002.099.v2c")).unwrap();
    assert!(office.status().contains("only a file called"), "{}", office.status());
    std::fs::rename(path.with_file_name("01.00000001.002.099.v2c"), &path).unwrap();
    assert_eq!(office.status(), "valid");
}
