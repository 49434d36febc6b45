//! Homes: when a license of this server was replaced by one with another ID, its hosts go with it.

use alloc::vec::Vec;

use super::{
    Node,
    registering::{Registration, registration_news},
};
use crate::{
    id::{HostKey, LicenseId},
    node::{
        append::Waiting,
        enroll::Then,
        event::{AppendError, RegisteredBy},
        io::Login,
    },
    registry::{HostEntry, entry::MAX_REVISION},
    time::Now,
};

/// How many hosts get another home in one go.
const REHOMED_AT_ONCE: usize = 256;

impl Node {
    /// Whether a license was served here once and is neither installed any more nor the peer's.
    pub(super) fn is_replaced(&self, home: &LicenseId) -> bool {
        let unusable = self.unusable.iter().any(|license| license.id.as_ref() == Some(home));
        self.versions.contains_key(home)
            && !self.licenses.contains_key(home)
            && !unusable
            && self.peers.license_id() != Some(home)
    }

    /// A host whose home neither server has gets one here, if an instance is free: the peer was
    /// replaced by a server with another license, or the host was registered with other servers.
    pub(super) fn new_home(&self, now: Now, host: HostKey, login: &Login) -> Option<Registration> {
        let entry = self.hosts.registry.find(host)?;
        let capacity = self.capacity()?;
        let is_known = entry.home == capacity.license_id
            || self.peers.license_id() == Some(&entry.home)
            || self.is_replaced(&entry.home);
        // Only the peer knows whether that is one of its own licenses.
        if is_known || !self.peers.is_in_step() {
            return None;
        }
        let is_guest = self.hosts.guests.contains(&entry.host);
        let is_free = || capacity.free_for_newcomers() > 0 && self.needs_no_wait(now, host, login);
        if !is_guest && !is_free() {
            return None;
        }
        let by = RegisteredBy::NewLicense { before: entry.home.clone() };
        let revision = entry.revision.saturating_add(1).min(MAX_REVISION);
        let entry = HostEntry { home: capacity.license_id, revision, ..entry.clone() };
        Some(Registration { entries: alloc::vec![entry], by })
    }

    /// Brings the hosts of replaced licenses home to the one that is served, the oldest first. There
    /// may be more than it has instances; then the oldest are served.
    pub(super) fn rehome(&mut self, now: Now) {
        let Some(own) = self.hosts.own.clone().filter(|_| self.ready) else { return };
        if self.hosts.rehoming {
            return;
        }
        let replaced = self.hosts.registry.homes().find(|home| self.is_replaced(home)).cloned();
        let Some(before) = replaced else { return };
        let hosts: Vec<HostKey> =
            self.hosts.registry.homed_at(&before).take(REHOMED_AT_ONCE).collect();
        let mut changes = Vec::new();
        for host in &hosts {
            let Some(entry) = self.hosts.registry.find(*host) else { continue };
            let revision = entry.revision.saturating_add(1).min(MAX_REVISION);
            let entry = HostEntry { home: own.clone(), revision, ..entry.clone() };
            changes.push(self.hosts.registry.put(entry, None));
        }
        self.hosts.rehoming = true;
        self.take_host_news(now);
        self.enroll(changes, None, None, Then::Rehomed(before, hosts));
    }

    /// Hosts have another home, durably, or not: then it is tried again at a review.
    pub(in crate::node) fn rehomed(
        &mut self,
        now: Now,
        before: &LicenseId,
        hosts: &[HostKey],
        outcome: &Result<(), AppendError>,
    ) {
        self.hosts.rehoming = false;
        self.take_host_news(now);
        if outcome.is_err() {
            return;
        }
        let mut events = Vec::new();
        for host in hosts {
            let Some(entry) = self.hosts.registry.find(*host) else { continue };
            let (name, address) = (entry.seen.name.clone(), entry.seen.address.clone());
            let by = RegisteredBy::NewLicense { before: before.clone() };
            let (event, note) = registration_news(*host, name, address, entry.home.clone(), by);
            events.push(event);
            self.note(note);
        }
        self.commit(now, events, Waiting::NoOne);
        self.rehome(now);
    }
}
