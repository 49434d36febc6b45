//! License files that are no good: each is refused with its own code and words, and what is installed
//! stays as it is.

use std::fs::{self, File};

use crate::office::{ID, Office};

/// A file's bytes, the exit code and a part of the message.
type Case = (&'static str, Vec<u8>, i32, &'static str);

fn cases(office: &Office) -> Vec<Case> {
    let next = || office.license().version(3);
    let good = next().sign();
    let mut flipped = good.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let other_vendor = ve_testbed::vendor(&office.file("other"));
    let of_other_vendor = other_vendor.license_for(&office.c2v()).version(3).sign();
    let elsewhere = Office::new();
    let other_server = office.vendor.license_for(&elsewhere.c2v()).version(3);
    let forged = |from, to| office.vendor.forge(&good, from, to).into_bytes();
    let c2v = fs::read(office.c2v()).unwrap();
    vec![
        ("one bit", flipped, 65, "this license file is not accepted"),
        ("another vendor", of_other_vendor.into(), 77, "is not trusted here"),
        ("another server", other_server.sign().into(), 77, "another server's key"),
        (
            "another machine",
            next().of_another_machine().sign().into(),
            77,
            "v2c: binding-changed: license 01.00000001.002.044 is bound to another machine, or this \
             one has changed: machine-id.",
        ),
        (
            "an older version",
            office.license().version(1).sign().into(),
            77,
            "v2c: license-version-rolled-back: ",
        ),
        (
            "the same version, changed",
            office.license().version(2).instances(9).sign().into(),
            77,
            "installed already with other contents",
        ),
        (
            "another customer",
            next().with(|license| license.customer = "Other".parse().unwrap()).sign().into(),
            77,
            "can't change its customer from Stromasys/Testing to Other",
        ),
        (
            "an unknown field",
            forged("\"grace_ms\"", "\"extra\":1,\"grace_ms\""),
            65,
            "extra is an unknown field",
        ),
        (
            "a doubled field",
            forged("\"grace_ms\"", "\"version\":4,\"grace_ms\""),
            65,
            "version is given twice",
        ),
        ("no instances", forged("\"instances\":3", "\"instances\":0"), 65, "instances must be"),
        ("an empty file", Vec::new(), 65, "it is empty"),
        ("some text", b"hello\n".to_vec(), 65, "it is not a signed document"),
        ("not UTF-8", b"\xff\xfe\x00".to_vec(), 65, "is not UTF-8 text"),
        ("a fingerprint file", c2v, 65, "this license file is not accepted"),
    ]
}

#[test]
fn a_bad_file_is_refused_and_the_installed_license_stays() {
    let office = Office::with_license(|license| license.version(2));
    let before = office.installed();
    for (name, bytes, code, part) in cases(&office) {
        println!("{name}");
        office.install(&bytes).expect_failure(code, part);
        let dry = ["--filename", office.file("next.v2c").to_str().unwrap(), "--dry-run"]
            .map(String::from);
        office.run("v2c", &dry.each_ref().map(String::as_str)).expect_failure(code, part);
        assert_eq!(office.installed(), before, "{name}");
        assert_eq!(office.status(), "valid", "{name}");
    }
    assert_eq!(fs::read_dir(office.home().licenses()).unwrap().count(), 1);
}

#[test]
fn a_gigabyte_is_not_read() {
    let office = Office::with_license(|license| license);
    let path = office.file("huge.v2c");
    File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let v2c = |path: &str| office.run("v2c", &["--filename", path]);
    v2c(path.to_str().unwrap()).expect_failure(65, "is larger than 1048576 bytes");
    v2c("/dev/zero").expect_failure(65, "is larger than 1048576 bytes");
    v2c(office.file("missing").to_str().unwrap()).expect_failure(65, "can't be read");
    assert_eq!(office.status(), "valid");
}

#[test]
fn a_huge_file_in_the_home_hides_no_other() {
    let office = Office::with_license(|license| license);
    let huge = office.home().licenses().join("01.00000001.002.001.v2c");
    File::create(&huge).unwrap().set_len(1 << 30).unwrap();
    let shown = office.run("license_viewer", &[]).expect_code(0).stdout;
    assert!(shown.contains(&format!("License ID: {ID}\n")), "{shown}");
    assert!(shown.contains("\nStatus: valid\n"), "{shown}");
    assert!(
        shown.contains("License ID: 01.00000001.002.001\nStatus: license-not-available: "),
        "{shown}"
    );
}

#[test]
fn a_wrong_configuration_is_named_with_its_line() {
    let office = Office::with_license(|license| license.version(2));
    let before = office.installed();
    let next = office.license().version(3).sign();
    fs::write(office.home().config_file(), "[log]\nkeep = 3\nkeeep = 4\n").unwrap();
    let part = "config.toml, line 3: unknown field `keeep`";
    office.install(&next).expect_failure(78, part);
    let c2v = office.file("x.c2v");
    office.run("c2v", &["--filename", c2v.to_str().unwrap()]).expect_failure(78, part);
    office.run("licensed", &["--check-config"]).expect_failure(78, part);
    assert_eq!(office.installed(), before);
    assert!(!c2v.exists());
}
