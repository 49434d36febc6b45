//! Hosts that may be missing: a registry that was lost or put back to an old copy forgets who has an
//! instance. Until it is whole again, newcomers leave room for them.
//!
//! The ledger is the second witness: it remembers how many hosts were at home here.

use alloc::{collections::BTreeMap, vec};

use super::Node;
use crate::{
    id::{HostKey, LicenseId},
    node::{
        append::Waiting,
        event::{Event, Remembered},
        io::Note,
    },
    registry::RememberedHosts,
    time::{Elapsed, Now},
};

/// What is known of hosts that the registry lacks.
#[derive(Debug)]
pub(super) struct Missing {
    /// How many hosts were at home with each license, by the ledger.
    marks: BTreeMap<LicenseId, u64>,
    /// How many marks are on their way to the ledger.
    writing: usize,
    /// The served license, if hosts of it may be missing.
    lacking: Option<LicenseId>,
    /// How many hosts it would have if none were missing: those that the ledger knew, and the
    /// newcomers since, who are none of them.
    whole: u64,
    /// Whether the file was lost, or an old copy put back.
    file_may_lack: bool,
    /// Since when they could have come back, in this process.
    since: Option<Elapsed>,
    noted: bool,
}

impl Missing {
    pub(super) fn new(remembered: &Remembered, remembered_hosts: &RememberedHosts) -> Self {
        Self {
            marks: remembered.homed.clone(),
            writing: 0,
            lacking: None,
            whole: 0,
            file_may_lack: remembered_hosts.may_lack_hosts,
            since: None,
            noted: false,
        }
    }

    fn mark(&self, license: &LicenseId) -> u64 {
        self.marks.get(license).copied().unwrap_or(0)
    }

    /// How many instances are kept for hosts that are missing, when so many are at home.
    pub(super) fn kept(&self, homed: u64) -> u64 {
        if self.lacking.is_some() { self.whole.saturating_sub(homed) } else { 0 }
    }

    /// A newcomer is registered.
    pub(super) fn count_newcomer(&mut self) {
        self.whole = self.whole.saturating_add(1);
    }

    /// A host is retired that may be one of those that are missing, or would be.
    pub(super) fn count_retired(&mut self, home: &LicenseId) {
        if self.lacking.as_ref() == Some(home) {
            self.whole = self.whole.saturating_sub(1);
        }
    }

    /// A newcomer was not registered after all.
    pub(super) fn discount_newcomer(&mut self) {
        self.whole = self.whole.saturating_sub(1);
    }
}

impl Node {
    /// A license is served from now on.
    pub(super) fn look_for_missing(&mut self) {
        let own = self.hosts.own.clone();
        let homed = own.as_ref().map_or(0, |own| self.hosts.registry.homed(own) as u64);
        let missing = &mut self.hosts.missing;
        missing.whole = own.as_ref().map_or(0, |own| missing.mark(own));
        missing.lacking = own.filter(|own| missing.file_may_lack || missing.mark(own) > homed);
    }

    /// Hosts that run come back at once, and those that are switched off have as long as the license's
    /// grace period: after that, instances are kept for no one.
    pub(super) fn end_missing(&mut self, now: Now) {
        let since = *self.hosts.missing.since.get_or_insert(now.elapsed);
        let patience_ms = self.own_autove().map_or(u64::MAX, |own| own.grace_ms);
        if self.ready && now.elapsed.since_ms(since) >= patience_ms {
            self.hosts.missing.whole = 0;
        }
        self.judge_missing();
    }

    /// Whether the registry is whole again: it has as many hosts as it had. A peer in step is no proof
    /// of that: it may have lost its registry as well.
    pub(super) fn judge_missing(&mut self) {
        let Some(license) = self.hosts.missing.lacking.clone() else { return };
        let homed = self.hosts.registry.homed(&license) as u64;
        let kept = self.hosts.missing.kept(homed);
        if kept == 0 {
            let missing = &mut self.hosts.missing;
            (missing.lacking, missing.file_may_lack) = (None, false);
            if core::mem::take(&mut missing.noted) {
                self.note(Note::HostsKnown);
            }
        } else if self.ready && !core::mem::replace(&mut self.hosts.missing.noted, true) {
            self.note(Note::HostsUnknown { kept });
        }
    }

    /// Writes down how many hosts are at home, if that has changed.
    pub(super) fn write_homed(&mut self, now: Now) {
        let event = self.homed_now().filter(|_| self.ready && self.hosts.missing.writing == 0);
        if let Some(event) = event {
            self.commit(now, vec![event], Waiting::NoOne);
        }
    }

    /// How many hosts are at home, if the ledger doesn't know that yet. It stands beside every
    /// registration there: a registry that is lost the moment after must be missed.
    pub(in crate::node) fn homed_now(&self) -> Option<Event> {
        let home = self.hosts.own.clone()?;
        let homed = self.hosts.registry.homed(&home) as u64;
        let missing = &self.hosts.missing;
        // What is missing counts until it is found.
        let count = if missing.lacking.is_some() { homed.max(missing.whole) } else { homed };
        (count != missing.mark(&home)).then_some(Event::HostsHomed { home, count })
    }

    /// The mark without a host that is about to be retired. It goes down first: a crash in between
    /// must not leave an instance kept for a host that never comes.
    pub(super) fn homed_without_one(&self, host: HostKey) -> Option<Event> {
        let own = self.hosts.own.clone().filter(|_| self.hosts.missing.lacking.is_none())?;
        self.hosts.registry.find(host).filter(|entry| entry.is_active() && entry.home == own)?;
        let count = (self.hosts.registry.homed(&own) as u64).saturating_sub(1);
        Some(Event::HostsHomed { home: own, count })
    }

    pub(in crate::node) fn homed_decided(&mut self) {
        self.hosts.missing.writing += 1;
    }

    /// A mark is in the ledger (`count`), or not.
    pub(in crate::node) fn homed_written(&mut self, home: LicenseId, count: Option<u64>) {
        let missing = &mut self.hosts.missing;
        missing.writing = missing.writing.saturating_sub(1);
        if let Some(count) = count {
            missing.marks.insert(home, count);
        }
    }
}
