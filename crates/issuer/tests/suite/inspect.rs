//! `inspect`.

use std::{collections::BTreeSet, fs};

use ve_core::{
    fingerprint::Component,
    id::HostKey,
    license::{KeyType, License},
    registry::Receipt,
    time::Utc,
};
use ve_documents::{c2v::C2v, key_files, receipt, v2c};
use ve_issuer::license_file::LicenseFile;

use crate::desk::{Desk, LICENSE, fixed_key};

/// Writes `F.v2c` with a fixed release date.
fn write_v2c(desk: &Desk, edit: impl FnOnce(&mut License)) {
    let released = Utc::parse("2026-11-22 10:00:00").unwrap();
    let mut license =
        LicenseFile::parse(LICENSE).unwrap().into_license(&desk.c2v(), released).unwrap();
    edit(&mut license);
    desk.write("F.v2c", &(v2c::sign(&license, &desk.vendor).unwrap() + "\n"));
}

const V2C: &str = "\
<<License file (V2C)>>

Signature: valid, by the vendor key below
Vendor key: UDDReOZl1ipXAfp9wYsm13sDBMK5og--QWdBjzuf6o4
License fingerprint: 1ad2b0af686840152e01f25b685da25743bd0736c8a74ba54ba3226cb790759a
Customer name: Stromasys/Testing
License ID: 01.00000001.002.044
License version: 1
Mode: general
Key type: COUNTDOWN
Expiration date: 100 hour(s)
Platform: kvm
Release date: 2026-11-22 10:00:00
Grace period: 120 minutes
License check interval: 60 minutes
Lease: 2 minutes
Bound to: product-uuid, cpu-cores
Tolerance: none
Server key: 8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394

Virtual Hardware: Charon-SSP/4M,Charon-SSP/4U
Product code: Charon-SSP/ALL
Expiration date: 2099-12-22 23:55:00
Major Version: 5
Minor Version: 3
Maximum CPU: 64
Maximum virtual memory: 1048576MB
Instances allowed: 2
Passphrase: ****-****-****-4444
";

#[test]
fn a_license_is_shown_without_its_passphrase() {
    let desk = Desk::new();
    write_v2c(&desk, |_| ());
    let run = desk.run(&["inspect", "@F.v2c"]);
    run.assert_fine();
    assert_eq!(run.stdout, V2C);
    let revealed = desk.run(&["inspect", "@F.v2c", "--show-passphrase"]);
    assert_eq!(revealed.stdout, V2C.replace("****-****-****", "1111-2222-3333"));
}

#[test]
fn what_a_license_need_not_have_is_shown_as_none() {
    let desk = Desk::new();
    write_v2c(&desk, |license| {
        license.key_type = KeyType::Normal { expires: None };
        license.grace_ms = 20_000;
        license.sections[0].expires = None;
        license.sections[0].passphrase = None;
    });
    let run = desk.run(&["inspect", "@F.v2c"]);
    for line in [
        "Expiration date: none\n",
        "Grace period: 20 seconds\n",
        "Expiration date: with the license\n",
    ] {
        assert!(run.stdout.contains(line), "{line} is not in: {}", run.stdout);
    }
    assert!(!run.stdout.contains("Passphrase"), "{}", run.stdout);
}

const C2V: &str = "\
<<Fingerprint file (C2V)>>

Signature: valid, by the server's own key
Server key: 8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394
Platform: kvm
Created: 2021-01-01 00:00:00
Software version: 0.1.0
Component product-uuid: 0101010101010101010101010101010101010101010101010101010101010101
Component cpu-cores: 0202020202020202020202020202020202020202020202020202020202020202
Unreadable: none
Trusted vendor keys: UDDReOZl1ipXAfp9wYsm13sDBMK5og--QWdBjzuf6o4
";

#[test]
fn a_fingerprint_file_is_shown() {
    let desk = Desk::new();
    let run = desk.run(&["inspect", "@F.c2v"]);
    run.assert_fine();
    assert_eq!(run.stdout, format!("{C2V}No license is installed.\n"));
    desk.write_c2v_with_version(3);
    let installed = "\nLicense ID: 01.00000001.002.044\nLicense version: 3\nUsed: 2.5 hour(s)\nRemaining: 97.5 hour(s)\n";
    assert_eq!(desk.run(&["inspect", "@F.c2v"]).stdout, format!("{C2V}{installed}"));
    let unreadable = BTreeSet::from([Component::MachineId]);
    desk.write_c2v(&C2v { unreadable, ..desk.c2v() });
    assert!(desk.run(&["inspect", "@F.c2v"]).stdout.contains("Unreadable: machine-id\n"));
}

