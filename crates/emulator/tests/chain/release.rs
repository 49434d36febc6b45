//! An administrator takes a seat back.

use ve_core::time::SECOND_MS;

use crate::{
    hooks,
    site::{Site, grace},
    vm::Vm,
};

const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.01; done";

/// Releases the only session.
fn release(site: &Site) {
    let number = site.server.list("sessions")[0]["id"].to_string();
    site.server.licensectl(&["sessions", "release", &number]);
}

#[test]
fn a_released_emulator_ends_with_its_grace_period_and_may_be_started_anew() {
    let site = Site::new(|license| grace(license, 6 * SECOND_MS));
    let vm = Vm::script("guest", DEAF).license("shutdown_lead = \"2s\"");
    let vm = hooks::recorded(vm, &["lost", "restored", "ending"]);
    let mut emulator = site.host.run(&vm);
    emulator.shows("ready");
    release(&site);
    let log = emulator.logs("WARN VE Charon will be terminated within 6 seconds!");
    let revoked = "ERROR VE License was revoked: released-by-administrator: ";
    assert!(log.contains(revoked), "{log}");
    site.denied("released-by-administrator");

    let ended = emulator.ends_with(75);
    let asked = "WARN VE The guest is asked to shut down, Charon ends in ";
    let over = "ERROR VE The grace period is over, Charon is stopped.";
    for line in [asked, over, "INFO VE Charon has ended with exit code 137."] {
        assert!(ended.log.contains(line), "no {line:?} in:\n{}", ended.log);
    }
    assert!(!ended.log.contains("verified, back to normal"), "{}", ended.log);
    let ran = hooks::until(&site.host, "ending");
    hooks::assert_ran(&ran, &[("lost", Some(6)), ("ending", Some(2))]);
    let address = site.server.address();
    for ran in ran {
        assert_eq!(ran.name, "guest");
        assert_eq!(address.split(':').next(), Some(ran.server.as_str()));
        assert!(ran.reason.starts_with("released-by-administrator: "), "{ran:?}");
    }

    assert_eq!(site.seats(), [""; 0]);
    let mut again = site.host.run(&vm);
    again.shows("ready");
    assert_eq!(site.seats(), ["guest"]);
}

/// A guest whose license is taken back; what is left when the grace period is over.
fn runs_out(site: &Site, hooks: &str) -> crate::emulator::Ended {
    // The guest ends as soon as it is asked to, so its end comes while hooks run.
    let mut emulator = site.host.run(&Vm::polite("guest").license(hooks));
    emulator.shows("ready");
    release(site);
    let ended = emulator.ends_with(75);
    assert!(ended.log.contains("INFO VE Charon has ended with exit code 0."), "{}", ended.log);
    crate::processes::none_left_in(site.host.folder());
    ended
}

#[test]
fn hooks_are_given_time_to_end() {
    let site = Site::new(|license| grace(license, 2 * SECOND_MS));
    let lost = "lost = \"sleep 0.5; echo lost >> ended\"";
    let ending = "ending = \"sleep 0.5; echo ending >> ended\"";
    let ended = runs_out(&site, &format!("[license.hooks]\n{lost}\n{ending}"));
    assert!(!ended.log.contains("The hook"), "{}", ended.log);
    assert_eq!(ve_testbed::wait::content(&site.host.file("ended")), "lost\nending\n");
}

#[test]
fn a_hook_that_hangs_is_ended_and_the_one_after_it_is_named() {
    let site = Site::new(|license| grace(license, 2 * SECOND_MS));
    let lost = "lost = \"sleep 1000; echo late > hanged\"";
    let ended = runs_out(&site, &format!("[license.hooks]\n{lost}\nending = \"echo > ran\""));
    let told = ["lost failed: it was ended", "ending failed: it was not run"];
    for line in told.map(|what| format!("WARN VE The hook {what}, for the program ends")) {
        assert!(ended.log.contains(&line), "no {line:?} in:\n{}", ended.log);
    }
    assert!(!site.host.file("hanged").exists() && !site.host.file("ran").exists());
}
