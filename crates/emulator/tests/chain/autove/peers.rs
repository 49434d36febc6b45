//! Two peers of one vendor and customer, each with an AutoVE license, and hosts that know both.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;
use ve_testbed::{LicenseBuilder, Server, Vendor, install, vendor, wait};

use crate::{
    host::Host,
    pair::{BACKUP_ID, PRIMARY_ID},
    site::{patient, seats},
    vm::Vm,
};

/// Two peers; emulators know the first as their primary server.
pub(super) struct Peers {
    pub(super) one: Server,
    pub(super) other: Server,
    pub(super) vendor: Vendor,
    /// Removed last, when all that lives in it is gone.
    folder: TempDir,
}

/// What a registry knows of a host: what was decided, not what was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) host: String,
    pub(super) home: String,
    retired: bool,
    registered: String,
}

impl Peers {
    /// Two that know each other, with instances for so many hosts.
    pub(super) fn new(instances: [u32; 2]) -> Self {
        Self::with(instances, |license| license)
    }

    /// The same, where `edit` has changed the first one's license.
    pub(super) fn with(
        instances: [u32; 2],
        edit: impl for<'a> Fn(LicenseBuilder<'a>) -> LicenseBuilder<'a>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let vendor = vendor(&folder.path().join("vendor"));
        let homes = ["one", "other"].map(|name| folder.path().join(name));
        for ((home, id), instances) in homes.iter().zip([PRIMARY_ID, BACKUP_ID]).zip(instances) {
            install(&vendor, home, |license| {
                let license = patient(license).id(id).autove(instances);
                if id == PRIMARY_ID { edit(license) } else { license }
            });
        }
        // Each must know the other's port, which comes with the first start.
        let [mut one, mut other] = homes.each_ref().map(|home| Server::start(home));
        one.kill();
        other.kill();
        for (server, peer) in [(&one, &other), (&other, &one)] {
            let config = format!("[peer]\naddress = \"{}\"\n", peer.address());
            fs::write(server.home().join("config.toml"), config).expect("written");
        }
        one.restart();
        other.restart();
        let peers = Self { one, other, vendor, folder };
        peers.are_in_step();
        peers
    }

    /// A computer that nobody knows yet.
    pub(super) fn host(&self, name: &str) -> Host {
        let folder = self.folder.path().join(name);
        Host::new(&folder, self.vendor.public_file(), &self.one.address())
    }

    /// The VM with both servers in its file; a server that is preferred is probed every second.
    pub(super) fn knows(&self, vm: Vm) -> Vm {
        let backup = format!("backup_server = \"{}\"", self.other.address());
        vm.license(&backup).license("primary_probe = \"1s\"")
    }

    /// Makes the host one that is at home with the second server.
    pub(super) fn register_at_other(&self, host: &Host) {
        host.ends_with(&Vm::script("first", "exit 0").at(&self.other.address()), 0);
    }

    /// Waits until both have all that the other one has.
    #[track_caller]
    pub(super) fn are_in_step(&self) {
        for server in [&self.one, &self.other] {
            wait::until(format_args!("{} in step", server.home().display()), || {
                let peers = server.list("peers");
                (peers.first()?["state"] == "in-step").then_some(())
            });
        }
    }

    /// Waits until both know the same of so many hosts; what that is.
    #[track_caller]
    pub(super) fn registries_are_equal(&self, hosts: usize) -> Vec<Entry> {
        let look = || {
            let [one, other] = [&self.one, &self.other].map(registry);
            (one == other && one.len() == hosts).then_some(one)
        };
        wait::try_until(look).unwrap_or_else(|| {
            let [one, other] = [&self.one, &self.other].map(registry);
            panic!("not {hosts} equal hosts: {one:#?} and {other:#?}")
        })
    }
}

/// What a server's registry knows, in the order of the hosts' keys.
#[track_caller]
pub(super) fn registry(server: &Server) -> Vec<Entry> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let entry = |host: &Value| Entry {
        host: text(&host["host"]),
        home: text(&host["home"]),
        retired: host["retired"].as_bool().expect("retired or not"),
        registered: text(&host["registered"]),
    };
    let mut entries: Vec<Entry> = server.list("instances").iter().map(entry).collect();
    entries.sort();
    entries
}

/// Waits until this is what a server says of its only host: `served`, `guest`, or `elsewhere`.
#[track_caller]
pub(super) fn stands_as(server: &Server, expected: &str) {
    let look = || {
        let instances = server.list("instances");
        let [host] = instances.as_slice() else { return None };
        (host["standing"] == expected).then_some(())
    };
    let found = wait::try_until(look);
    assert!(found.is_some(), "not one host that is {expected} but {:#?}", server.list("instances"));
}

/// Waits until a server's sessions are those of these emulators.
#[track_caller]
pub(super) fn seats_become(server: &Server, expected: &[&str]) {
    let home = server.home().display();
    wait::until(format_args!("the sessions {expected:?} in {home}"), || {
        (seats(server) == expected).then_some(())
    });
}

/// Where a host keeps its receipts, and those that are there.
pub(super) fn receipts(host: &Host) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.file("state/receipts")).into_iter().flatten();
    let files = entries.map(|entry| entry.expect("an entry").path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "jwt")).collect()
}

/// Waits until the host has a receipt; its file.
#[track_caller]
pub(super) fn receipt(host: &Host) -> PathBuf {
    wait::until("a receipt", || receipts(host).pop())
}

/// Deletes a server's registry and all copies of it, as an accident would. It must not run.
pub(super) fn lose_registry(home: &Path) {
    for name in ["instances.db", "instances.db-wal", "instances.db-shm"] {
        // The last two may not be there.
        let _ = fs::remove_file(home.join(name));
    }
    let _ = fs::remove_dir_all(home.join("snapshots"));
    assert!(!home.join("instances.db").exists(), "it is gone");
}
