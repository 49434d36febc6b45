//! Entries to write, and a place for a registry.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use ve_core::{
    fingerprint::Platform,
    id::{HostKey, LicenseId, ServerKey, SpanId},
    node::event::Remembered,
    registry::{
        Batch, HostEntry, HostState, KnownPeer, PlatformIdentity, Position, RememberedHosts, Seen,
    },
    time::Utc,
};
use ve_store::{EmbeddedHosts, HostStore, HostsReadOnly, HostsStart, LoadError, OpenedHosts};

use crate::events::{license, name};

pub(crate) const NOW: Utc = Utc(1_763_842_083);
pub(crate) const OURS: ServerKey = ServerKey([1; 32]);

/// A folder with a registry's place in it.
pub(crate) struct Place {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let temporary = TempDir::new().expect("a temporary folder");
        Self { folder: temporary.path().to_path_buf(), _temporary: Some(temporary) }
    }

    /// A folder that is somebody else's.
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), _temporary: None }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.file("instances.db")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.file("instances.db-wal")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.file("snapshots")
    }

    /// A start of the server, with a ledger that remembers this.
    pub(crate) fn try_start(
        &self,
        number: u8,
        server_key: ServerKey,
        ledger: &Remembered,
    ) -> Result<OpenedHosts, LoadError> {
        let snapshots = self.snapshots();
        let start = HostsStart {
            server_key: Some(server_key),
            span: span(number),
            snapshots: &snapshots,
            ledger,
            now: NOW,
        };
        EmbeddedHosts::open_for_service(&self.instances(), start)
    }

    pub(crate) fn start_with(&self, number: u8, ledger: &Remembered) -> OpenedHosts {
        self.try_start(number, OURS, ledger).expect("a registry")
    }

    pub(crate) fn start(&self, number: u8) -> EmbeddedHosts {
        self.start_with(number, &Remembered::default()).store
    }

    /// What a tool reads; there is a registry.
    pub(crate) fn read(&self) -> RememberedHosts {
        let mut reader = HostsReadOnly::open(&self.instances()).expect("a reader");
        reader.remember().expect("a sound registry").expect("a registry")
    }
}

/// A ledger that remembers so many hosts at home with license 1.
pub(crate) fn homed(count: u64) -> Remembered {
    Remembered { homed: [(license(1), count)].into(), ..Remembered::default() }
}

pub(crate) fn span(number: u8) -> SpanId {
    SpanId([number; 16])
}

pub(crate) fn home() -> LicenseId {
    license(1)
}

pub(crate) fn key(number: u64) -> HostKey {
    let mut key = [0x5a; 32];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    HostKey(key)
}

/// The entry of the host with that number.
pub(crate) fn entry(number: u64) -> HostEntry {
    HostEntry {
        host: key(number),
        home: home(),
        revision: 1,
        state: HostState::Active,
        registered: Utc(1_750_000_000),
        identity: Some(PlatformIdentity {
            platform: Platform::AmazonAws,
            id: name(&format!("123456789012/eu-central-1/i-{number:017x}")),
        }),
        seen: Seen {
            at: Utc(1_750_000_000),
            name: name("zürich \"1\""),
            platform: Some(Platform::AmazonAws),
            address: name("192.0.2.17:40000"),
        },
    }
}

pub(crate) fn retired(number: u64) -> HostEntry {
    HostEntry { revision: 2, state: HostState::Retired, ..entry(number) }
}

/// Each change a batch of its own entry.
pub(crate) fn batch(entries: impl IntoIterator<Item = (u64, HostEntry)>) -> Batch {
    Batch { entries: entries.into_iter().collect(), ..Batch::default() }
}

/// Changes `numbers`, each of the host with the same number.
pub(crate) fn fresh(numbers: impl IntoIterator<Item = u64>) -> Batch {
    batch(numbers.into_iter().map(|number| (number, entry(number))))
}

pub(crate) fn pulled(number: u64) -> Position {
    Position { span: span(99), number }
}

pub(crate) fn peer(instances: u32) -> KnownPeer {
    KnownPeer { license_id: license(2), instances }
}

/// The hosts' numbers of change, in order.
pub(crate) fn numbers(hosts: &RememberedHosts) -> Vec<u64> {
    hosts.entries.iter().map(|(number, _)| *number).collect()
}

pub(crate) fn written(store: &mut impl HostStore, batches: &[Batch]) {
    let batches: Vec<&Batch> = batches.iter().collect();
    store.write(&batches).expect("durable");
}
