//! The lines on standard error: of a process of its own, this test program once more.

use std::{
    env,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use ve_server::log::{LogSettings, Mirror};

use super::{LONG, TERMINATED, entry, lines, open, settings, without_time};

const FOLDER: &str = "VE_TEST_ECHO_FOLDER";
const COUNT: &str = "VE_TEST_ECHO_COUNT";

/// Not a test of its own: what the child does.
#[test]
fn child() {
    let (Some(folder), Ok(count)) = (env::var_os(FOLDER), env::var(COUNT)) else { return };
    assert_eq!(Mirror::detect(), Mirror::StandardError);
    let settings = LogSettings { mirror: Mirror::detect(), ..settings(&PathBuf::from(folder)) };
    let log = open(&settings);
    for number in 0..count.parse().expect("a number") {
        log.write(entry(format!("{number} {}", "x".repeat(100))));
    }
    assert!(log.close(LONG));
}

fn start(folder: &tempfile::TempDir, count: usize) -> Child {
    Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "echo::child", "--nocapture"])
        .env(FOLDER, folder.path())
        .env(COUNT, count.to_string())
        // Of whoever started the tests; the child's standard error is a pipe.
        .env("JOURNAL_STREAM", "1:1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the child")
}

#[test]
fn in_the_foreground_the_lines_are_on_standard_error_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = start(&folder, 3);
    let mut text = String::new();
    let mut stderr = child.stderr.take().expect("its standard error");
    stderr.read_to_string(&mut text).expect("its lines");
    assert!(child.wait().expect("its end").success());
    let echoed: Vec<String> = text.lines().map(without_time).collect();
    assert_eq!(echoed.len(), 4);
    assert_eq!(echoed, lines(&folder.path().join("license.log")));
}

/// A terminal that was stopped, a pager, a pipe that nobody reads.
#[test]
fn standard_error_that_takes_nothing_does_not_hold_up_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = start(&folder, 5_000);
    assert!(child.wait().expect("its end").success());
    let lines = lines(&folder.path().join("license.log"));
    assert_eq!(lines.len(), 5_001);
    assert_eq!(lines[5_000], TERMINATED);
}
