//! Any program as an emulator: its exit code is ours.

use rustix::process::Signal;

use crate::{processes, site::Site, vm::Vm};

#[test]
fn it_ends_as_its_emulator_did() {
    let site = Site::new(|license| license);
    for (script, code) in
        [("exit 0", 0), ("exit 3", 3), ("kill -USR1 $$", 128 + 10), ("kill -KILL $$", 128 + 9)]
    {
        let ended = site.host.ends_with(&Vm::script("guest", script), code);
        let line = format!("INFO VE Charon has ended with exit code {code}.");
        assert!(ended.log.contains(&line), "{script}:\n{}", ended.log);
        let line = "INFO VE Logged out from license server: 127.";
        assert!(ended.log.contains(line), "{script}:\n{}", ended.log);
        assert_eq!(site.seats(), [""; 0], "{script}: its seat is free");
    }
}

#[test]
fn a_request_reaches_it_and_its_exit_code_is_ours() {
    let site = Site::new(|license| license);
    for signal in [Signal::TERM, Signal::INT] {
        let script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done";
        let mut emulator = site.host.run(&Vm::script("guest", script));
        emulator.shows("ready");
        emulator.signal(signal);
        let ended = emulator.ends_with(3);
        assert!(ended.log.contains("asked to shut down on request"), "{}", ended.log);
        assert!(!ended.log.contains("is stopped"), "{}", ended.log);
    }
}

#[test]
fn one_that_does_not_hear_is_killed_after_its_time_with_all_its_helpers() {
    let site = Site::new(|license| license);
    let script = "trap '' TERM; sleep 1000 & echo ready; while :; do sleep 0.01; done";
    let vm = Vm::script("guest", script).engine("shutdown_timeout = \"1s\"");
    let mut emulator = site.host.run(&vm);
    emulator.shows("ready");
    emulator.terminate();
    let ended = emulator.ends_with(128 + 9);
    let line = "WARN VE The guest has not shut down, Charon is stopped.";
    assert!(ended.log.contains(line), "{}", ended.log);
    processes::none_left_in(site.host.folder());
    assert_eq!(site.seats(), [""; 0]);
}

#[test]
fn a_shutdown_command_comes_first_and_knows_its_guest() {
    let site = Site::new(|license| license);
    let script = "trap 'exit 5' USR1; trap 'exit 6' TERM; echo ready; while :; do sleep 0.01; done";
    let shutdown = "shutdown = [\"sh\", \"-c\", 'echo \"bye $VE_NAME\"; kill -USR1 $VE_GUEST_PID']";
    let mut emulator = site.host.run(&Vm::script("guest", script).engine(shutdown));
    emulator.shows("ready");
    emulator.terminate();
    let ended = emulator.ends_with(5);
    assert!(ended.screen.contains("bye guest"), "{}", ended.screen);
}

#[test]
fn a_shutdown_command_that_fails_is_told_of_and_the_second_request_ends_it() {
    let site = Site::new(|license| license);
    let vm = Vm::polite("guest").engine("shutdown = [\"false\"]");
    let mut emulator = site.host.run(&vm);
    emulator.shows("ready");
    emulator.terminate();
    emulator.logs("ERROR VE The guest could not be asked to shut down: ");
    emulator.terminate();
    let ended = emulator.ends_with(128 + 9);
    assert!(ended.log.contains("Charon is stopped."), "{}", ended.log);
}
