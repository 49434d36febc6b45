//! A primary that is gone: the backup stands in, and the guest never notices.

use std::fs;

use ve_testbed::wait;

use crate::{
    emulator::{Emulator, event, events},
    hooks,
    pair::{BACKUP_ID, Pair, drain, host_of, messages_from},
    processes,
    vm::Vm,
};

/// How times look in front of the messages.
pub(crate) const SSP_TIME: &str = "2026-01-01 00:00:00 ";
const PAR_TIME: &str = "20260101:000000.000000:";

/// What the log tells of the backup's license in the style `ssp`.
pub(crate) const SSP_LICENSED: [&str; 11] = [
    "INFO VE Connected with license server: BACKUP",
    "INFO VE Found available license ID: 01.00000001.002.045.",
    "INFO VE Customer name: Stromasys/Testing.",
    "INFO VE Virtual hardware model Charon-SSP/4M is licensed.",
    "INFO VE Maximum concurrent instances are limited to 3.",
    "INFO VE Maximum allowed virtual CPU(s) are 4.",
    "INFO VE Maximum allowed virtualized memory is 512 MB.",
    "INFO VE Major allowed version number is 5.",
    "INFO VE Minor allowed version number is 3.",
    "INFO VE Expiration UTC time: none.",
    "INFO VE Local UTC time: ",
];

const SSP_SWITCHED: [&str; 2] = [
    "INFO VE The license is verified, back to normal operation.",
    "INFO VE Switched to backup license server: BACKUP",
];

const SSP_LOST: [&str; 5] = [
    "ERROR VE Failed to connect with the license server!",
    "INFO VE Trying to login to license server: PRIMARY",
    "ERROR VE Failed to connect with the license server!",
    "WARN VE Charon will be terminated within 1 hour!",
    "INFO VE Trying to login to license server: BACKUP",
];

const PAR: [&str; 23] = [
    "err:Failed to connect with the license server.",
    "Trying to login to license server: PRIMARY",
    "warn:Unable to login to server because the license server failed to respond",
    "err:Failed to connect with the license server.",
    "warn:Charon will be terminated within 1 hour!",
    "Trying to login to license server: BACKUP",
    "License allowed CPUs: 4.",
    "License allowed memory size: 512.",
    "Connected with license server: BACKUP",
    "Found available license ID: 01.00000001.002.045.",
    "Customer name: Stromasys/Testing",
    "Grace period is 60 minutes.",
    "Virtual hardware model Charon-SSP/4M is licensed.",
    "Maximum concurrent instances are limited to 3.",
    "Maximum allowed virtual CPU(s) are 4.",
    "Maximum allowed virtualized memory is 512 MB.",
    "Major allowed version number is 5.",
    "Minor allowed version number is 3.",
    "Expiration UTC time: none.",
    "Product Name = Charon-SSP/4M License key ID = 01.00000001.002.045.",
    "Local UTC time: ",
    "The license is verified, back to normal operation.",
    "Switched to backup license server: BACKUP",
];

const JSON: [&str; 8] = [
    "lost",
    "trying-server",
    "connect-failed",
    "termination-warning",
    "trying-server",
    "licensed",
    "back-to-normal",
    "switched",
];

/// Every line begins as expected, and there is one for each. Times may be cut off at the end.
#[track_caller]
pub(crate) fn assert_told(told: &[&str], expected: &[&str]) {
    let fits = told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected));
    assert!(fits && told.len() == expected.len(), "{told:#?}\ninstead of {expected:#?}");
}

/// A guest that ends with another exit code if it is asked to.
fn touchy(name: &str) -> Vm {
    Vm::script(name, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done")
}

fn runs(pair: &Pair, style: &str) -> Emulator {
    let vm = pair.knows(touchy(style)).license("primary_probe = \"1h\"");
    // The last word on a key is not ours to repeat.
    let vm = Vm { license: vm.license.replace("primary_probe = \"1s\"\n", ""), ..vm };
    let vm = if style == "ssp" {
        hooks::recorded(vm, &["lost", "restored", "failover", "failback", "expiring", "ending"])
    } else {
        vm
    };
    let log = pair.host.file(&format!("log/{style}.log"));
    fs::create_dir_all(pair.host.file("log")).expect("a folder");
    let mut emulator =
        pair.host.run_with(&vm, |command| command.args(["--log-style", style, "--log"]).arg(&log));
    emulator.shows("ready");
    emulator
}

#[test]
fn a_primary_that_is_killed_is_followed_by_the_backup_in_every_style() {
    let mut site = Pair::new(|license| license);
    let mut emulators = ["ssp", "par", "json"].map(|style| runs(&site, style));
    let guests: Vec<u32> = emulators.iter().map(Emulator::guest).collect();
    site.seats_are(&["json", "par", "ssp"], &[]);

    site.primary.kill();
    let switched = "Switched to backup license server: ";
    let [ssp, par, json] =
        emulators.each_mut().map(|emulator| site.by_role(&emulator.logs(switched)));

    let first = "INFO VE Expiration UTC time: none.";
    let told = messages_from(&ssp, SSP_TIME, "Trying to login to license server: PRIMARY");
    let lost_at = ssp.lines().position(|line| line.contains(SSP_LOST[0])).expect("a loss");
    let before = ssp.lines().nth(lost_at - 1).expect("a line before");
    assert!(before.ends_with(first), "nothing before the loss: {before}");
    let expected = [&SSP_LOST[1..], &SSP_LICENSED, &SSP_SWITCHED].concat();
    assert_told(&told, &expected);
    let told = messages_from(&par, PAR_TIME, "Trying to login to license server: PRIMARY");
    assert_told(&told, &PAR[1..]);
    let events = events(&json);
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names[3..], JSON, "{json}");
    tells_the_facts(&site, &events);
    hooks_ran(&site);

    let now: Vec<u32> = emulators.iter().map(Emulator::guest).collect();
    assert_eq!(now, guests, "the same processes");
    wait::until("the seats at the backup", || {
        (crate::site::seats(&site.backup) == ["json", "par", "ssp"]).then_some(())
    });
}

