//! A start that waits for its server, and is called off.

use std::net::TcpListener;

use crate::{host::Host, site::Site, vm::Vm};

/// Waits for its server longer than any test.
fn waiting(name: &str) -> Vm {
    Vm::polite(name).license("start_wait = \"1h\"")
}

#[test]
fn a_request_ends_it_while_a_server_says_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let vendor = ve_testbed::vendor(&folder.path().join("vendor"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let host = Host::new(&folder.path().join("host"), vendor.public_file(), &address);
    let emulator = host.run(&waiting("guest"));
    let (silent, _) = listener.accept().expect("it connects");
    emulator.terminate();
    let ended = emulator.ends_with(0);
    assert!(!ended.screen.contains("ready"), "the guest was never started");
    drop(silent);
}

#[test]
fn a_request_ends_it_between_two_tries() {
    let mut site = Site::new(|license| license);
    site.server.kill();
    let mut emulator = site.host.run(&waiting("guest"));
    emulator.logs("ERROR VE Failed to connect with the license server!");
    emulator.terminate();
    let ended = emulator.ends_with(0);
    assert!(!ended.log.contains("unavailable"), "{}", ended.log);
}

#[test]
fn a_server_that_comes_later_is_found() {
    let mut site = Site::new(|license| license);
    site.server.kill();
    let mut emulator = site.host.run(&waiting("guest"));
    emulator.logs("ERROR VE Failed to connect with the license server!");
    site.server.restart();
    emulator.shows("ready");
    assert_eq!(site.seats(), ["guest"]);
}
