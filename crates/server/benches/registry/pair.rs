//! Two peers, each in a process of its own, and a look into the other's file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use ve_core::{id::HostKey, license::Mode};
use ve_testbed::Server;

use super::seeds;

/// A server that is ready is noticed so soon.
const NOTICED_WITHIN: Duration = Duration::from_millis(20);

/// The licenses of the two.
const LICENSES: [&str; 2] = ["01.00000001.002.044", "01.00000001.002.045"];

/// Two peers. Hosts register with the first one.
pub(crate) struct Pair {
    first: Server,
    other: Option<Server>,
    other_home: PathBuf,
}

impl Pair {
    pub(crate) fn start(folder: &Path, instances: u32) -> Self {
        Self::start_with(folder, instances, 0)
    }

    /// The same, and so many hosts as there are instances are registered with the first one.
    pub(crate) fn start_seeded(folder: &Path, instances: u32) -> Self {
        Self::start_with(folder, instances, instances)
    }

    fn start_with(folder: &Path, instances: u32, seeds: u32) -> Self {
        let vendor = ve_testbed::vendor(&folder.join("vendor"));
        let homes = [folder.join("first"), folder.join("other")];
        for (home, id) in homes.iter().zip(LICENSES) {
            ve_testbed::install(&vendor, home, |license| {
                license.id(id).instances(instances).with(|license| license.mode = Mode::AutoVe)
            });
        }
        let [first_home, other_home] = homes;
        let rules = "[autove]\nregistration_burst = 1000000\nregistrations_per_minute = 1000000\n";
        write_config(&first_home, rules);
        seeds::sow(&first_home, LICENSES[0], seeds);
        let first = Server::start(&first_home);
        write_config(&other_home, &format!("{rules}[peer]\naddress = \"{}\"\n", first.address()));
        let other = Some(Server::start(&other_home));
        Self { first, other, other_home }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.first.address().parse().expect("an address")
    }

    /// The file of the other peer.
    pub(crate) fn other_file(&self) -> PathBuf {
        self.other_home.join("instances.db")
    }

    pub(crate) fn other_registry(&self) -> Registry {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Registry(Connection::open_with_flags(self.other_file(), flags).expect("a registry"))
    }

    /// Waits until the other peer has so many hosts.
    pub(crate) fn wait_until_in_step(&self, hosts: u32) {
        let deadline = Instant::now() + Duration::from_mins(5);
        let registry = self.other_registry();
        // Counting reads the whole file, and would take the time of those that are measured.
        while registry.last() < hosts || registry.count() < hosts {
            assert!(Instant::now() < deadline, "the peers don't get in step");
            sleep(Duration::from_millis(1));
        }
    }

    /// Kills the other peer and removes all that it has of the registry.
    pub(crate) fn lose_the_other(&mut self) {
        self.other.as_mut().expect("it runs").kill();
        for name in ["instances.db", "instances.db-wal", "instances.db-shm"] {
            // Not all of them are always there.
            let _ = fs::remove_file(self.other_home.join(name));
        }
        let _ = fs::remove_dir_all(self.other_home.join("snapshots"));
    }

    /// Starts it again; the moment in which it was ready, or one before it.
    pub(crate) fn restart_the_other(&mut self) -> Instant {
        self.other.as_mut().expect("it was started").restart();
        Instant::now().checked_sub(NOTICED_WITHIN).expect("the machine runs for longer")
    }
}

fn write_config(home: &Path, text: &str) {
    fs::write(home.join("config.toml"), text).expect("a configuration");
}

/// A look at a server's registry.
pub(crate) struct Registry(Connection);

impl Registry {
    /// Whether a host is among the latest changes.
    pub(crate) fn has(&self, host: HostKey) -> bool {
        let sql = "SELECT 1 FROM (SELECT host FROM hosts ORDER BY number DESC LIMIT 8)
                   WHERE host = ?1";
        let mut statement = self.0.prepare_cached(sql).expect("a table");
        statement.exists([host.to_string()]).expect("a row or none")
    }

    /// The number of the last change: at least as high as there are hosts.
    fn last(&self) -> u32 {
        let sql = "SELECT max(number) FROM hosts";
        let mut statement = self.0.prepare_cached(sql).expect("a table");
        let last: Option<u32> =
            statement.query_row([], |row| row.get(0)).expect("a number or none");
        last.unwrap_or(0)
    }

    fn count(&self) -> u32 {
        let sql = "SELECT count(*) FROM hosts";
        self.0.query_row(sql, [], |row| row.get(0)).expect("a number")
    }
}
