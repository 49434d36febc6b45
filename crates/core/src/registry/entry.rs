//! What is known of a host, and how two versions of it become one.

use core::{cmp::Reverse, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    fingerprint::Platform,
    id::{HostKey, LicenseId},
    names::closed_names,
    text::Name,
    time::Utc,
};

closed_names! {
    /// What has become of a registration.
    HostState {
        /// The host has its instance.
        Active = "active",
        /// The same machine came back with a new key, and that has its instance now.
        Moved = "moved",
        /// An administrator retired the host; that is for ever.
        Retired = "retired",
    }
}

/// The highest revision that an entry can have; no honest one comes near.
pub const MAX_REVISION: u64 = 1 << 53;

/// A machine as its cloud provider names it, in a document that the provider has signed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlatformIdentity {
    /// Who has signed it.
    pub platform: Platform,
    /// The provider's name for the machine, unique with this provider.
    pub id: Name,
}

/// What was seen of a host last: information, which decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// When, by the clock of the server that saw it.
    pub at: Utc,
    /// The host's name.
    pub name: Name,
    /// The kind of machine that it says it is.
    pub platform: Option<Platform>,
    /// From where, `address:port`.
    pub address: Name,
}

/// A host's entry in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// The host.
    pub host: HostKey,
    /// The license whose instance it takes.
    pub home: LicenseId,
    /// Counts the decisions about this entry, from 1: a later decision beats an earlier one.
    pub revision: u64,
    /// What has become of it.
    pub state: HostState,
    /// When it was registered. Where more hosts are registered than a license has instances, the
    /// oldest are served.
    pub registered: Utc,
    /// What its provider says who it is.
    pub identity: Option<PlatformIdentity>,
    /// What was seen of it last.
    pub seen: Seen,
}

impl HostEntry {
    /// Whether the host has an instance.
    pub fn is_active(&self) -> bool {
        self.state == HostState::Active
    }

    /// One entry from two versions of it: the same, whichever is which, and however often and in
    /// whatever order versions are merged.
    ///
    /// Retired beats everything, so no old copy brings a retired host back. Then the later decision
    /// counts. Two servers that decided at the same time without each other settle on the home with
    /// the smaller license ID.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let decided = if self.rank() >= other.rank() { self } else { other };
        let seen = if self.seen >= other.seen { &self.seen } else { &other.seen };
        Self { seen: seen.clone(), ..decided.clone() }
    }

    /// What decides between two versions; equal only for the same decision.
    fn rank(&self) -> impl Ord + '_ {
        (
            self.state == HostState::Retired,
            self.revision,
            self.state == HostState::Moved,
            Reverse(&self.home),
            Reverse(self.registered),
            &self.identity,
        )
    }
}
