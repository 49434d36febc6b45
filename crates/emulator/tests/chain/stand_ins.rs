//! Backups that can't stand in: each says so in the log, and the grace period goes on.

use std::path::Path;

use ve_core::{
    grant::{Grant, Marks},
    id::{Nonce, SessionId},
    time::{HOUR_MS, Utc},
};
use ve_documents::key_files;
use ve_testbed::{LicenseBuilder, Vendor, install};
use ve_wire::{
    convert,
    proto::statement::Content,
    statement::{self, Bond},
    tls::Identity,
    witness,
};

use crate::{
    emulator::Emulator,
    pair::{BACKUP_ID, Pair},
    site::patient,
    vm::Vm,
};

/// Starts an emulator under the primary, which is killed then.
fn after_the_primary(pair: &mut Pair) -> Emulator {
    let mut emulator = pair.host.run(&pair.knows(Vm::polite("guest")));
    emulator.shows("ready");
    pair.primary.kill();
    emulator.logs("WARN VE Charon will be terminated within ");
    emulator
}

/// Nobody stands in; the grace period goes on until the primary is back, and nothing was ended.
fn only_the_primary_helps(pair: &mut Pair, mut emulator: Emulator) -> String {
    let guest = emulator.guest();
    assert!(!emulator.log().contains("Switched to"), "{}", emulator.log());
    pair.primary.restart();
    let log = emulator.logs("The license is verified, back to normal operation.");
    assert!(!log.contains("Switched to"), "{log}");
    assert_eq!(emulator.guest(), guest, "the same process");
    pair.seats_are(&["guest"], &[]);
    pair.by_role(&log)
}

#[test]
fn a_backup_without_a_license_can_not_prove_what_it_says() {
    let mut pair = Pair::make(Vendor::trust_in);
    let mut emulator = after_the_primary(&mut pair);
    let log = emulator.logs("ERROR VE License request was refused: license-not-available: ");
    assert!(log.contains("(unverified: "), "{log}");
    only_the_primary_helps(&mut pair, emulator);
}

#[test]
fn a_backup_that_is_full_says_so() {
    let mut pair = Pair::new(|license| license.instances(1));
    let mut other = pair.host.run(&Vm::polite("other").at(&pair.backup.address()));
    other.shows("ready");
    let mut emulator = after_the_primary(&mut pair);
    emulator.logs("ERROR VE License request was refused: instance-limit: the only instance of ");
    pair.primary.restart();
    emulator.logs("The license is verified, back to normal operation.");
    pair.seats_are(&["guest"], &["other"]);
}

#[test]
fn a_backup_of_another_customer_is_not_used() {
    let other = |vendor: &Vendor, home: &Path| {
        install(vendor, home, |license: LicenseBuilder<'_>| {
            let license = patient(license).id(BACKUP_ID);
            license.with(|license| license.customer = "Somebody else".parse().expect("a name"))
        });
    };
    let mut pair = Pair::make(other);
    let mut emulator = after_the_primary(&mut pair);
    emulator.logs("Trying to login to license server: 127.");
    only_the_primary_helps(&mut pair, emulator);
    assert!(!pair.backup.log().contains("has logged in"), "{}", pair.backup.log());
}

/// A server's own signature under a grant for this host: all hours of its license are used.
fn all_hours_are_used(pair: &Pair) {
    let identity = |path: &Path| {
        let key = key_files::load(&path.join("identity.key"), None).expect("a key");
        let identity = Identity::from_pkcs8(&key.pkcs8_der()).expect("an identity");
        (key, identity)
    };
    let (server, _) = identity(pair.backup.home());
    let (_, host) = identity(&pair.host.file("state"));
    let grant = Grant {
        home: None,
        receipt: None,
        session: SessionId([7; 16]),
        license_id: BACKUP_ID.parse().expect("an ID"),
        customer: "Stromasys/Testing".parse().expect("a name"),
        product_code: "Charon-SSP/ALL".parse().expect("a name"),
        virtual_hardware: "Charon-SSP/4M".parse().expect("a name"),
        instances: 3,
        max_cpu: 4,
        max_memory_mb: 512,
        major: 5,
        minor: 3,
        expires: None,
        remaining_ms: Some(0),
        grace_ms: HOUR_MS,
        check_interval_ms: HOUR_MS,
        lease_ms: HOUR_MS,
        marks: Marks {
            license_version: 1,
            time: Utc(0),
            ledger_position: 0,
            hours_used_ms: HOUR_MS,
        },
    };
    let bond = Bond { nonce: Nonce([1; 32]), server_key: server.public(), host: host.host_key() };
    let content = Content::Grant(convert::grant_message(&grant));
    let signed = statement::seal(bond, Some(grant.session), content, |bytes| server.sign(bytes));
    let grants = pair.host.file("state/grants");
    std::fs::create_dir_all(&grants).expect("a folder");
    let file = grants.join(format!("{}-{BACKUP_ID}-guest", server.public()));
    std::fs::write(file, witness::encode(&signed)).expect("written");
}

