//! What a ledger remembers of hosts, beside the registry itself: who was retired, and how many there were.

use std::collections::BTreeMap;

use ve_core::{
    id::{HostKey, LicenseId},
    node::event::{Remembered, RetiredHost},
};

/// A ledger's marks of hosts. They are joined, never replaced: a retired host stays retired, and of two
/// counts the higher one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostMarks {
    /// The hosts that were retired.
    pub retired: BTreeMap<HostKey, RetiredHost>,
    /// How many hosts were at home with each license.
    pub homed: BTreeMap<LicenseId, u64>,
}

impl HostMarks {
    /// The marks in what a ledger remembers.
    pub fn of(remembered: &Remembered) -> Self {
        Self { retired: remembered.retired_hosts.clone(), homed: remembered.homed.clone() }
    }

    /// Whether no host was ever marked.
    pub fn is_empty(&self) -> bool {
        self.retired.is_empty() && self.homed.is_empty()
    }

    /// Takes over what `other` has and this has not, and every higher count.
    pub fn join(&mut self, other: Self) {
        for (host, retired) in other.retired {
            self.retired.entry(host).or_insert(retired);
        }
        for (home, count) in other.homed {
            let known = self.homed.entry(home).or_default();
            *known = count.max(*known);
        }
    }
}
