//! `c2v`: the fingerprint file, the server's key, and the platform.

use std::fs;

use ve_core::{fingerprint::Platform, time::HOUR_MS};

use crate::{
    office::{ID, Office, mode},
    viewer::use_hours,
};

fn c2v(office: &Office, arguments: &[&str]) -> crate::office::Outcome {
    let path = office.file("server.c2v");
    let file = ["--filename", path.to_str().unwrap()];
    office.run("c2v", &[&file, arguments].concat())
}

#[test]
fn the_file_tells_what_the_vendor_needs_and_is_harmless() {
    let office = Office::with_license(|license| license.hours(100));
    use_hours(&office, 1, 10 * HOUR_MS);
    let before = fs::read(office.home().identity_key()).unwrap();
    let outcome = c2v(&office, &[]).expect_code(0);
    assert!(
        outcome
            .stdout
            .contains(&format!("\nInstalled license: {ID} version 1, 10 hour(s) used, 90 left\n")),
        "{}",
        outcome.stdout
    );
    let text = fs::read_to_string(office.file("server.c2v")).unwrap();
    let c2v = ve_documents::c2v::verify(&text).unwrap();
    assert_eq!(c2v.licenses.len(), 1);
    assert_eq!(c2v.licenses[0].used_seconds, 36_000);
    assert_eq!(c2v.licenses[0].remaining_seconds, Some(324_000));
    assert_eq!(c2v.trusted_vendor_keys, [office.vendor.key().verifying_key().kid().clone()]);
    assert_eq!(fs::read(office.home().identity_key()).unwrap(), before);
    assert_eq!(mode(&office.home().identity_key()), 0o600);
}

#[test]
fn a_missing_key_beside_licenses_is_never_replaced_silently() {
    let office = Office::with_license(|license| license);
    let key = office.home().identity_key();
    c2v(&office, &["--new-identity"]).expect_failure(64, "is never replaced");
    fs::remove_file(&key).unwrap();
    c2v(&office, &[]).expect_failure(78, "--new-identity");
    assert!(!key.exists());
    let shown = office.run("license_viewer", &[]).expect_code(0);
    assert!(shown.stdout.contains("Status: binding-changed: "), "{}", shown.stdout);
    c2v(&office, &["--new-identity"]).expect_code(0);
    assert!(key.exists());
    assert_eq!(
        office.status(),
        format!("binding-changed: license {ID} is bound to another server's key.")
    );
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let office = Office::new();
    office.c2v();
    fs::set_permissions(office.home().identity_key(), fs::Permissions::from_mode(0o644)).unwrap();
    c2v(&office, &[]).expect_failure(78, "chmod 600");
}

#[test]
fn a_file_that_can_not_be_written_is_code_73() {
    let office = Office::new();
    let path = office.file("no/such/folder/x.c2v");
    let outcome = office.run("c2v", &["--filename", path.to_str().unwrap()]);
    outcome.expect_failure(73, "x.c2v can't be written: ");
}

#[test]
fn a_named_platform_must_be_known_to_the_server_as_well() {
    let office = Office::new();
    // The machine that runs the tests shows what it is, or shows nothing.
    let named = match c2v(&office, &["--platform", "kvm"]).code {
        0 => Platform::Kvm,
        _ => Platform::Physical,
    };
    let outcome = c2v(&office, &["--platform", named.as_str()]).expect_code(0);
    let line = format!("[host]\nplatform = \"{named}\"\n");
    assert!(outcome.stderr.contains(&line), "{}", outcome.stderr);
    fs::write(office.home().config_file(), &line).unwrap();
    let outcome = c2v(&office, &["--platform", named.as_str()]).expect_code(0);
    assert!(!outcome.stderr.contains("[host]"), "{}", outcome.stderr);
    c2v(&office, &["--platform", "ibm.cloud"]).expect_failure(78, "correct it there");
    c2v(&office, &["--platform", "vax"]).expect_failure(64, "vax");
}
