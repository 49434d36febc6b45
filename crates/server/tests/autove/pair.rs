//! Servers of one customer, each with a license of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;
use ve_core::registry::HostState;
use ve_testbed::{LicenseBuilder, Server, Vendor, install, programs, vendor, wait};

use super::hosts::Row;

/// License IDs of the first and the second server of a pair.
pub(crate) const FIRST: &str = "01.00000001.002.001";
pub(crate) const SECOND: &str = "01.00000001.002.002";

/// A vendor and a folder for homes.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) vendor: Vendor,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let vendor = vendor(&folder.path().join("vendor"));
        Self { folder, vendor }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server with a license, and with this in its configuration.
    #[track_caller]
    pub(crate) fn server(
        &self,
        name: &str,
        config: &str,
        edit: impl for<'a> FnOnce(LicenseBuilder<'a>) -> LicenseBuilder<'a>,
    ) -> Server {
        let home = self.path(name);
        install(&self.vendor, &home, edit);
        configure(&home, config);
        Server::start(&home)
    }

    /// An AutoVE server without a peer.
    #[track_caller]
    pub(crate) fn autove(&self, hosts: u32) -> Server {
        self.server("alone", "", |license| license.id(FIRST).autove(hosts))
    }

    /// Two servers, the second of which dials the first.
    #[track_caller]
    pub(crate) fn pair(&self, first: u32, second: u32) -> (Server, Server) {
        let one = self.server("first", "", |license| license.id(FIRST).autove(first));
        let config = peer_at(&one.address());
        let other = self.server("second", &config, |license| license.id(SECOND).autove(second));
        in_step(&one);
        in_step(&other);
        (one, other)
    }
}

/// Writes a server's configuration.
pub(crate) fn configure(home: &Path, config: &str) {
    fs::write(home.join("config.toml"), config).expect("a configuration");
}

pub(crate) fn peer_at(address: &str) -> String {
    format!("[peer]\naddress = \"{address}\"\n")
}

/// Lets a server read its files again.
pub(crate) fn reload(server: &Server) {
    signal(server, Signal::HUP);
}

pub(crate) fn signal(server: &Server, signal: Signal) {
    let pid = i32::try_from(server.process_id()).expect("a small number");
    kill_process(Pid::from_raw(pid).expect("no process is 0"), signal).expect("a process");
}

pub(crate) fn address(server: &Server) -> SocketAddr {
    server.address().parse().expect("an address")
}

/// The peer, as a server lists it.
pub(crate) fn peer(server: &Server) -> Option<Json> {
    server.list("peers").pop()
}

/// Waits until a server has all that its peer has.
#[track_caller]
pub(crate) fn in_step(server: &Server) {
    peer_is(server, "in-step");
}

/// Waits until the peer is in this state, and gives it.
#[track_caller]
pub(crate) fn peer_is(server: &Server, state: &str) -> Json {
    let what = format!("a peer of {} that is {state}", server.home().display());
    wait::until(what, || peer(server).filter(|peer| peer["state"] == state))
}

/// The hosts that a server lists: key, home, state.
pub(crate) fn rows(server: &Server) -> Vec<Row> {
    let row = |host: Json| {
        let text = |field: &str| host[field].as_str().expect("a text").to_owned();
        let state = serde_json::from_value::<HostState>(host["state"].clone()).expect("a state");
        (text("host"), text("home"), state)
    };
    server.list("instances").into_iter().map(row).collect()
}

/// Waits until a server lists these hosts and no others.
#[track_caller]
pub(crate) fn has_rows(server: &Server, expected: &[Row]) {
    let what = format!("{} hosts at {}", expected.len(), server.home().display());
    wait::until(what, || (rows(server) == expected).then_some(()));
}

/// Runs `licensectl`; how that ended, whatever came of it.
pub(crate) fn licensectl(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = programs::command("licensectl");
    let Output { status, stdout, stderr } =
        command.arg("--home").arg(home).args(arguments).output().expect("a tool that runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}
