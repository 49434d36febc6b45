//! A disk that answers with errors: what it did not take is not remembered, and what it takes later is.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use ve_store::{AppendFailure, Embedded, Store};

use crate::events::{Home, opened, record};

/// Names the ledger to the process whose disk fails.
const LEDGER: &str = "VE_STORE_TEST_LEDGER_ON_BROKEN_DISK";

/// The flushes that fail: after the ledger is open, and before a checkpoint.
const FAILING_FLUSHES: &str = "inject=fdatasync,fsync:error=EIO:when=20..22";

const APPENDS: u64 = 40;

#[test]
#[ignore = "a part of the next test, which lets the flushes of its own process fail"]
fn child_appends_while_flushes_fail() {
    let path = PathBuf::from(env::var_os(LEDGER).expect("run by the next test"));
    let mut store = Embedded::open(&path).expect("a ledger");
    let mut failures = Vec::new();
    for position in 1..=APPENDS {
        let remembered = store.remember();
        if let Err(failure) = store.append(&[&[record(position, opened(position))]]) {
            failures.push(failure);
            assert_eq!(store.remember(), remembered, "nothing of it is remembered");
        }
    }
    let AppendFailure::Ledger(why) = failures.first().expect("a flush failed") else {
        panic!("{failures:?}");
    };
    assert!(why.starts_with("input/output error of the disk (SQLITE_IOERR "), "{why}");
    assert_eq!(failures.len(), 3, "it goes on by itself");
    store.close().expect("a tidy end");
}

fn with_failing_flushes(
    command: &[&str],
    variable: &str,
    path: &Path,
) -> std::io::Result<std::process::Output> {
    Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"])
        .args(["-e", FAILING_FLUSHES])
        .args(command)
        .env(variable, path)
        .output()
}

/// Runs a child test, whose variable names its path, with a disk that fails for a while; says whether
/// that can be done here.
pub(crate) fn run_with_failing_flushes(child: &str, variable: &str, path: &Path) -> bool {
    match with_failing_flushes(&["true"], variable, path) {
        Ok(probe) if probe.status.success() => {}
        Ok(probe) => {
            let why = String::from_utf8_lossy(&probe.stderr).into_owned();
            ve_testbed::skip(format_args!("strace can't trace here: {why}"));
            return false;
        }
        Err(why) => {
            ve_testbed::skip(format_args!("strace is not installed: {why}"));
            return false;
        }
    }
    let exe = env::current_exe().expect("this program");
    let exe = exe.to_str().expect("a path in UTF-8");
    let command = [exe, "--exact", child, "--ignored", "--nocapture"];
    let output = with_failing_flushes(&command, variable, path).expect("strace runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    true
}

#[test]
fn a_disk_that_fails_for_a_while_costs_only_what_it_refused() {
    let home = Home::new();
    let child = "broken_disk::child_appends_while_flushes_fail";
    if !run_with_failing_flushes(child, LEDGER, &home.ledger()) {
        return;
    }
    let remembered = home.open().remember().expect("a sound ledger");
    assert_eq!(remembered.position, APPENDS);
    assert_eq!(remembered.sessions.len() as u64, APPENDS - 3);
}
