//! A guest that hears, by the power button or by a shutdown command, is never cut off.

use std::{fs, process::Command};

use ve_core::time::SECOND_MS;
use ve_testbed::{guest, programs, wait};

use crate::{
    emulator::{Emulator, Ended},
    processes,
    site::{Site, grace},
    vm::{PROMPT, Vm},
};

/// A SPARC machine's console as a pipe in the VM files' folder, and what types `power-off` there.
/// The firmware does then what an operating system does at its end.
fn typed_at(vm: Vm) -> Vm {
    let console = "\"-nographic\", \"-monitor\", \"none\", \"-serial\", \"chardev:console\", \
        \"-chardev\", \"pipe,id=console,path=console,logfile=console.log\"";
    Vm { engine: vm.engine.replace("\"-nographic\"", console), ..vm }
        .engine("shutdown = [\"sh\", \"-c\", 'printf \"power-off\\r\" > console.in']")
}

/// Boots a SPARC machine with such a console.
fn boots_typed_at(site: &Site, vm: Vm) -> Emulator {
    for end in ["console.in", "console.out", "console.log"] {
        // There is none at the first time.
        drop(fs::remove_file(site.host.file(end)));
    }
    let mut make = Command::new("mkfifo");
    programs::output_of(make.args(["console.in", "console.out"]).current_dir(site.host.folder()));
    let emulator = site.host.run(&typed_at(vm));
    wait::for_text(&site.host.file("console.log"), PROMPT);
    emulator
}

fn boots(site: &Site, vm: &Vm) -> Emulator {
    let mut emulator = site.host.run(vm);
    emulator.shows(guest::READY);
    emulator
}

/// QEMU has ended by itself, for its guest has shut down.
fn was_clean(site: &Site, ended: &Ended) {
    assert!(ended.log.contains("INFO VE Charon has ended with exit code 0."), "{}", ended.log);
    for sign_of_force in ["is stopped", "could not be asked"] {
        assert!(!ended.log.contains(sign_of_force), "{}", ended.log);
    }
    processes::none_left_in(site.host.folder());
}

#[test]
fn it_powers_off_before_the_grace_period_ends() {
    // Half of it is left for the shutdown: plenty, so that a slow machine is no failure.
    let mut site = Site::new(|license| grace(license, 24 * SECOND_MS));
    let emulator = boots(&site, &Vm::linux("linux").license("shutdown_lead = \"1h\""));
    site.server.kill();
    let ended = emulator.ends_with(75);
    let asked = "WARN VE The guest is asked to shut down, Charon ends in ";
    assert!(ended.log.contains(asked), "{}", ended.log);
    assert!(ended.screen.contains(guest::SHUTS_DOWN), "{}", ended.screen);
    was_clean(&site, &ended);
}

#[test]
fn it_powers_off_when_the_operator_asks_and_its_seat_is_free_at_once() {
    let site = Site::new(|license| license);
    let emulator = boots(&site, &Vm::linux("linux"));
    assert_eq!(site.seats(), ["linux"]);
    emulator.terminate();
    let ended = emulator.ends_with(0);
    assert_eq!(site.seats(), [""; 0], "the lease is an hour, but it has logged out");
    let asked = "INFO VE The guest is asked to shut down on request.";
    assert!(ended.log.contains(asked), "{}", ended.log);
    assert!(ended.screen.contains(guest::SHUTS_DOWN), "{}", ended.screen);
    was_clean(&site, &ended);
}

#[test]
fn a_sparc_machine_powers_off_by_its_shutdown_command() {
    let mut site = Site::new(|license| grace(license, 10 * SECOND_MS));
    for vm in [Vm::sun4m("ss5"), Vm::sun4u("ultra")] {
        let emulator = boots_typed_at(&site, vm);
        emulator.terminate();
        was_clean(&site, &emulator.ends_with(0));
    }
    let emulator = boots_typed_at(&site, Vm::sun4m("ss5"));
    site.server.kill();
    was_clean(&site, &emulator.ends_with(75));
}
