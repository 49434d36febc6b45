//! The command line itself, as a real process.

use std::{fs, process::Output};

use crate::desk::Desk;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn spawn(arguments: &[&str]) -> Output {
    Desk::new().spawn(arguments, |_| ())
}

#[test]
fn a_vendor_s_whole_day() {
    let desk = Desk::new();
    fs::remove_file(desk.path("vendor.key")).unwrap();
    fs::remove_file(desk.path("vendor.pub")).unwrap();
    let fine = |arguments: &[&str]| {
        let output = desk.spawn(arguments, |_| ());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    fine(&["keygen", "--out", "@."]);
    let issue = [
        "issue",
        "--key",
        "@vendor.key",
        "--c2v",
        "@F.c2v",
        "--license",
        "@L.toml",
        "--out",
        "@F.v2c",
    ];
    fine(&issue);
    assert!(fine(&["inspect", "@F.v2c"]).contains("Signature: valid"));
    // The same again replaces the license and nothing else.
    let files = || fs::read_dir(desk.path(".")).unwrap().count();
    let before = files();
    fine(&issue);
    assert_eq!(files(), before);
}

#[test]
fn help_and_version_are_results() {
    for arguments in
        [&["--help"][..], &["keygen", "--help"], &["issue", "--help"], &["inspect", "--help"]]
    {
        let output = spawn(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("Usage: license_issuer"), "{arguments:?}");
        assert!(output.stderr.is_empty());
        assert!(!output.stdout.contains(&0x1b), "colour where there is no terminal");
    }
    for arguments in [&["--version"][..], &["issue", "--version"]] {
        let output = spawn(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).ends_with(&format!("{}\n", env!("CARGO_PKG_VERSION"))));
    }
}

#[test]
fn wrong_usage_exits_with_64() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["keygen"],
        &["keygen", "--out"],
        &["keygen", "--out", "x", "--force"],
        &["issue", "--key", "k"],
        &["inspect"],
        &["inspect", "a", "b"],
        &["inspect", "a", "--json=maybe"],
    ] {
        let output = spawn(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(text(&output.stderr).contains("--help"), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn output_that_goes_nowhere_exits_with_73() {
    let desk = Desk::new();
    for arguments in [&["inspect", "@F.c2v"][..], &["--help"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = desk.spawn(arguments, |command| {
            command.stdout(full);
        });
        assert_eq!(output.status.code(), Some(73), "{arguments:?}: {}", text(&output.stderr));
    }
}
