//! `issue`.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use ve_core::{
    fingerprint::{Component, Fingerprint},
    license::{KeyType, Lease, Mode},
    time::Utc,
};
use ve_documents::{
    c2v::{self, C2v},
    credential, license_fingerprint,
};

use crate::desk::{Desk, LICENSE, Run, fixed_key};

#[test]
fn a_license_is_bound_to_the_server_of_the_c2v() {
    let desk = Desk::new();
    let run = desk.issue(&[]);
    run.assert_fine();
    let path = desk.path("F.v2c");
    let expected = format!(
        "License 01.00000001.002.044, version 1, for Stromasys/Testing: {}\nSigned with vendor key {}\n",
        path.display(),
        desk.vendor.verifying_key().kid()
    );
    assert_eq!(run.stdout, expected);
    let (v2c, c2v) = (desk.issued(), desk.c2v());
    let license = &v2c.license;
    assert_eq!((license.version, license.mode), (1, Mode::General));
    assert_eq!(license.key_type, KeyType::Countdown { hours: 100 });
    assert_eq!((license.platform, &license.binding), (c2v.platform, &c2v.components));
    assert_eq!(license.server_key, desk.server.public());
    assert_eq!(license.fingerprint, license_fingerprint(&c2v.components, &c2v.server_key));
    assert_eq!((license.grace_ms, license.check_interval_ms), (7_200_000, 3_600_000));
    assert_eq!(license.lease, Lease::For(120_000));
    assert!(license.tolerance.is_empty());
    assert!(license.released > Utc::parse("2026-01-01 00:00:00").unwrap());
    assert_eq!(license.sections[0].instances, 2);
    let trusted = [desk.vendor.verifying_key()];
    let credential = credential::verify(&v2c.credential_jws, &trusted).unwrap();
    assert_eq!(credential.server_key, desk.server.public());
    assert_eq!(credential.mode, license.mode);
}

#[test]
fn the_version_follows_the_installed_one() {
    let desk = Desk::new();
    desk.write_c2v_with_version(7);
    desk.issue(&[]).assert_fine();
    assert_eq!(desk.issued().license.version, 8);
    desk.write("L.toml", &LICENSE.replace("01.00000001.002.044", "01.00000001.002.045"));
    desk.issue(&[]).assert_fine();
    assert_eq!(desk.issued().license.version, 1, "another license");
    desk.write("L.toml", LICENSE);
    desk.write_c2v_with_version(u32::MAX);
    desk.issue(&[]).assert_fails(65, "the highest version there is");
}

