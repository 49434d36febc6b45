//! Every way in which a start fails has its exit code, and says what to do.

use std::fs;

use crate::{host::Host, site::Site, vm::Vm};

#[test]
fn a_server_that_is_down_is_69() {
    let mut site = Site::new(|license| license);
    site.server.kill();
    let ended = site.host.ends_with(&Vm::polite("guest"), 69);
    for line in [
        "INFO VE Trying to login to license server: 127.",
        "ERROR VE Failed to connect with the license server!",
        "FATAL VE License server is unavailable!",
    ] {
        assert!(ended.log.contains(line), "no {line:?} in:\n{}", ended.log);
    }
    let explained = "ve-emulator: no license server can be used: ";
    assert!(ended.screen.contains(explained), "{}", ended.screen);
}

#[test]
fn a_server_of_another_vendor_is_69() {
    let site = Site::new(|license| license);
    let stranger = ve_testbed::vendor(&site.folder().join("stranger"));
    let host =
        Host::new(&site.folder().join("other"), stranger.public_file(), &site.server.address());
    let ended = host.ends_with(&Vm::polite("guest").log("style = \"json\""), 69);
    assert!(ended.log.contains("no credential of a trusted vendor"), "{}", ended.log);
    assert!(!site.server.log().contains("logged in"), "nothing was asked of a stranger");
}

#[test]
fn a_server_without_a_license_is_77_and_can_not_prove_what_it_says() {
    let site = Site::without_license();
    let ended = site.host.ends_with(&Vm::polite("guest"), 77);
    let line = "ERROR VE License request was refused: license-not-available: ";
    let told = ended.log.lines().find(|told| told.contains(line)).expect("a refusal");
    assert!(told.contains("unverified"), "{told}");
    let explained = "ve-emulator: no license was granted: license-not-available: ";
    assert!(ended.screen.contains(explained), "{}", ended.screen);
}

#[test]
fn a_passphrase_that_is_needed_and_wrong_or_missing_is_77() {
    let site = Site::new(|license| license.passphrase("1111-2222-3333-4444"));
    let vm = || Vm::polite("guest");
    for vm in [vm(), vm().license("passphrase = \"9999-8888-7777-6666\"")] {
        let ended = site.host.ends_with(&vm, 77);
        assert!(ended.log.contains("passphrase-invalid: "), "{}", ended.log);
        assert!(!ended.log.contains("9999-8888"), "{}", ended.log);
    }
}

#[test]
fn a_name_that_runs_is_75_and_names_the_process() {
    let site = Site::new(|license| license);
    let mut first = site.host.run(&Vm::polite("guest"));
    first.shows("ready");
    let second = site.host.ends_with(&Vm::polite("guest"), 75);
    let expected = format!("(process {})", first.id());
    assert!(second.screen.contains(&expected), "{}", second.screen);
    let log = first.log();
    assert!(
        log.contains("Connected with"),
        "the second has not touched the log of the first: {log}"
    );
    assert_eq!(site.seats(), ["guest"]);
}

#[test]
fn what_can_not_be_written_is_73() {
    let site = Site::new(|license| license);
    // Even root can't make a folder in a file.
    fs::write(site.host.file("blocked"), b"").expect("written");
    let blocked = site.host.file("blocked/folder");
    for option in ["--state-dir", "--log"] {
        let started =
            site.host.run_with(&Vm::polite("guest"), |command| command.arg(option).arg(&blocked));
        let ended = started.ends_with(73);
        assert!(ended.screen.contains("blocked/folder"), "{option}: {}", ended.screen);
    }
    assert_eq!(site.seats(), [""; 0]);
}

/// VM files that can't be: what is wrong with them, and a part of what is said.
#[test]
fn a_wrong_vm_file_is_78_and_no_server_hears_of_it() {
    let site = Site::new(|license| license);
    let vm = || Vm::polite("guest");
    for (vm, expected) in [
        (vm().license("grace = \"1h\""), "grace"),
        (vm().license("vendor_key = \"missing.pub\""), "missing.pub"),
        (vm().license("passphrase_env = \"VE_TEST_IS_NOT_SET\""), "passphrase_env"),
        (vm().license("passphrase_file = \"missing.secret\""), "passphrase_file"),
        (Vm { cpus: 0, ..vm() }, "cpus"),
        (Vm { cpus: 5, ..Vm::sun4m("guest") }, "SS-20"),
        (Vm { architecture: "vax", ..vm() }, "architecture"),
        (Vm { engine: "kind = \"command\"\ncommand = [\"/no/such\"]".into(), ..vm() }, "/no/such"),
        (Vm { engine: "kind = \"magic\"".into(), ..vm() }, "kind"),
        (Vm::sun4m("guest").engine("args = []"), "args"),
    ] {
        let ended = site.host.ends_with(&vm, 78);
        let said = ended.screen.trim_end();
        assert!(said.starts_with("ve-emulator: ") && said.contains(expected), "{expected}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let log = site.server.log();
    assert!(!log.contains("logged in") && !log.contains("refused"), "{log}");
}

/// No name may forge a line of a log, here or on the server.
#[test]
fn a_name_with_control_characters_is_78_and_is_not_repeated() {
    let site = Site::new(|license| license);
    let ok = || Vm::polite("guest").text(&site.server.address());
    let long = "x".repeat(10_000);
    for key in ["name", "display_name", "virtual_hardware"] {
        let values =
            [r"a\nFATAL VE forged", r"a\u001b[2Jb", r"a\u0000b", r"a\u009bb", long.as_str()];
        for value in values {
            let kept = ok();
            let others = kept.lines().filter(|line| !line.starts_with(&format!("{key} =")));
            let text = format!("{key} = \"{value}\"\n{}\n", others.collect::<Vec<_>>().join("\n"));
            fs::write(site.host.file("guest.toml"), text).expect("written");
            let output =
                site.host.ve_emulator().arg("run").arg(site.host.file("guest.toml")).output();
            let output = output.expect("ve-emulator runs");
            let said = String::from_utf8(output.stderr).expect("UTF-8");
            assert_eq!(output.status.code(), Some(78), "{key} = {value:?}: {said}");
            assert!(said.contains(&format!("`{key}`")) && said.contains("line 1"), "{said}");
            let said = said.trim_end();
            assert!(!said.chars().any(char::is_control) && !said.contains("forged"), "{said:?}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_64() {
    let site = Site::without_license();
    for arguments in [&["run"] as &[&str], &["fly", "VM.toml"], &["run", "VM.toml", "--fast"]] {
        let output = site.host.ve_emulator().args(arguments).output().expect("ve-emulator runs");
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage:"), "{arguments:?}");
    }
}
