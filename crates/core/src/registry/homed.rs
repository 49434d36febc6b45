//! The hosts of one license, the oldest registration first, and which of them have an instance.

use alloc::collections::BTreeSet;

use crate::{id::HostKey, time::Utc};

/// A host's age: the earlier it was registered, the older it is.
pub(super) type Age = (Utc, HostKey);

/// The active hosts of one license, cut where its instances end. The cut moves with every change, a
/// step at a time, so that it costs nothing to ask on which side of it a host is.
#[derive(Debug)]
pub(super) struct Homed {
    /// The oldest, at most `limit`.
    within: BTreeSet<Age>,
    /// All that are younger; empty unless `within` is full.
    beyond: BTreeSet<Age>,
    limit: usize,
}

impl Default for Homed {
    fn default() -> Self {
        Self { within: BTreeSet::new(), beyond: BTreeSet::new(), limit: usize::MAX }
    }
}

impl Homed {
    pub(super) fn len(&self) -> usize {
        self.within.len() + self.beyond.len()
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_idle(&self) -> bool {
        self.len() == 0 && self.limit == usize::MAX
    }

    pub(super) fn insert(&mut self, age: Age) {
        self.within.insert(age);
        self.settle();
        // It may be older than one beyond the cut, or younger.
        if let (Some(youngest), Some(oldest)) = (self.within.last(), self.beyond.first())
            && youngest > oldest
        {
            let (youngest, oldest) = (*youngest, *oldest);
            self.within.remove(&youngest);
            self.beyond.remove(&oldest);
            self.within.insert(oldest);
            self.beyond.insert(youngest);
        }
    }

    pub(super) fn remove(&mut self, age: Age) {
        if !self.within.remove(&age) {
            self.beyond.remove(&age);
        }
        self.settle();
    }

    /// Moves the cut: the `limit` oldest are within. Whether any host changed sides by that, each of
    /// which costs a step.
    pub(super) fn set_limit(&mut self, limit: usize) -> bool {
        let before = self.within.len();
        self.limit = limit;
        self.settle();
        self.within.len() != before
    }

    fn settle(&mut self) {
        while self.within.len() > self.limit {
            let Some(youngest) = self.within.pop_last() else { return };
            self.beyond.insert(youngest);
        }
        while self.within.len() < self.limit {
            let Some(oldest) = self.beyond.pop_first() else { return };
            self.within.insert(oldest);
        }
    }

    pub(super) fn is_within(&self, age: Age) -> bool {
        self.within.contains(&age)
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = HostKey> {
        self.within.iter().chain(&self.beyond).map(|(_, host)| *host)
    }
}
