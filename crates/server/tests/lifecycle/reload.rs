//! SIGHUP: everything is read anew, and what is wrong changes nothing.

use std::fs;

use rustix::process::Signal;
use ve_core::reason::ReasonCode;

use super::{
    client::{Emulator, Event, Host},
    eventually,
    server::Server,
    site::{Site, path},
};

const ID: &str = "01.00000001.002.044";
const DONE: &str = "INFO MAIN Configuration and licenses were read again.";

/// Sends SIGHUP and waits until it has been done for this time.
async fn reload(server: &Server, times: usize) {
    server.signal(Signal::HUP);
    server.logs_times(DONE, times).await;
}

#[tokio::test]
async fn licenses_that_come_and_go_by_hand_are_taken_up() {
    let site = Site::new();
    let server = site.start().await;
    let host = Host::new();
    let v2c = site.v2c(|license| license).await;
    site.put_license(ID, &v2c);
    assert!(host.connect(server.port()).await.is_err(), "nobody has told the server yet");
    reload(&server, 1).await;
    let mut running = host.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");

    reload(&server, 2).await;
    running.link.check(running.grant.session).await.expect("nothing has changed");
    assert_eq!(running.link.events_so_far(), []);

    fs::remove_file(site.home().join(format!("licenses/{ID}.v2c"))).expect("a license file");
    reload(&server, 3).await;
    match running.link.event().await {
        Event::Revoked(_, refusal) => assert_eq!(refusal.code, ReasonCode::LicenseNotAvailable),
        other => panic!("{other:?}"),
    }
    server.terminate().await;
}

#[tokio::test]
async fn the_log_goes_on_in_a_new_file() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    // Every place of the log has a queue of its own.
    let ready = async || site.log_text().contains("ready to serve").then_some(());
    eventually("the line in the file", ready).await;
    let moved = site.beside("moved.log");
    fs::rename(site.log_file(), &moved).expect("a log");
    reload(&server, 1).await;
    let has_line =
        async || fs::read_to_string(site.log_file()).ok().filter(|text| text.contains(DONE));
    eventually("the new file", has_line).await;
    let old = fs::read_to_string(&moved).expect("the moved log");
    assert!(old.contains("ready to serve") && !old.contains(DONE), "{old}");
    server.terminate().await;
}

#[tokio::test]
async fn a_configuration_that_is_wrong_changes_nothing_and_is_named() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let mut running = Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    let config = site.home().join("config.toml");
    fs::write(&config, "[log]\nkep = 3\n").expect("a file");
    server.signal(Signal::HUP);
    server.logs("INFO MAIN The licenses were read again.").await;
    assert_eq!(server.count(DONE), 0, "{:#?}", server.log());
    let line = server.logs("ERROR MAIN The configuration stays as it was: ").await;
    let expected = format!("{}, line 2: unknown field `kep`", path(&config));
    assert!(line.contains(&expected), "{line}");

    // What takes effect only at the next start is said.
    fs::write(&config, "listen = \"127.0.0.1:9\"\n[log]\nkeep = 3\n").expect("a file");
    reload(&server, 1).await;
    server.logs("WARN MAIN Changes of [log] take effect at the next start.").await;
    running.link.check(running.grant.session).await.expect("nothing has changed");
    assert_eq!(running.link.events_so_far(), []);
    server.terminate().await;
}

#[tokio::test]
async fn another_address_in_the_configuration_waits_for_the_next_start() {
    let site = Site::licensed(|license| license).await;
    let config = site.home().join("config.toml");
    fs::write(&config, "listen = \"127.0.0.1:0\"\n").expect("a file");
    let mut command = tokio::process::Command::from(ve_testbed::programs::command("licensed"));
    command.arg("--home").arg(site.home());
    let server = Server::start(command).await;
    fs::write(&config, "listen = \"127.0.0.2:0\"\n[limits]\nmax_links = 7\n").expect("a file");
    reload(&server, 1).await;
    server.logs("WARN MAIN Changes of listen and [limits] take effect at the next start.").await;
    Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat at the old address");
    server.terminate().await;
}

#[tokio::test]
async fn what_the_system_does_not_let_us_read_takes_no_license_away() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let mut running = Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    let keys = site.home().join("vendor.pub");
    fs::remove_file(&keys).expect("a file");
    fs::create_dir(&keys).expect("a folder in its place");
    reload(&server, 1).await;
    server.logs("ERROR License The licenses stay as they were: ").await;
    running.link.check(running.grant.session).await.expect("still licensed");
    assert_eq!(running.link.events_so_far(), []);
    server.terminate().await;
}