#[test]
fn a_backup_whose_hours_are_used_up_says_so() {
    let mut pair = Pair::new(|license| license.hours(1));
    let mut emulator = pair.host.run(&pair.knows(Vm::polite("guest")));
    emulator.shows("ready");
    // The server forgot it, and the host can prove it.
    all_hours_are_used(&pair);
    pair.primary.kill();
    emulator.logs("ERROR VE License request was refused: hours-exhausted: ");
    only_the_primary_helps(&mut pair, emulator);
}

#[test]
fn a_name_that_does_not_resolve_costs_nothing_while_the_other_server_is_well() {
    let mut pair = Pair::new(|license| license);
    for (primary, backup) in [
        ("no-such-server.invalid".to_owned(), pair.primary.address()),
        (pair.primary.address(), "no-such-server.invalid".to_owned()),
    ] {
        let vm = Vm::polite("guest").license(&format!("backup_server = \"{backup}\""));
        let mut emulator = pair.host.run(&vm.at(&primary));
        emulator.shows("ready");
        emulator.terminate();
        emulator.ends_with(0);
    }
    pair.primary.kill();
    let nobody = Vm::polite("guest").license("backup_server = \"no-such-server.invalid\"");
    let ended = pair.host.ends_with(&nobody, 69);
    for line in [
        "INFO VE Trying to login to license server: no-such-server.invalid",
        "ERROR VE Failed to connect with the license server!",
        "FATAL VE License server is unavailable!",
    ] {
        assert!(ended.log.contains(line), "no {line:?} in:\n{}", ended.log);
    }
}

#[test]
fn the_backup_is_told_of_as_well_when_the_primary_refuses_at_the_start() {
    for style in ["ssp", "par", "json"] {
        let mut pair = Pair::new(|license| license);
        pair.backup.kill();
        let vm = pair.knows(Vm { memory_mb: 513, ..Vm::polite("guest") });
        let ended =
            pair.host.run_with(&vm, |command| command.args(["--log-style", style])).ends_with(77);
        let log = pair.by_role(&match style {
            "par" => ve_testbed::wait::content(&pair.host.file("log/charon-par.log")),
            _ => ended.log,
        });
        let unreachable = match style {
            "par" => "warn:Unable to login to server because the license server failed to respond",
            _ => "Failed to connect with the license server!",
        };
        for text in ["login to license server: BACKUP", "memory-limit", unreachable] {
            assert!(log.contains(text), "{style}: no {text:?} in:\n{log}");
        }
    }
}

#[test]
fn one_server_twice_is_a_mistake_that_is_named() {
    let pair = Pair::new(|license| license);
    let address = pair.primary.address();
    let vm = Vm::polite("guest").license(&format!("backup_server = \"{address}\""));
    let ended = pair.host.ends_with(&vm, 78);
    let told = "is the same server as the primary one; a backup must be another server";
    assert!(ended.screen.contains(told), "{}", ended.screen);

    // By another name it is only seen when the name is looked up.
    let any =
        |host: &str| format!("{host}:{port}", port = address.rsplit(':').next().unwrap_or(""));
    let vm = Vm::polite("guest").license(&format!("backup_server = \"{}\"", any("localhost")));
    let output = pair.host.check(&vm.at(&any("127.0.0.1")));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("warning: primary and backup are one server (127.0.0.1:"),
        "{printed}"
    );
}