/// What programs read.
fn tells_the_facts(pair: &Pair, events: &[serde_json::Value]) {
    let address = |server: &ve_testbed::Server| server.address();
    let by_role = |text: String| pair.by_role(&text);
    let (primary, backup) = (by_role(address(&pair.primary)), by_role(address(&pair.backup)));
    assert_eq!(event(events, "lost")["server"], primary.as_str());
    assert_eq!(event(events, "connect-failed")["server"], primary.as_str());
    let switched = event(events, "switched");
    assert_eq!(switched["server"], backup.as_str());
    assert_eq!((&switched["role"], &switched["reason"]), (&"backup".into(), &"failover".into()));
    let licensed = events.iter().rfind(|event| event["event"] == "licensed").expect("a license");
    assert_eq!(licensed["license_id"], BACKUP_ID);
}

/// The moments of a failover in their order, with what an operator wants to know.
fn hooks_ran(pair: &Pair) {
    let ran = hooks::until(&pair.host, "restored");
    let names: Vec<&str> = ran.iter().map(|ran| ran.event.as_str()).collect();
    assert_eq!(names, ["lost", "failover", "restored"], "{ran:#?}");
    let (primary, backup) = (host_of(&pair.primary), host_of(&pair.backup));
    let lost = hooks::one(&ran, "lost");
    assert_eq!((&lost.server, lost.role.as_str()), (&primary, "primary"));
    assert!(lost.seconds_left.is_some() && !lost.reason.is_empty(), "{lost:?}");
    for event in ["failover", "restored"] {
        let ran = hooks::one(&ran, event);
        assert_eq!((&ran.server, ran.role.as_str()), (&backup, "backup"), "{ran:?}");
        assert_eq!((ran.seconds_left, ran.name.as_str()), (None, "ssp"), "{ran:?}");
        let previous = if event == "failover" { primary.as_str() } else { "" };
        assert_eq!(ran.previous_server, previous, "{ran:?}");
        let reason = if event == "failover" { lost.reason.as_str() } else { "" };
        assert_eq!(ran.reason, reason, "{ran:?}");
    }
}

#[test]
fn a_primary_that_is_stopped_in_order_loses_nobody() {
    let mut pair = Pair::new(|license| license);
    let mut emulator = runs(&pair, "ssp");
    let guest = emulator.guest();
    drain(&mut pair.primary);

    let log = emulator.logs("Logged out from license server: ");
    let log = pair.by_role(&log);
    let told = messages_from(&log, SSP_TIME, SSP_LICENSED[0]);
    let logged_out = ["INFO VE Logged out from license server: PRIMARY"];
    let expected = [&SSP_LICENSED, SSP_SWITCHED.as_slice(), &logged_out].concat();
    assert_told(&told, &expected);
    for line in ["Failed to connect", "terminated within"] {
        assert!(!log.contains(line), "{log}");
    }
    assert_eq!(emulator.guest(), guest, "the same process");
    let ran = hooks::until(&pair.host, "failover");
    let failover = hooks::one(&ran, "failover");
    assert_eq!(
        (&failover.server, &failover.previous_server),
        (&host_of(&pair.backup), &host_of(&pair.primary))
    );
    assert_eq!(failover.reason, "server-draining: the server is about to stop.");
    assert!(!ran.iter().any(|ran| ran.event == "lost"), "{ran:#?}");
    // The seat went back before the primary ended.
    pair.primary.restart();
    pair.seats_are(&[], &["ssp"]);
    emulator.terminate();
    emulator.ends_with(9);
    pair.seats_are(&[], &[]);
    assert!(!processes::lives_in(guest, pair.host.folder()));
}

#[test]
fn an_alarm_that_is_slow_to_set_is_cleared_after_that() {
    let mut pair = Pair::new(|license| license);
    let vm = pair
        .knows(Vm::polite("guest"))
        .license("[license.hooks]")
        .license("lost = \"until test -e go; do sleep 0.01; done; echo lost >> order\"")
        .license("failover = \"echo failover >> order\"")
        .license("restored = \"echo restored >> order\"");
    let mut emulator = pair.host.run(&vm);
    emulator.shows("ready");
    pair.primary.kill();
    emulator.logs("Switched to backup license server: ");
    fs::write(pair.host.file("go"), "").expect("written");
    let order = wait::for_text(&pair.host.file("order"), "restored\n");
    assert_eq!(order, "lost\nfailover\nrestored\n");
}

#[test]
fn a_start_without_the_primary_takes_the_backup() {
    let mut pair = Pair::new(|license| license);
    pair.primary.kill();
    let emulator = runs(&pair, "ssp");
    let log = pair.by_role(&emulator.log());
    let told = messages_from(&log, SSP_TIME, "Trying to login to license server: PRIMARY");
    // The last of the block comes after a loss only.
    assert_told(&told[told.len() - 10..], &SSP_LICENSED[..10]);
    assert!(log.contains("Trying to login to license server: BACKUP"), "{log}");
    pair.seats_of_the_backup(&["ssp"]);
}
