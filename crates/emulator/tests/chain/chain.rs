//! The main job by command line tools only, from the vendor's key to the end of the grace period.

use std::{fs, path::Path};

use jiff::Timestamp;
use serde_json::Value;
use ve_core::time::SECOND_MS;
use ve_testbed::{Server, programs};

use crate::{
    emulator::{Emulator, event, events},
    host::Host,
    processes,
    vm::{PROMPT, Vm},
};

/// Two instances; six seconds of grace.
const LICENSE: &str = r#"
customer = "Stromasys/Testing"
license_id = "01.00000001.002.044"
mode = "general"
key_type = "NORMAL"
grace = "6s"
check_interval = "2s"
lease = "5s"

[[product]]
code = "Charon-SSP/ALL"
virtual_hardware = ["Charon-SSP/4M", "Charon-SSP/4U"]
major = 5
minor = 3
max_cpu = 4
max_memory_mb = 1024
instances = 2
"#;

/// What the license viewer shows of it, beside digests and dates.
const VIEWER: [&str; 15] = [
    "<<License Viewer>>",
    "Current license:",
    "Customer name: Stromasys/Testing",
    "License ID: 01.00000001.002.044",
    "Key type: NORMAL",
    "Expiration date: none",
    "Grace period: 6 seconds",
    "License check interval: 2 seconds",
    "License version: 1",
    "Status: valid",
    "Virtual Hardware: Charon-SSP/4M,Charon-SSP/4U",
    "Product code: Charon-SSP/ALL",
    "Maximum CPU: 4",
    "Maximum virtual memory: 1024MB",
    "Instances allowed: 2",
];

/// Runs a tool in `folder`; what it prints.
fn tool(folder: &Path, name: &str, arguments: &[&str]) -> String {
    programs::output_of(programs::command(name).current_dir(folder).args(arguments))
}

/// A licensed server's home in `folder/home`, made by its vendor and its administrator.
fn set_up(folder: &Path) {
    tool(folder, "license_issuer", &["keygen", "--out", "vendor"]);
    fs::create_dir(folder.join("home")).expect("a home");
    fs::copy(folder.join("vendor/vendor.pub"), folder.join("home/vendor.pub")).expect("copied");
    tool(folder, "c2v", &["--home", "home", "--filename", "server.c2v"]);
    fs::write(folder.join("license.toml"), LICENSE).expect("written");
    let issue = ["issue", "--key", "vendor/vendor.key", "--c2v", "server.c2v"];
    let files = ["--license", "license.toml", "--out", "server.v2c"];
    tool(folder, "license_issuer", &[issue.as_slice(), files.as_slice()].concat());
    tool(folder, "v2c", &["--home", "home", "--filename", "server.v2c"]);
}

fn boots(host: &Host, vm: &Vm) -> Emulator {
    let mut emulator = host.run(vm);
    emulator.shows(PROMPT);
    emulator
}

#[test]
fn from_the_vendors_key_to_the_end_of_the_grace_period() {
    let folder = tempfile::tempdir().expect("a folder");
    set_up(folder.path());
    let mut server = Server::start(&folder.path().join("home"));
    let vendor_key = folder.path().join("vendor/vendor.pub");
    let host = Host::new(&folder.path().join("host"), &vendor_key, &server.address());
    let timed = |vm: Vm| vm.license("shutdown_lead = \"2s\"").log("style = \"json\"");

    let ultra = boots(&host, &Vm::sun4u("ultra"));
    let ss5 = boots(&host, &timed(Vm::sun4m("ss5")));
    a_third_is_refused(&server, &host);
    let seen = tool(folder.path(), "license_viewer", &["--home", "home"]);
    for line in VIEWER {
        assert!(seen.lines().any(|seen| seen == line), "no {line:?} in:\n{seen}");
    }

    ends_by_two_requests(ultra);
    let third = boots(&host, &timed(Vm::sun4m("third")));
    assert_eq!(server.list("sessions").len(), 2);

    let killed_at = Timestamp::now();
    server.kill();
    for emulator in [ss5, third] {
        let ended = emulator.ends_with(75);
        ended_with_the_grace_period(&events(&ended.log), killed_at);
    }
    processes::none_left_in(host.folder());
}

/// The same reason in the emulator's log, in the server's, and in the list of denials.
fn a_third_is_refused(server: &Server, host: &Host) {
    let refused = host.ends_with(&Vm::sun4m("third"), 77);
    let sentence = "instance-limit: all 2 instances of Charon-SSP/ALL are in use.";
    let line = format!("ERROR VE License request was refused: {sentence}");
    assert!(refused.log.contains(&line), "{}", refused.log);
    assert!(!refused.screen.contains(PROMPT), "{}", refused.screen);
    let line = format!("was refused: {sentence}");
    assert!(server.log().contains(&line), "{}", server.log());
    let denials = server.list("denials");
    assert_eq!(denials.len(), 1, "{denials:?}");
    for (field, expected) in
        [("reason", "instance-limit"), ("emulator", "third"), ("virtual_hardware", "Charon-SSP/4M")]
    {
        assert_eq!(denials[0][field], expected, "{denials:?}");
    }
}

/// The firmware knows no power button, so the first request is not heard; the second ends it.
fn ends_by_two_requests(mut emulator: Emulator) {
    let guest = emulator.guest();
    emulator.terminate();
    emulator.logs("The guest is asked to shut down on request.");
    assert_eq!(emulator.guest(), guest, "the first request is no more than a request");
    emulator.terminate();
    let ended = emulator.ends_with(0);
    let line = "The guest has not shut down, Charon is stopped.";
    assert!(ended.log.contains(line), "{}", ended.log);
}

/// Warned, asked two seconds before the end and not earlier, stopped at the end and not earlier.
fn ended_with_the_grace_period(events: &[Value], killed_at: Timestamp) {
    let since_kill_ms = |name: &str| {
        let at = event(events, name)["time"].as_str().expect("a time").parse::<Timestamp>();
        at.expect("RFC 3339").duration_since(killed_at).as_millis()
    };
    // The log's clock may be set a little while the test runs; the grace period's can't be.
    let margin_ms = 200;
    assert_eq!(event(events, "lost")["level"], "ERROR");
    let warning = event(events, "termination-warning");
    let message = warning["message"].as_str().expect("a message");
    assert!(message.starts_with("Charon will be terminated within "), "{message}");
    assert!(since_kill_ms("shutdown-requested") >= 4_000 - margin_ms, "{events:#?}");
    let within_ms = event(events, "shutdown-requested")["within_ms"].as_u64().expect("a number");
    assert!(within_ms <= 2 * SECOND_MS, "{events:#?}");
    assert!(since_kill_ms("grace-over") >= 6_000 - margin_ms, "{events:#?}");
    assert_eq!(event(events, "exit")["code"], 75);
}
