//! Hosts that were registered before the server's start.

use std::path::Path;

use ve_core::{
    id::{HostKey, SpanId},
    node::event::Remembered,
    registry::{Batch, HostEntry, HostState, Seen},
    time::Utc,
};
use ve_store::{EmbeddedHosts, HostStore, HostsStart};
use ve_wire::random_bytes;

/// When the first of them was registered; each of the others a second later.
const FIRST: i64 = 1_700_000_000;

/// Writes so many hosts into the registry of a server that doesn't run; none makes no registry.
pub(crate) fn sow(home: &Path, license: &str, count: u32) {
    if count == 0 {
        return;
    }
    let start = HostsStart {
        server_key: None,
        span: SpanId(random_bytes()),
        snapshots: &home.join("snapshots"),
        ledger: &Remembered::default(),
        now: Utc(FIRST),
    };
    let opened = EmbeddedHosts::open_for_service(&home.join("instances.db"), start);
    let mut store = opened.expect("a registry").store;
    let entries = (0..count).map(|number| (u64::from(number) + 1, entry(license, number)));
    let batch = Batch { entries: entries.collect(), ..Batch::default() };
    store.write(&[&batch]).expect("room");
    store.close().expect("a disk");
}

/// As long as the entry of a host that has registered itself here.
fn entry(license: &str, number: u32) -> HostEntry {
    let host = HostKey(random_bytes());
    let name = |text: String| text.parse().expect("a name");
    HostEntry {
        host,
        home: license.parse().expect("a license ID"),
        revision: 1,
        state: HostState::Active,
        registered: Utc(FIRST + i64::from(number)),
        identity: None,
        seen: Seen {
            at: Utc(FIRST + i64::from(number)),
            name: name(format!("host-{host}").chars().take(20).collect()),
            platform: "kvm".parse().ok(),
            address: name(format!("127.0.0.1:{}", 32_768 + number % 28_000)),
        },
    }
}
