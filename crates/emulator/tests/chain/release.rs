//! An administrator takes a seat back.

use ve_core::time::SECOND_MS;
use ve_testbed::wait;

use crate::{
    site::{Site, grace},
    vm::Vm,
};

#[test]
fn a_released_emulator_ends_with_its_grace_period_and_may_be_started_anew() {
    let site = Site::new(|license| grace(license, 6 * SECOND_MS));
    let hook = |name: &str| {
        let facts = "$VE_EVENT|$VE_NAME|$VE_SERVER|$VE_SECONDS_LEFT|$VE_REASON";
        format!("{name} = 'echo \"{facts}\" >> {name}'")
    };
    let vm = Vm::script("guest", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
        .license("shutdown_lead = \"2s\"\n[license.hooks]")
        .license(&hook("lost"))
        .license(&hook("ending"));
    let mut emulator = site.host.run(&vm);
    emulator.shows("ready");
    let number = site.server.list("sessions")[0]["id"].to_string();
    site.server.licensectl(&["sessions", "release", &number]);

    let log = emulator.logs("WARN VE Charon will be terminated within 6 seconds!");
    let revoked = "ERROR VE License was revoked: released-by-administrator: ";
    assert!(log.contains(revoked), "{log}");
    site.denied("released-by-administrator");
    let ended = emulator.ends_with(75);
    let asked = "WARN VE The guest is asked to shut down, Charon ends in 2 seconds.";
    for line in [asked, "ERROR VE The grace period is over, Charon is stopped."] {
        assert!(ended.log.contains(line), "no {line:?} in:\n{}", ended.log);
    }
    let server = site.server.address();
    let server = server.split(':').next().expect("an address");
    for (name, seconds_left) in [("lost", 6), ("ending", 2)] {
        let told = wait::for_text(&site.host.file(name), "\n");
        let expected = format!("{name}|guest|{server}|{seconds_left}|released-by-administrator: ");
        assert!(told.starts_with(&expected), "{told:?} instead of {expected:?}");
    }
    assert_eq!(site.seats(), [""; 0]);

    let mut again = site.host.run(&vm);
    again.shows("ready");
    assert_eq!(site.seats(), ["guest"]);
}
