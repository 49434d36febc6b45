//! What makes a license invalid, and what happens to the sessions then.

use ve_core::{
    fingerprint::Component,
    id::ServerKey,
    license::{Mode, Verified},
    node::io::{Input, Note, UnusableLicense},
    reason::{ReasonCode, Refusal},
    time::{DAY_MS, HOUR_MS},
};

use crate::harness::{
    LicenseBuilder, Outcome, Server, WALL_AT_START, emulator, license, machine, section,
};

/// A server on which emulator `ss5` runs; what revokes it, in words.
fn revoked_by(license: LicenseBuilder, cause: impl FnOnce(&mut Server)) -> String {
    let mut server = Server::with([license]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    cause(&mut server);
    let [(revoked_link, revoked, refusal)] = server.revocations()[..] else {
        panic!("expected one revocation: {:?}", server.effects)
    };
    assert_eq!((revoked_link, revoked), (link, session));
    assert!(server.states().is_empty(), "its seat is free");
    let refusal = refusal.to_string();
    assert_eq!(server.check(link, session).code(), ReasonCode::BadRequest);
    refusal
}

#[test]
fn a_license_revokes_when_it_ends_to_the_second() {
    let expires = WALL_AT_START.plus_seconds(3_600);
    let whole = revoked_by(license(44).expires(expires).instances(1), |server| {
        server.pass(HOUR_MS - 1);
        assert!(server.revocations().is_empty());
        server.pass(1);
    });
    assert_eq!(
        whole,
        "license-expired: license 01.00000001.002.044 expired on 2026-03-01 13:00:00 UTC."
    );
    let one = section("Charon-SSP/ALL").expires(expires);
    let section = revoked_by(license(44).with(one), |server| server.pass(HOUR_MS));
    assert_eq!(
        section,
        "license-expired: Charon-SSP/ALL of license 01.00000001.002.044 expired on \
         2026-03-01 13:00:00 UTC."
    );
}

#[test]
fn a_license_that_is_removed_revokes() {
    let refusal = revoked_by(license(44).instances(1), |server| server.install([]));
    assert_eq!(
        refusal,
        "license-not-available: license 01.00000001.002.044 is not installed any more."
    );
}

#[test]
fn a_license_that_is_trusted_no_more_says_why() {
    let untrusted = "vendor key 3f is not trusted here.";
    let refusal = revoked_by(license(44).instances(1), |server| {
        let refusal = Refusal::new(ReasonCode::LicenseNotAvailable, untrusted);
        let id = Some("01.00000001.002.044".parse().unwrap());
        let unusable = vec![UnusableLicense { id, refusal }];
        server.input(Input::Licenses { trusted: Vec::new(), unusable });
    });
    assert_eq!(refusal, format!("license-not-available: {untrusted}"));
}

#[test]
fn a_changed_machine_revokes_and_is_named() {
    let refusal = revoked_by(license(44).instances(1), |server| {
        server.input(Input::Machine(machine(8)));
    });
    assert_eq!(
        refusal,
        "binding-changed: license 01.00000001.002.044 is bound to another machine, or this one \
         has changed: cpu-cores."
    );
}

#[test]
fn a_tolerated_change_revokes_no_one() {
    let tolerant = license(44).tolerating(Component::CpuCores).instances(1);
    let mut server = Server::with([tolerant]);
    let link = server.link(1);
    let session = server.login(link, emulator("ss5")).granted().session;
    server.input(Input::Machine(machine(8)));
    server.check(link, session).granted();
}

#[test]
fn an_earlier_version_revokes() {
    let refusal = revoked_by(license(44).version(2).instances(1), |server| {
        server.install([license(44).version(1).instances(1)]);
    });
    assert_eq!(
        refusal,
        "license-version-rolled-back: license 01.00000001.002.044 has version 1, but version 2 \
         was installed here before."
    );
}

#[test]
fn an_earlier_version_is_refused_after_a_restart_and_a_removal_as_well() {
    let mut server = Server::with([license(44).version(2).instances(1)]);
    server.install([]);
    server.restart_after(1_000);
    server.install([license(44).version(1).instances(1)]);
    let refused = server.login_from(1, emulator("ss5"));
    assert_eq!(refused.code(), ReasonCode::LicenseVersionRolledBack);
}

#[test]
fn another_servers_license_does_not_spoil_ours() {
    let mut server = Server::with([license(44).instances(1)]);
    server.install([license(44).version(9).bound_to(ServerKey([1; 32])).instances(1)]);
    let refused = server.login_from(1, emulator("ss5")).refused();
    assert_eq!(
        refused.to_string(),
        "binding-changed: license 01.00000001.002.044 is bound to another server's key."
    );
    server.install([license(44).version(2).instances(1)]);
    server.login_from(1, emulator("ss5")).granted();
}

#[test]
fn a_license_from_the_future_is_not_yet_valid() {
    let soon = WALL_AT_START.plus_seconds(86_401);
    let mut server = Server::with([license(44).released(soon).instances(1)]);
    assert_eq!(
        server.login_from(1, emulator("ss5")).refused().to_string(),
        "not-yet-valid: license 01.00000001.002.044 was released on 2026-03-02 12:00:01 UTC, \
         more than a day ahead of now, 2026-03-01 12:00:00 UTC."
    );
    server.pass(11_000);
    server.login_from(1, emulator("ss5")).granted();
}

#[test]
fn an_autove_license_serves_registered_hosts_only() {
    let mut server = Server::with([license(44).mode(Mode::AutoVe).instances(1)]);
    let refused = server.login_from(1, emulator("ss5"));
    assert_eq!(refused.code(), ReasonCode::InstanceNotRegistered);
}

#[test]
fn one_license_does_not_fall_with_another() {
    let mut server = Server::with([
        license(1).expires(WALL_AT_START.plus_seconds(60)).instances(1),
        license(2).with(section("OTHER").max_cpu(64).instances(1)),
    ]);
    let (first, second) = (server.link(1), server.link(2));
    server.login(first, emulator("a")).granted();
    let session = server.login(second, emulator("b")).granted().session;
    server.pass(60_000);
    assert_eq!(server.revocations().len(), 1);
    assert_eq!(server.check(second, session).granted().license_id.as_str(), "01.00000001.002.002");
}

#[test]
fn validity_is_noted_when_it_changes() {
    let mut server =
        Server::with([license(44).expires(WALL_AT_START.plus_seconds(60)).instances(1)]);
    let lines = |server: &Server| -> Vec<String> {
        let line = |note: &&Note| match note {
            Note::LicenseValid { version, .. } => Some(format!("valid {version}")),
            Note::LicenseInvalid { refusal, .. } => Some(format!("invalid {}", refusal.code)),
            Note::NoLicense(refusal) => Some(format!("none {}", refusal.code)),
            _ => None,
        };
        server.notes().iter().filter_map(line).collect()
    };
    server.pass(DAY_MS);
    assert_eq!(lines(&server), ["valid 1", "invalid license-expired", "none license-expired"]);
    server.effects.clear();
    server.install([license(44).version(2).instances(1)]);
    server.announce_licenses();
    assert_eq!(lines(&server), ["valid 2"]);
}

#[test]
fn the_highest_of_two_files_of_one_license_counts() {
    let mut server = Server::with([license(44).version(2).instances(1), license(44).instances(2)]);
    assert_eq!(server.login_from(1, emulator("a")).granted().marks.license_version, 2);
}

#[test]
fn a_version_counts_from_the_moment_it_is_valid_here() {
    // At once, however soon the next file follows.
    let mut server = Server::with([]);
    for version in [2, 1] {
        let trusted = vec![Verified::vouch(license(44).version(version).instances(1).build())];
        server.input(Input::Licenses { trusted, unusable: Vec::new() });
    }
    let code = server.login_from(1, emulator("ss5")).code();
    assert_eq!(code, ReasonCode::LicenseVersionRolledBack);

    // Or when the machine is again the one that it is bound to.
    let mut server = Server::with([]);
    server.input(Input::Machine(machine(8)));
    server.install([license(44).version(2).instances(1)]);
    server.input(Input::Machine(machine(4)));
    server.install([license(44).version(1).instances(1)]);
    let code = server.login_from(1, emulator("ss5")).code();
    assert_eq!(code, ReasonCode::LicenseVersionRolledBack);
}
