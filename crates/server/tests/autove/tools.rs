//! The administrator's lists, and what he does with them.

use std::fs;

use ve_core::registry::HostState;
use ve_testbed::{Server, wait};

use super::{
    healing::{ledger_counts, lose},
    hosts::Machine,
    pair::{FIRST, SECOND, Site, address, has_rows, licensectl, rows},
};

fn said(server: &Server, arguments: &[&str], code: i32) -> String {
    let (ended, out, err) = licensectl(server.home(), arguments);
    assert_eq!(ended, Some(code), "{arguments:?}: {out}{err}");
    out + &err
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_retired_by_key_prefix_or_name_and_its_emulators_end() {
    let site = Site::new();
    let (one, other) = site.pair(3, 3);
    let mut hosts = [Machine::new("by-name"), Machine::new("by-prefix"), Machine::new("twin")];
    let mut running = Vec::new();
    for host in &mut hosts {
        running.push(host.runs(address(&one)).await);
    }
    let mut twin = Machine::new("twin");
    let _twin = twin.runs(address(&other)).await;
    wait::until("four hosts", || (rows(&one).len() == 4).then_some(()));
    let (all_zeros, too_long) = ("0".repeat(64), format!("{}0", hosts[0].key()));
    for (named, part) in [
        ("nobody", "no host is called"),
        ("twin", "2 hosts are called"),
        ("abc", "needs at least 8 digits"),
        ("ffffffff", "no host is called"),
        (all_zeros.as_str(), "no host is called"),
        (too_long.as_str(), "no host is called"),
    ] {
        let message = said(&one, &["instances", "retire", named], 65);
        assert!(message.contains(part), "{message}");
    }
    let message = said(&one, &["instances", "retire", "by-name"], 0);
    let named = format!("Host by-name ({}) is retired", &hosts[0].key()[..12]);
    assert!(message.contains(&named), "{message}");
    assert!(message.contains("1 emulator that ran here will end. The peer is being"), "{message}");
    match super::awaited("the revocation", running[0].link.event()).await {
        super::client::Event::Revoked(_, refusal) => {
            assert_eq!(refusal.code.as_str(), "instance-retired");
        }
        event => panic!("{event:?}"),
    }
    // In capitals as well; the whole key names a host that is retired already.
    let prefix = hosts[1].key()[..12].to_uppercase();
    said(&one, &["instances", "retire", &prefix], 0);
    let message = said(&one, &["instances", "retire", "--yes", &hosts[1].key()], 0);
    assert!(message.contains("was retired already"), "{message}");
    let is_retired = |server: &Server, host: &Machine| {
        let row = (host.key(), FIRST.to_owned(), HostState::Retired);
        wait::until("a retirement", || rows(server).contains(&row).then_some(()));
    };
    for server in [&one, &other] {
        is_retired(server, &hosts[0]);
        is_retired(server, &hosts[1]);
    }
    let (code, _) = hosts[0].is_refused(address(&other)).await;
    assert_eq!(code, "instance-retired");
    assert!(other.log().contains("was retired at the peer"), "{}", other.log());
    // Its instance is free, here and only here.
    let mut newcomer = Machine::new("newcomer");
    let _newcomer = newcomer.runs(address(&one)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_imported_elsewhere_and_nothing_by_halves() {
    let site = Site::new();
    let server = site.autove(5);
    let mut hosts = [Machine::new("one, \"quoted\""), Machine::new("two")];
    for host in &mut hosts {
        drop(host.runs(address(&server)).await);
    }
    let expected = rows(&server);
    let path = |name: &str| site.path(name).to_str().expect("a plain name").to_owned();
    for file in [path("hosts.csv"), path("hosts.json")] {
        said(&server, &["instances", "export", &file], 0);
        // A server that never saw them, with the license of the same ID: as after a loss of all.
        let name = format!("again-{}", file.rsplit('.').next().expect("an ending"));
        let again = site.server(&name, "", |license| license.id(FIRST).autove(5));
        let message = said(&again, &["instances", "import", &file], 0);
        assert!(message.contains('2'), "{message}");
        assert_eq!(rows(&again), expected);
        said(&again, &["instances", "import", &file], 0);
        assert_eq!(rows(&again), expected, "a second time changes nothing");
        drop(again);
    }
    let text = fs::read_to_string(path("hosts.csv")).expect("an export");
    assert_eq!(said(&server, &["instances", "--csv"], 0), text);

    let wrong = path("wrong.csv");
    let home = |id: &str| text.replace(FIRST, id);
    for (text, part) in [
        (text.replacen("active", "gone", 1), "line 2: state"),
        (home(""), "line 2: home is empty"),
        (home(SECOND), "line 2: host "),
        (text.replacen("two", "t\u{1b}wo", 1), "name"),
        (text.replace('\n', ",\n"), "line 1"),
    ] {
        fs::write(&wrong, text).expect("a file");
        let message = said(&server, &["instances", "import", &wrong], 65);
        assert!(message.contains(part) && !message.contains('\u{1b}'), "{message}");
        assert!(message.ends_with("; nothing was imported\n"), "{message}");
        assert!(!message.contains("bad-request"), "{message}");
        assert_eq!(rows(&server), expected);
    }
    let message = said(&server, &["instances", "import", &path("none.csv")], 65);
    assert!(message.contains("none.csv"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hosts_are_listed_in_parts_and_kept_across_a_kill() {
    const COUNT: usize = 2_500;
    let site = Site::new();
    let mut server = site.autove(10_000);
    let lines: Vec<String> = (1..=COUNT).map(|number| format!("{number:064x},{FIRST}")).collect();
    let file = site.path("many.csv");
    fs::write(&file, format!("host,home\n{}\n", lines.join("\n"))).expect("a file");
    said(&server, &["instances", "import", file.to_str().expect("a plain name")], 0);
    assert_eq!(rows(&server).len(), COUNT);
    server.kill();
    let out = said(&server, &["instances", "--csv"], 0);
    assert_eq!(out.lines().count(), COUNT + 1);
    server.restart();
    let keys: Vec<String> = rows(&server).into_iter().map(|(key, _, _)| key).collect();
    let expected: Vec<String> = (1..=COUNT).map(|number| format!("{number:064x}")).collect();
    assert_eq!(keys, expected);
}

/// Runs a tool in a server's home: its exit code, and all that it said.
fn tool(server: &Server, name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = ve_testbed::programs::command(name);
    let output = command.arg("--home").arg(server.home()).args(arguments).output();
    let output = output.expect("a tool that runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout) + &text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_license_that_shrinks_says_how_many_hosts_lose_their_instance() {
    let site = Site::new();
    let server = site.autove(3);
    let mut hosts = [Machine::new("first"), Machine::new("second"), Machine::new("third")];
    let mut running = Vec::new();
    for host in &mut hosts {
        running.push(host.runs(address(&server)).await);
    }
    let (c2v, v2c) = (site.path("server.c2v"), site.path("small.v2c"));
    let text = |path: &std::path::Path| path.to_str().expect("a plain name").to_owned();
    assert_eq!(tool(&server, "c2v", &["--filename", &text(&c2v)]).0, Some(0));
    site.vendor.license_for(&c2v).id(FIRST).version(2).autove(1).write(&v2c);
    for mode in [Some("--dry-run"), None] {
        let filename = text(&v2c);
        let arguments = ["--filename", &filename].into_iter().chain(mode);
        let (code, said) = tool(&server, "v2c", &arguments.collect::<Vec<_>>());
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("Hosts that keep an instance: 1; that lose it: 2\n"), "{said}");
        assert!(said.contains("Sessions that go on: 1; that are revoked: 2\n"), "{said}");
    }
    let standings = || server.list("instances").into_iter().map(|host| host["standing"].clone());
    assert_eq!(standings().filter(|standing| standing == "unserved").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_autove_license_is_refused_and_the_first_may_be_replaced() {
    let site = Site::new();
    let server = site.autove(5);
    let mut host = Machine::new("host");
    drop(host.runs(address(&server)).await);
    let c2v = site.path("server.c2v");
    let v2c = site.path("second.v2c");
    let text = |path: &std::path::Path| path.to_str().expect("a plain name").to_owned();
    assert_eq!(tool(&server, "c2v", &["--filename", &text(&c2v)]).0, Some(0));
    site.vendor.license_for(&c2v).id(SECOND).autove(5).write(&v2c);
    let (code, message) = tool(&server, "v2c", &["--filename", &text(&v2c)]);
    assert_eq!(code, Some(77), "{message}");
    assert!(message.contains("one server serves one AutoVE license"), "{message}");
    assert_eq!(licensectl(server.home(), &["licenses", "remove", FIRST]).0, Some(0));
    assert_eq!(tool(&server, "v2c", &["--filename", &text(&v2c)]).0, Some(0));
    has_rows(&server, &[(host.key(), SECOND.to_owned(), HostState::Active)]);
    let _running = host.runs(address(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_must_have_been_there_is_not_called_empty() {
    let site = Site::new();
    let mut server = site.autove(5);
    let mut host = Machine::new("host");
    drop(host.runs(address(&server)).await);
    ledger_counts(&server, 1);
    server.kill();
    let file = site.path("hosts.csv");
    let name = file.to_str().expect("a plain name").to_owned();
    assert!(said(&server, &["instances", "export", &name], 0).starts_with("1 host was written"));
    let exported = fs::read(&file).expect("an export");
    lose(server.home(), true);
    for arguments in [&["instances"][..], &["instances", "--csv"], &["instances", "export", &name]]
    {
        let message = said(&server, arguments, 70);
        assert!(message.contains("instances.db is missing, and there must have been"), "{message}");
    }
    fs::write(server.home().join("instances.db"), "hello").expect("a file in its place");
    let message = said(&server, &["instances"], 70);
    assert!(message.contains("instances.db is damaged; start the server"), "{message}");
    assert_eq!(fs::read(&file).expect("an export"), exported);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autove_license_is_used_by_hosts_whatever_they_run() {
    let site = Site::new();
    let server = site.autove(5);
    let mut hosts = [Machine::new("busy"), Machine::new("other")];
    let _first = hosts[0].runs(address(&server)).await;
    let _second = hosts[0].run(address(&server), "ss10").await.expect("a second emulator");
    let _third = hosts[0].run(address(&server), "ss20").await.expect("a third emulator");
    let _other = hosts[1].runs(address(&server)).await;
    let license = server.list("licenses").remove(0);
    assert_eq!(license["mode"], "autove");
    let product = &license["products"][0];
    assert_eq!((&product["in_use"], &product["emulators"]), (&2.into(), &4.into()), "{product}");
    let shown = server.licensectl(&["licenses"]);
    assert!(shown.contains("Hosts in use  Instances  Emulators"), "{shown}");
    let session = server.list("sessions").remove(0);
    assert_eq!(session["host_key"], hosts[0].key());
    let shown = server.licensectl(&["sessions"]);
    assert!(shown.contains(&hosts[0].key()[..12]), "{shown}");
}
