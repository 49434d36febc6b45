//! Every line of a real run has the form that scripts know.

use std::fs;

use serde_json::Value;
use ve_testbed::wait;

use crate::{page, site::Site, vm::Vm};

/// Whether `text` has this form: `9` stands for a digit, anything else for itself.
fn has_form(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
            b'9' => byte.is_ascii_digit(),
            _ => byte == form,
        })
}

/// The log of a run with everything in it: a loss, the way back, a revocation, the end.
fn log_in_style(style: &str) -> String {
    let mut site = Site::new(|license| license);
    let folder = site.host.file("log");
    fs::create_dir(&folder).expect("a folder");
    let log = folder.join(format!("{style}.log"));
    let vm = Vm::polite("guest").license("[license.hooks]\nlost = \"exit 9\"");
    let mut emulator =
        site.host.run_with(&vm, |command| command.args(["--log-style", style, "--log"]).arg(&log));
    emulator.shows("ready");
    site.server.kill();
    wait::for_text(&log, "terminated within");
    site.server.restart();
    wait::for_text(&log, "back to normal");
    let number = site.server.list("sessions")[0]["id"].to_string();
    site.server.licensectl(&["sessions", "release", &number]);
    wait::for_text(&log, "released-by-administrator");
    emulator.terminate();
    emulator.ends_with(0);
    wait::content(&log)
}

#[test]
fn ssp() {
    let log = log_in_style("ssp");
    for line in log.lines() {
        let (time, rest) = line.split_at_checked(20).unwrap_or_else(|| panic!("{line:?}"));
        let level = rest.split_once(" VE ").map(|(level, _)| level);
        assert!(has_form(time, "9999-99-99 99:99:99 "), "{line:?}");
        assert!(matches!(level, Some("INFO" | "WARN" | "ERROR" | "FATAL")), "{line:?}");
        assert!(page::explains(&rest.replacen(" VE ", " ", 1)), "{line:?} has no row");
    }
    for text in [
        " INFO VE Trying to login to license server: 127.",
        " ERROR VE Failed to connect with the license server!",
        " WARN VE Charon will be terminated within ",
        " INFO VE The license is verified, back to normal operation.",
        " WARN VE The hook lost failed: exit status: 9",
        " ERROR VE License was revoked: released-by-administrator: ",
        " INFO VE The guest is asked to shut down on request.",
        " INFO VE Charon has ended with exit code 0.",
    ] {
        assert!(log.contains(text), "no {text:?} in:\n{log}");
    }
}

#[test]
fn par() {
    let log = log_in_style("par");
    for line in log.lines() {
        let (time, message) = line.split_at_checked(23).unwrap_or_else(|| panic!("{line:?}"));
        assert!(has_form(time, "99999999:999999.999999:"), "{line:?}");
        assert!(!message.is_empty(), "{line:?}");
    }
    for text in [
        ":VE primary license 127.",
        ":There is no VE backup server.",
        ":Trying to login to license server: 127.",
        ":Grace period is 60 minutes.",
        ":Product Name = Charon-SSP/4M License key ID = 01.00000001.002.044.",
        ":err:Failed to connect with the license server.",
        ":warn:Charon will be terminated within ",
        ":The license is verified, back to normal operation.",
        ":err:License was revoked: released-by-administrator: ",
        ":Exit",
    ] {
        assert!(log.contains(text), "no {text:?} in:\n{log}");
    }
}

#[test]
fn json() {
    let log = log_in_style("json");
    let mut seen = Vec::new();
    for line in log.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
        let text =
            |field: &str| object[field].as_str().unwrap_or_else(|| panic!("{field}: {line}"));
        assert!(has_form(text("time"), "9999-99-99T99:99:99.999999Z"), "{line}");
        assert!(matches!(text("level"), "INFO" | "WARN" | "ERROR" | "FATAL"), "{line}");
        assert!(object["reason"].is_string() || object["reason"].is_null(), "{line}");
        text("message");
        seen.push(text("event").to_owned());
    }
    let expected = [
        "servers",
        "trying-server",
        "licensed",
        "lost",
        "termination-warning",
        "licensed",
        "back-to-normal",
        "lost",
        "termination-warning",
        "shutdown-requested",
        "guest-ended",
        "exit",
    ];
    // A failed hook is told of whenever its command has ended.
    seen.retain(|event| event != "hook-failed");
    assert_eq!(seen, expected, "{log}");
}