/// Asserts that the license is issued, with one warning that says `expected`.
#[track_caller]
fn assert_warns(desk: &Desk, expected: &str) {
    let run = desk.issue(&[]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.starts_with("license_issuer: warning: "), "{}", run.stderr);
    assert!(run.stderr.contains(expected), "expected {expected:?}, got: {}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    desk.issued();
}

#[test]
fn a_version_that_is_not_above_warns() {
    let desk = Desk::new();
    desk.write_c2v_with_version(3);
    for version in [1, 3] {
        desk.write("L.toml", &format!("version = {version}\n{LICENSE}"));
        assert_warns(&desk, &format!("version {version} is not above version 3"));
        assert_eq!(desk.issued().license.version, version);
    }
    desk.write("L.toml", &format!("version = 9\n{LICENSE}"));
    desk.issue(&[]).assert_fine();
}

#[test]
fn a_server_that_does_not_trust_the_key_warns() {
    let desk = Desk::new();
    for trusted_vendor_keys in [vec![], vec![fixed_key(9).verifying_key().kid().clone()]] {
        desk.write_c2v(&C2v { trusted_vendor_keys, ..desk.c2v() });
        assert_warns(
            &desk,
            &format!("does not trust vendor key {}", desk.vendor.verifying_key().kid()),
        );
    }
}

#[test]
fn a_weak_binding_warns() {
    let desk = Desk::new();
    desk.write_c2v(&C2v { components: Fingerprint::default(), ..desk.c2v() });
    assert_warns(&desk, "bound to no component of the machine");
    let mut components = desk.c2v().components;
    components.0.remove(&Component::ProductUuid);
    desk.write_c2v(&C2v { components, ..desk.c2v() });
    assert_warns(&desk, "bound to cpu-cores only");
    desk.write_c2v(&desk.c2v());
    desk.write("L.toml", &format!("tolerance = [\"product-uuid\"]\n{LICENSE}"));
    assert_warns(&desk, "bound to cpu-cores only");
    desk.write("L.toml", &format!("tolerance = [\"cpu-cores\"]\n{LICENSE}"));
    desk.issue(&[]).assert_fine();
    assert_eq!(desk.issued().license.tolerance, BTreeSet::from([Component::CpuCores]));
    desk.write_c2v(&C2v { unreadable: BTreeSet::from([Component::MachineId]), ..desk.c2v() });
    assert_warns(&desk, "could not read machine-id");
}

#[test]
fn wrong_times_warn() {
    let desk = Desk::new();
    desk.write_c2v(&C2v { created: Utc::parse("2199-01-01 00:00:00").unwrap(), ..desk.c2v() });
    assert_warns(&desk, "one of the two clocks is wrong");
    desk.write_c2v(&desk.c2v());
    desk.write("L.toml", &LICENSE.replace("2099-12-22", "2021-12-22"));
    assert_warns(&desk, "product Charon-SSP/ALL has expired already (2021-12-22 23:55:00 UTC)");
    let normal = LICENSE.replace("\"COUNTDOWN\"", "\"NORMAL\"");
    desk.write("L.toml", &normal.replace("hours = 100", "expires = \"2021-01-01 00:00:00\""));
    assert_warns(&desk, "the license has expired already (2021-01-01 00:00:00 UTC)");
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let desk = Desk::new();
    desk.write("secret", "correct horse\n");
    desk.run(&["keygen", "--out", "@locked", "--passphrase-file", "@secret"]).assert_fine();
    let issue = |more: &[&str]| {
        let usual = [
            "issue",
            "--key",
            "@locked/vendor.key",
            "--c2v",
            "@F.c2v",
            "--license",
            "@L.toml",
            "--out",
            "@F.v2c",
        ];
        desk.run(&[&usual[..], more].concat())
    };
    issue(&[]).assert_fails(64, "is encrypted; give its passphrase with --passphrase-file");
    assert_eq!(issue(&["--passphrase-file", "@secret"]).code, 0);
    desk.write("secret", "wrong\n");
    fs::remove_file(desk.path("F.v2c")).unwrap();
    issue(&["--passphrase-file", "@secret"]).assert_fails(77, "the passphrase does not open");
    assert!(!desk.path("F.v2c").exists());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let desk = Desk::new();
    fs::set_permissions(desk.path("vendor.key"), fs::Permissions::from_mode(0o644)).unwrap();
    desk.issue(&[]).assert_fails(77, "chmod 600");
}

/// Runs `issue` after `spoil`, asserts that it fails, and that nothing was written.
#[track_caller]
fn assert_refuses(spoil: impl FnOnce(&Desk), code: u8, expected: &str) -> Run {
    let desk = Desk::new();
    desk.write("F.v2c", "an earlier license");
    spoil(&desk);
    let run = desk.issue(&[]);
    run.assert_fails(code, expected);
    assert_eq!(desk.read("F.v2c"), "an earlier license");
    run
}

#[test]
fn a_bad_c2v_is_refused() {
    assert_refuses(
        |desk| desk.write("F.c2v", ""),
        65,
        "F.c2v: this fingerprint file is not accepted: it is empty",
    );
    assert_refuses(|desk| desk.write("F.c2v", "hello"), 65, "it is not a signed document");
    assert_refuses(
        |desk| fs::write(desk.path("F.c2v"), [0xff]).unwrap(),
        65,
        "F.c2v is not UTF-8 text",
    );
    assert_refuses(
        |desk| fs::remove_file(desk.path("F.c2v")).unwrap(),
        65,
        "F.c2v can't be read: No such file",
    );
    let huge =
        |desk: &Desk| fs::File::create(desk.path("F.c2v")).unwrap().set_len(1 << 30).unwrap();
    assert_refuses(huge, 65, "F.c2v is larger than 1048576 bytes");
    let stolen =
        |desk: &Desk| desk.write("F.c2v", &c2v::sign(&desk.c2v(), &desk.server).replace('e', "f"));
    assert_refuses(stolen, 65, "F.c2v: this fingerprint file");
    let swapped = |desk: &Desk| {
        desk.issue(&[]).assert_fine();
        fs::copy(desk.path("F.v2c"), desk.path("F.c2v")).unwrap();
        desk.write("F.v2c", "an earlier license");
    };
    assert_refuses(swapped, 65, "it is a license (V2C), but a fingerprint file (C2V) is needed");
}

#[test]
fn a_bad_key_is_refused() {
    assert_refuses(
        |desk| fs::remove_file(desk.path("vendor.key")).unwrap(),
        65,
        "there is no key file",
    );
    let public = |desk: &Desk| {
        fs::write(desk.path("vendor.key"), desk.read("vendor.pub")).unwrap();
    };
    assert_refuses(public, 65, "vendor.key is not an Ed25519 private key");
}

#[test]
fn no_input_is_ever_overwritten() {
    let desk = Desk::new();
    fs::hard_link(desk.path("vendor.key"), desk.path("link")).unwrap();
    for name in ["vendor.key", "F.c2v", "L.toml", "link"] {
        let before = desk.read(name);
        let out = format!("@{name}");
        let run = desk.run(&[
            "issue",
            "--key",
            "@vendor.key",
            "--c2v",
            "@F.c2v",
            "--license",
            "@L.toml",
            "--out",
            &out,
        ]);
        run.assert_fails(64, "--out names the same file as an input");
        assert_eq!(desk.read(name), before);
    }
}

#[test]
fn what_can_not_be_written_says_so() {
    let desk = Desk::new();
    for (out, expected) in [
        ("@none/F.v2c", "can't be written: No such file"),
        ("/proc/F.v2c", "can't be written"),
        ("/dev/full", "can't be written: No space left"),
        ("@.", "can't be written"),
    ] {
        let run = desk.run(&[
            "issue",
            "--key",
            "@vendor.key",
            "--c2v",
            "@F.c2v",
            "--license",
            "@L.toml",
            "--out",
            out,
        ]);
        run.assert_fails(73, expected);
    }
}
