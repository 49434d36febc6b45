//! `licensectl logs`: the end of the log, and what follows, across rotations.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Stdio},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::office::Office;

struct Follower {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    fn start(office: &Office, arguments: &[&str]) -> Self {
        let mut command = office.command("licensectl", &[&["logs", "-f"], arguments].concat());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    #[track_caller]
    fn expect(&mut self, expected: &[&str]) {
        for expected in expected {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            assert_eq!(line.trim_end(), *expected);
        }
    }
}

impl Follower {
    /// Does `work` while the follower sleeps, so that it finds all of it at once.
    fn asleep(&self, work: impl FnOnce()) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped());
        work();
        kill_process(pid, Signal::CONT).unwrap();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn office_with_log(text: &str) -> Office {
    let office = Office::new();
    office.home().create().unwrap();
    fs::write(office.home().license_log(), text).unwrap();
    office
}

fn append(office: &Office, text: &str) {
    let mut log =
        OpenOptions::new().append(true).create(true).open(office.home().license_log()).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

/// As the server rotates: every log moves up one number, and a new one begins.
fn rotate(office: &Office) {
    let log = office.home().license_log();
    let numbered = |number: u32| log.with_file_name(format!("license.log.{number}"));
    for number in (1..5).rev() {
        if numbered(number).exists() {
            fs::rename(numbered(number), numbered(number + 1)).unwrap();
        }
    }
    fs::rename(&log, numbered(1)).unwrap();
}

#[test]
fn the_last_lines_are_shown() {
    let office = office_with_log("a\nb\nc\n");
    let logs = |arguments: &[&str]| {
        office.run("licensectl", &[&["logs"], arguments].concat()).expect_code(0).stdout
    };
    assert_eq!(logs(&[]), "a\nb\nc\n");
    assert_eq!(logs(&["-n", "2"]), "b\nc\n");
    assert_eq!(logs(&["-n", "0"]), "");
    assert_eq!(logs(&["--json", "-n", "1"]), "{\n  \"lines\": [\n    \"c\"\n  ]\n}\n");
    office.run("licensectl", &["logs", "-n", "-1"]).expect_failure(64, "-1");
    office.run("licensectl", &["logs", "--web"]).expect_failure(69, "webserver.log");
}

#[test]
fn following_goes_on_across_rotations() {
    let office = office_with_log("one\ntwo\n");
    let mut follower = Follower::start(&office, &["-n", "1"]);
    follower.expect(&["two"]);
    append(&office, "thr");
    append(&office, "ee\n");
    follower.expect(&["three"]);
    follower.asleep(|| {
        append(&office, "four\n");
        rotate(&office);
        append(&office, "five\n");
        rotate(&office);
        append(&office, "six\n");
        rotate(&office);
        append(&office, "seven\n");
    });
    follower.expect(&["four", "five", "six", "seven"]);
    rotate(&office);
    append(&office, "eight\n");
    follower.expect(&["eight"]);
}

#[test]
fn following_waits_for_a_log_that_is_not_there_yet() {
    let office = office_with_log("");
    fs::remove_file(office.home().license_log()).unwrap();
    let mut follower = Follower::start(&office, &["--json"]);
    append(&office, "say \"hi\"\n");
    follower.expect(&["{\"line\":\"say \\\"hi\\\"\"}"]);
}
