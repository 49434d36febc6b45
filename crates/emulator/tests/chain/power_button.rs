//! A real operating system that hears the power button is never cut off.

use ve_core::time::SECOND_MS;
use ve_testbed::guest;

use crate::{
    emulator::{Emulator, Ended},
    processes,
    site::{Site, grace},
    vm::Vm,
};

fn boots(site: &Site, vm: &Vm) -> Emulator {
    let mut emulator = site.host.run(vm);
    emulator.shows(guest::READY);
    emulator
}

/// The guest has shut down by itself, and QEMU has ended by itself.
fn was_clean(site: &Site, ended: &Ended) {
    assert!(ended.screen.contains(guest::SHUTS_DOWN), "{}", ended.screen);
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
    was_clean(&site, &ended);
}