#[test]
fn json_says_the_same() {
    let desk = Desk::new();
    write_v2c(&desk, |_| ());
    let json = |arguments: &[&str]| {
        let run = desk.run(arguments);
        run.assert_fine();
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()
    };
    let v2c = json(&["inspect", "@F.v2c", "--json"]);
    assert_eq!((&v2c["type"], &v2c["signature"]["state"]), (&"v2c".into(), &"valid".into()));
    assert_eq!(v2c["signature"]["kid"], desk.vendor.verifying_key().kid().as_str());
    assert_eq!(v2c["license"]["license_id"], "01.00000001.002.044");
    assert_eq!(v2c["license"]["products"][0]["passphrase"], "****-****-****-4444");
    assert!(v2c["license"].get("credential").is_none());
    let revealed = json(&["inspect", "@F.v2c", "--json", "--show-passphrase"]);
    assert_eq!(revealed["license"]["products"][0]["passphrase"], "1111-2222-3333-4444");
    let c2v = json(&["inspect", "@F.c2v", "--json"]);
    assert_eq!((&c2v["type"], &c2v["signature"]["state"]), (&"c2v".into(), &"valid".into()));
    assert_eq!(c2v["c2v"]["server_key"], desk.server.public().to_string());
}

#[test]
fn a_signature_is_checked_with_the_keys_at_hand() {
    let desk = Desk::new();
    write_v2c(&desk, |_| ());
    fs::rename(desk.path("vendor.pub"), desk.path("ours.pub")).unwrap();
    key_files::save_public(&desk.path("other.pub"), &[fixed_key(9).verifying_key()]).unwrap();
    let state = |arguments: &[&str]| {
        let run = desk.run(&[&["inspect", "@F.v2c", "--json"], arguments].concat());
        let json = serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap();
        (run.code, json["signature"]["state"].as_str().unwrap().to_string())
    };
    assert_eq!(state(&[]), (0, "unchecked".to_string()));
    assert_eq!(state(&["--vendor-key", "@ours.pub"]), (0, "valid".to_string()));
    assert_eq!(state(&["--vendor-key", "@other.pub"]), (65, "unknown-signer".to_string()));
    let both = desk.read("other.pub") + &desk.read("ours.pub");
    desk.write("vendor.pub", &both);
    assert_eq!(state(&[]), (0, "valid".to_string()));
    let v2c = desk.read("F.v2c");
    let (message, _) = v2c.rsplit_once('.').unwrap();
    desk.write("F.v2c", &format!("{message}.{}", "A".repeat(86)));
    assert_eq!(state(&[]), (65, "invalid".to_string()));
    let run = desk.run(&["inspect", "@F.v2c"]);
    assert!(run.stdout.contains("Signature: NOT VALID: "), "{}", run.stdout);
    assert!(run.stderr.contains("do not trust it"), "{}", run.stderr);
    fs::remove_file(desk.path("vendor.pub")).unwrap();
    let run = desk.run(&["inspect", "@F.v2c"]);
    assert!(
        run.stdout.contains("Signature: not checked: name the vendor's public key"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_changed_fingerprint_file_is_shown_and_refused() {
    let desk = Desk::new();
    let c2v = desk.read("F.c2v");
    let (message, _) = c2v.rsplit_once('.').unwrap();
    desk.write("F.c2v", &format!("{message}.{}", "A".repeat(86)));
    let run = desk.run(&["inspect", "@F.c2v"]);
    assert_eq!(run.code, 65, "{run:?}");
    assert!(run.stdout.contains("Signature: NOT VALID: "), "{}", run.stdout);
}

#[test]
fn what_is_no_document_says_so() {
    let desk = Desk::new();
    write_v2c(&desk, |_| ());
    let credential =
        v2c::verify(&desk.read("F.v2c"), &[desk.vendor.verifying_key()]).unwrap().credential_jws;
    desk.write("credential", &credential);
    let receipt = Receipt {
        host: HostKey([1; 32]),
        customer: "Stromasys/Testing".parse().unwrap(),
        issuer: "01.00000001.002.044".parse().unwrap(),
        home: "01.00000001.002.044".parse().unwrap(),
        revision: 1,
        registered: Utc(0),
    };
    desk.write("receipt", &receipt::sign(&receipt, &credential, &desk.server));
    desk.write("empty", "");
    fs::write(desk.path("binary"), [0xff, 0]).unwrap();
    fs::File::create(desk.path("huge")).unwrap().set_len(1 << 30).unwrap();
    for (file, expected) in [
        ("@none", "none can't be read: No such file"),
        ("@empty", "empty: it is empty"),
        ("@binary", "binary is not UTF-8 text"),
        ("@huge", "huge is larger than 1048576 bytes"),
        ("/dev/zero", "/dev/zero is larger than 1048576 bytes"),
        ("@L.toml", "L.toml: it is not a signed document"),
        ("@vendor.pub", "vendor.pub: it is not a signed document"),
        ("@credential", "it is a server credential, but a license (V2C) is needed"),
        ("@receipt", "it is a host's receipt, but a license (V2C) is needed"),
    ] {
        desk.run(&["inspect", file]).assert_fails(65, expected);
    }
    desk.run(&["inspect", "@F.v2c", "--vendor-key", "@L.toml"])
        .assert_fails(65, "L.toml: line 2 is no part");
    desk.run(&["inspect", "@F.v2c", "--vendor-key", "@none"])
        .assert_fails(65, "none can't be read");
}
