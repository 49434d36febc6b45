//! Two servers, each with a registry and a ledger of its own, and links between them that a story
//! can slow down and cut.

mod license;
mod pair;
mod side;
mod store;

pub(crate) use license::{AutoVe, License, autove, general};
pub(crate) use pair::{HERE, Pair, THERE};
pub(crate) use side::{Disk, Side};
pub(crate) use store::Store;

use ve_core::{
    id::HostKey,
    node::peer::PeerMessage,
    registry::{HostEntry, HostState, PlatformIdentity, Seen},
    text::Name,
    time::Utc,
};

/// 2026-03-01 12:00:00.
pub(crate) const WALL_AT_START: Utc = Utc(1_772_366_400);

/// A name that is known to be one.
pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The key of a host.
pub(crate) fn host(number: u16) -> HostKey {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    HostKey(key)
}

/// A host that was registered with a license a while ago.
pub(crate) fn entry(number: u16, home: AutoVe) -> HostEntry {
    HostEntry {
        host: host(number),
        home: home.id(),
        revision: 1,
        state: HostState::Active,
        registered: WALL_AT_START.plus_seconds(-1_000 + i64::from(number)),
        identity: None,
        seen: Seen {
            at: WALL_AT_START,
            name: name(&format!("host-{number}")),
            platform: None,
            address: name(&format!("10.0.{}.{}:40000", number >> 8, number & 255)),
        },
    }
}

/// The same, with what its provider says who it is.
pub(crate) fn identified(number: u16, home: AutoVe, id: &str) -> HostEntry {
    let platform = ve_core::fingerprint::Platform::AmazonAws;
    HostEntry { identity: Some(PlatformIdentity { platform, id: name(id) }), ..entry(number, home) }
}

/// How many entries a message carries.
pub(crate) fn entries_in(message: &PeerMessage) -> usize {
    match message {
        PeerMessage::Changes { entries, .. } => entries.len(),
        _ => 0,
    }
}
