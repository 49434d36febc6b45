//! Every rule refuses with its own code and a sentence that names it and the numbers.

use ve_core::reason::ReasonCode;

use crate::harness::{
    LicenseBuilder, LoginBuilder, Outcome, Server, WALL_AT_START, emulator, license, section,
};

fn refusal(licenses: Vec<LicenseBuilder>, login: LoginBuilder) -> String {
    let mut server = Server::with(licenses);
    server.login_from(1, emulator("first")).granted();
    server.login_from(2, login).refused().to_string()
}

#[test]
fn every_rule_has_its_sentence() {
    let usual = || vec![license(44).instances(3)];
    let guarded = || {
        let guarded =
            section("Charon-SSP/SECRET").hardware("Charon-SSP/4V").passphrase("1111-2222");
        vec![license(44).instances(3).with(guarded)]
    };
    for (licenses, login, expected) in [
        (
            usual(),
            emulator("ss5").passphrase("9999-9999"),
            "passphrase-invalid: no product section has the given passphrase.",
        ),
        (
            guarded(),
            emulator("ss5").hardware("Charon-SSP/4V"),
            "passphrase-invalid: Charon-SSP/4V needs a passphrase and none was given.",
        ),
        (
            usual(),
            emulator("ss5").hardware("Charon-VAX/4000"),
            "hardware-not-licensed: virtual hardware Charon-VAX/4000 is not licensed.",
        ),
        (
            usual(),
            emulator("ss5").version("4.1.32"),
            "version-not-licensed: version 4.1.32 is not licensed, Charon-SSP/ALL is licensed for 5.0 to 5.3.",
        ),
        (
            usual(),
            emulator("ss5").version("5.4"),
            "version-not-licensed: version 5.4 is not licensed, Charon-SSP/ALL is licensed for 5.0 to 5.3.",
        ),
        (
            usual(),
            emulator("ss5").cpus(9),
            "cpu-limit: 9 virtual CPUs were asked for, Charon-SSP/ALL allows 8.",
        ),
        (
            usual(),
            emulator("ss5").memory_mb(4_097),
            "memory-limit: 4097 MB of virtual memory were asked for, Charon-SSP/ALL allows 4096 MB.",
        ),
        (
            vec![license(44).instances(1)],
            emulator("ss5"),
            "instance-limit: the only instance of Charon-SSP/ALL is in use.",
        ),
    ] {
        assert_eq!(refusal(licenses, login), expected);
    }
}

#[test]
fn all_seats_in_use_names_their_number() {
    let mut server = Server::with([license(44).instances(3)]);
    for host in 1..=3 {
        server.login_from(host, emulator("ss5")).granted();
    }
    assert_eq!(
        server.login_from(4, emulator("ss5")).refused().to_string(),
        "instance-limit: all 3 instances of Charon-SSP/ALL are in use."
    );
}

#[test]
fn a_section_that_has_run_out_says_when() {
    let expires = WALL_AT_START.plus_seconds(60);
    let limited = section("Charon-SSP/ALL").expires(expires);
    let mut server = Server::with([license(44).with(limited)]);
    server.pass(60_000);
    assert_eq!(
        server.login_from(1, emulator("ss5")).refused().to_string(),
        "license-expired: Charon-SSP/ALL of license 01.00000001.002.044 expired on 2026-03-01 12:01:00 UTC."
    );
}

#[test]
fn the_rules_are_asked_in_their_order() {
    let only = section("Charon-SSP/ALL").instances(1).expires(WALL_AT_START.plus_seconds(60));
    let mut server = Server::with([license(44).hours(1).with(only.passphrase("1111"))]);
    let right = || emulator("ss5").passphrase("1111");
    server.login_from(1, right()).granted();
    let wrong = || right().passphrase("2222").hardware("X/1").version("4.0").cpus(99);
    for (login, code) in [
        (wrong().memory_mb(9_999), ReasonCode::PassphraseInvalid),
        (wrong().passphrase("1111").memory_mb(9_999), ReasonCode::HardwareNotLicensed),
        (right().version("4.0").cpus(99).memory_mb(9_999), ReasonCode::VersionNotLicensed),
        (right().cpus(99).memory_mb(9_999), ReasonCode::CpuLimit),
        (right().memory_mb(9_999), ReasonCode::MemoryLimit),
        (right(), ReasonCode::InstanceLimit),
    ] {
        assert_eq!(server.login_from(2, login).code(), code);
    }
    server.pass(60_000);
    assert_eq!(server.login_from(2, right()).code(), ReasonCode::LicenseExpired);
}

#[test]
fn the_section_that_passed_most_rules_speaks() {
    let small = section("SMALL").max_cpu(2);
    let old = section("OLD").minor(0).max_cpu(64);
    let mut server = Server::with([license(44).with(small).with(old)]);
    assert_eq!(
        server.login_from(1, emulator("ss5").cpus(4)).refused().to_string(),
        "cpu-limit: 4 virtual CPUs were asked for, SMALL allows 2."
    );
}

#[test]
fn a_server_without_a_license_says_so() {
    let mut server = Server::with([]);
    assert_eq!(
        server.login_from(1, emulator("ss5")).refused().to_string(),
        "license-not-available: no license is installed on this server."
    );
}
