//! A hundred thousand hosts through the administrator's tools.

use std::{fmt::Write as _, fs};

use ve_testbed::Server;

use super::pair::{FIRST, Site, licensectl};

const HOSTS: usize = 100_000;

fn said(server: &Server, arguments: &[&str]) -> String {
    let (ended, out, err) = licensectl(server.home(), arguments);
    assert_eq!(ended, Some(0), "{arguments:?}: {err}");
    out
}

/// Two long lists must be the same; the first line that differs, if one does.
#[track_caller]
fn assert_same(shown: &str, expected: &str, what: &str) {
    let mut lines = expected.lines().zip(shown.lines());
    let differs = lines.find(|(one, other)| one != other);
    assert!(shown == expected, "{what}: {} bytes for {}: {differs:?}", shown.len(), expected.len());
}

/// The list of all hosts as an export has it.
fn csv() -> String {
    let mut text = "host,home,state,name,platform,address,last_seen,registered,revision,\
                    identity_platform,identity_id\n"
        .to_owned();
    for number in 1..=HOSTS {
        writeln!(
            text,
            "{number:064x},{FIRST},active,host-{number},kvm,192.0.2.1:4000,2026-01-01 \
             00:00:00,2025-01-01 00:00:00,{},,",
            1 + number % 3
        )
        .expect("a String grows");
    }
    text
}

#[test]
fn a_hundred_thousand_hosts_are_imported_listed_exported_and_kept() {
    let site = Site::new();
    let path = |name: &str| site.path(name).to_str().expect("a plain name").to_owned();
    let server = |name: &str| site.server(name, "", |license| license.id(FIRST).autove(200_000));
    let expected = csv();
    fs::write(path("fleet.csv"), &expected).expect("a file");
    let mut one = server("one");
    let message = said(&one, &["instances", "import", &path("fleet.csv")]);
    assert!(message.contains(&HOSTS.to_string()), "{message}");
    said(&one, &["instances", "export", &path("fleet.json")]);
    one.kill();
    assert_same(&said(&one, &["instances", "--csv"]), &expected, "it is durable");

    let other = server("other");
    said(&other, &["instances", "import", &path("fleet.json")]);
    said(&other, &["instances", "export", &path("again.csv")]);
    let again = fs::read_to_string(path("again.csv")).expect("an export");
    assert_same(&again, &expected, "by way of JSON");
}
