//! What is said about AutoVE hosts and the peer.

use serde::{Deserialize, Serialize};
use ve_core::{
    fingerprint::Platform,
    id::{HostKey, LicenseId},
    reason::ReasonCode,
    registry::HostState,
    text::Name,
    time::Utc,
};

/// The most hosts of one answer: few enough that nobody waits for the node meanwhile.
pub const MAX_HOSTS_PER_PAGE: usize = 1_000;

/// The longest line of an import that follows its request, in bytes: one host's entry.
pub const MAX_ENTRY_BYTES: usize = 4_096;

/// A part of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    /// In the order of their keys; at most [`MAX_HOSTS_PER_PAGE`] in one answer.
    pub instances: Vec<HostReport>,
    /// After which host the next part begins; `None`: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<HostKey>,
}

/// One registered host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// The digest of its key.
    pub host: HostKey,
    /// The license whose instance it takes.
    pub home: LicenseId,
    /// What has become of it.
    pub state: HostState,
    /// Whether it was retired.
    pub retired: bool,
    /// What it is to this server now: `served`, `unserved` (there are more hosts than instances),
    /// `guest`, `elsewhere` (at home at the peer, with an instance there), `moved` or `retired`; its
    /// state when no server runs.
    pub standing: String,
    /// How many emulators it runs here; `None` when no server runs.
    pub emulators: Option<u32>,
    /// How many it runs at the peer, while that is in contact; `None` when no server runs.
    pub emulators_at_peer: Option<u32>,
    /// Its name.
    pub name: Name,
    /// The kind of machine.
    pub platform: Option<Platform>,
    /// From where it was seen last, `address:port`.
    pub address: Name,
    /// When it was seen last (UTC, seconds since 1970).
    pub last_seen: Utc,
    /// When it was registered (UTC, seconds since 1970).
    pub registered: Utc,
    /// How many decisions there were about it.
    pub revision: u64,
    /// Who says who it is.
    pub identity_platform: Option<Platform>,
    /// Who it is to its provider.
    pub identity_id: Option<Name>,
}

/// How the instances of the AutoVE license are used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityReport {
    /// The license.
    pub license_id: LicenseId,
    /// How many hosts it allows.
    pub instances: u32,
    /// How many hosts are at home here.
    pub homed: u64,
    /// How many guests are served here.
    pub guests: u64,
    /// How many instances are kept for hosts that may be missing.
    pub kept: u64,
}

/// The peers: one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReports {
    /// None when no peer is configured and none ever came.
    pub peers: Vec<PeerReport>,
}

/// The peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReport {
    /// Its license, as known from now or from before.
    pub license_id: Option<LicenseId>,
    /// `connecting`, `refused`, `unreachable`, `catching-up` or `in-step`.
    pub state: String,
    /// Why what is configured can't be reached or is no peer; also beside a peer that is there, because
    /// it has dialed.
    pub why: Option<String>,
    /// Where the configuration says that it is.
    #[serde(default)]
    pub configured: Option<String>,
    /// Where it is, `address:port`, while it is in contact.
    pub address: Option<String>,
    /// Since when there is contact (UTC, seconds since 1970).
    pub since: Option<Utc>,
    /// How many links there are.
    pub links: usize,
    /// How many instances its license has.
    pub instances: Option<u32>,
    /// How many hosts are at home there, as this registry has it; `None`: it was never seen.
    pub homed: Option<u64>,
    /// How many guests it has, while it is in contact.
    pub guests: Option<u64>,
    /// Whether it serves, while it is in contact.
    pub serves: Option<bool>,
    /// Why it does not.
    pub reason: Option<ReasonCode>,
    /// How many changes this server lacks at most; `None`: not known, as without contact.
    pub behind_changes: Option<u64>,
    /// For how many seconds it has lacked some.
    pub behind_seconds: Option<u64>,
    /// How many changes the peer lacks at most; `None`: not known, as without contact.
    pub ahead_changes: Option<u64>,
    /// For how many seconds it has lacked some.
    pub ahead_seconds: Option<u64>,
    /// How many hosts would have no instance if the peer failed; `None`: not known.
    pub missing_here: Option<u64>,
    /// How many would have none if this server failed; `None`: not known.
    pub missing_there: Option<u64>,
    /// How many hosts have none now, because the peer is gone or doesn't serve; `None` while it serves.
    #[serde(default)]
    pub without_instance: Option<u64>,
}
