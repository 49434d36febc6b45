//! A license that is lost and found again: the guest notices nothing.

use rustix::process::{Pid, Signal, kill_process};
use ve_core::time::SECOND_MS;

use crate::{
    emulator::Emulator,
    hooks, processes,
    site::{Site, grace},
    vm::{PROMPT, Vm},
};

/// What the log tells of a license, each line without its time.
const BLOCK: [&str; 11] = [
    "INFO VE Connected with license server: ",
    "INFO VE Found available license ID: 01.00000001.002.044.",
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
const BACK: &str = "The license is verified, back to normal operation.";

/// The log's lines from the first that contains `text`, without their times.
#[track_caller]
fn lines_from<'a>(log: &'a str, text: &str) -> Vec<&'a str> {
    let mut lines = log.lines();
    assert!(lines.by_ref().any(|line| line.contains(text)), "no {text:?} in:\n{log}");
    lines.filter_map(|line| line.get("2026-01-01 00:00:00 ".len()..)).collect()
}

/// After a loss the log holds the whole block, in its order, and then the good news.
#[track_caller]
fn is_back(emulator: &mut Emulator) {
    let log = emulator.logs(BACK);
    let told = lines_from(&log, "Charon will be terminated within ");
    let block = told.iter().position(|line| line.starts_with(BLOCK[0])).expect("the block");
    let told = &told[block..];
    for (told, expected) in told.iter().zip(BLOCK) {
        assert!(told.starts_with(expected), "{told:?} instead of {expected:?} in:\n{log}");
    }
    assert_eq!(told[BLOCK.len()], format!("INFO VE {BACK}"), "{log}");
}

#[test]
fn a_server_that_was_killed_comes_back_and_qemu_runs_on() {
    // A minute before the end there is a warning, which comes two seconds after the loss.
    let mut site = Site::new(|license| grace(license, 62 * SECOND_MS));
    let vm = Vm::sun4m("ss5").license("shutdown_lead = \"1s\"");
    let vm = hooks::recorded(vm, &["lost", "restored", "expiring", "ending"]);
    let mut emulator = site.host.run(&vm);
    emulator.shows(PROMPT);
    let guest = emulator.guest();
    let session = site.server.list("sessions")[0]["id"].clone();

    site.server.kill();
    emulator.logs("ERROR VE Failed to connect with the license server!");
    hooks::until(&site.host, "expiring");
    site.server.restart();

    is_back(&mut emulator);
    assert_eq!(site.server.list("sessions")[0]["id"], session, "it is the same session");
    assert_eq!(emulator.guest(), guest, "it is the same process");
    assert!(processes::lives_in(guest, site.host.folder()));
    let ran = hooks::until(&site.host, "restored");
    let expected = [("lost", Some(62)), ("expiring", Some(60)), ("restored", None)];
    hooks::assert_ran(&ran, &expected);
}

#[test]
fn a_server_that_hangs_is_a_loss_until_it_answers_again() {
    let site = Site::new(|license| license);
    let mut emulator = site.host.run(&Vm::polite("guest"));
    emulator.shows("ready");
    let server = i32::try_from(site.server.process_id()).ok().and_then(Pid::from_raw);
    let server = server.expect("a process");
    kill_process(server, Signal::STOP).expect("stopped");
    emulator.logs("WARN VE Charon will be terminated within ");
    kill_process(server, Signal::CONT).expect("going on");
    is_back(&mut emulator);
    assert_eq!(site.seats(), ["guest"]);
    emulator.terminate();
    emulator.ends_with(0);
    assert_eq!(site.seats(), [""; 0]);
}
