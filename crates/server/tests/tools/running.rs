//! The tools beside a running server.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use serde_json::Value;
use ve_core::time::{HOUR_MS, SECOND_MS};

use crate::{
    office::{ID, Office},
    viewer::use_hours,
};

/// A server that is killed when it is dropped.
pub(crate) struct Server(pub(crate) Child);

impl Server {
    pub(crate) fn start(office: &Office) -> Self {
        let mut command = office.command("licensed", &["--listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let ready = lines.map(Result::unwrap).any(|line| line.contains("is ready to serve"));
        assert!(ready, "the server ended before it was ready");
        Self(process)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_license_goes_through_its_life_while_the_server_runs() {
    let office = Office::new();
    let server = Server::start(&office);
    let empty = office.run("license_viewer", &[]).expect_code(0).stdout;
    assert!(empty.ends_with("No license is installed.\n"), "{empty}");
    let first = office.install(office.license().hours(10).sign()).expect_code(0);
    assert!(
        first.stdout.ends_with(
            "\nSessions that go on: 0; that are revoked: 0\nStatus: valid\nInstalled.\n"
        ),
        "{}",
        first.stdout
    );
    let status = office.run("licensectl", &["status", "--json"]).expect_code(0).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["pid"], server.0.id());
    assert_eq!(status["licenses"][0]["remaining_seconds"], 36_000);
    assert_eq!(status["licenses"][0]["products"][0]["in_use"], 0);
    assert_eq!(office.status(), "valid");
    let before = office.installed();
    let older = office.license().with(|license| license.customer = "Other".parse().unwrap());
    office.install(older.version(2).sign()).expect_failure(77, "can't change its customer");
    office.install("hello").expect_failure(65, "it is not a signed document");
    assert_eq!(office.installed(), before);
    office.install(office.license().version(2).hours(20).sign()).expect_code(0);
    let sessions = office.run("licensectl", &["sessions"]).expect_code(0).stdout;
    assert_eq!(sessions, "No seat is in use.\n");
    let sessions = office.run("licensectl", &["sessions", "--json"]).expect_code(0).stdout;
    assert_eq!(sessions, "{\n  \"sessions\": []\n}\n");
    let release = office.run("licensectl", &["sessions", "release", "7"]);
    release.expect_failure(65, "there is no session 7");
    let denials = office.run("licensectl", &["denials"]).expect_code(0).stdout;
    assert_eq!(denials, "Nobody was refused since the server's start.\n");
    let logs = office.run("licensectl", &["logs"]).expect_code(0).stdout;
    assert!(logs.contains("License server is ready to serve.\n"), "{logs}");
    office.run("licensectl", &["licenses", "remove", ID]).expect_code(0);
    let removed = office.run("licensectl", &["licenses"]).expect_code(0).stdout;
    assert_eq!(removed, "No license is installed.\n");
}

#[test]
fn a_second_server_is_told_who_is_the_first() {
    let office = Office::new();
    let server = Server::start(&office);
    let part = format!("is in use by process {}", server.0.id());
    office.run("licensed", &["--listen", "127.0.0.1:0"]).expect_failure(75, &part);
    // A copy of the home has the same key.
    let copy = Office::new();
    for file in [office.home().identity_key(), office.home().vendor_keys()] {
        std::fs::copy(&file, copy.home().path().join(file.file_name().unwrap())).unwrap();
    }
    let part = format!("served on this host already, by process {}", server.0.id());
    copy.run("licensed", &["--listen", "127.0.0.1:0"]).expect_failure(75, &part);
}

#[test]
fn status_asks_for_attention_when_hours_run_out() {
    let office = Office::with_license(|license| license.hours(100));
    let attention = |used_ms| {
        use_hours(&office, 1, used_ms);
        let server = Server::start(&office);
        let status = office.run("licensectl", &["status"]).expect_code(0).stdout;
        drop(server);
        let lines = status.lines().filter(|line| line.starts_with("Attention: "));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(attention(90 * HOUR_MS), "");
    let low = format!("Attention: License {ID} has 9.9 of 100 hour(s) of run time left; at zero");
    assert!(attention(90 * HOUR_MS + SECOND_MS).starts_with(&low));
    // What runs still is never said to have nothing left.
    let last = format!("Attention: License {ID} has 0.1 of 100 hour(s) of run time left; at zero");
    assert!(attention(100 * HOUR_MS - 20 * SECOND_MS).starts_with(&last));
    let ended = format!("Attention: License {ID} version 1 is not valid: hours-exhausted: ");
    assert!(attention(100 * HOUR_MS).starts_with(&ended));
}
