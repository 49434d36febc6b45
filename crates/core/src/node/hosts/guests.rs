//! Guests: hosts of another home that are served here on a free instance.
//!
//! While the peer is in contact and serves, its hosts need no instance here: each has its own there. Those
//! for which the peer has none (its license has shrunk) are guests like any other.
//! When contact ends, those that run here take what is free, the longest served first; the rest
//! hears at its next check that there is none.

use alloc::vec::Vec;

use super::Node;
use crate::{
    id::{HostKey, SessionNumber},
    node::sessions::State,
    registry::HostEntry,
};

impl Node {
    /// Whether a host has an instance of the peer at this moment: it is at home there, and among those
    /// that the peer has instances for. The others would be served by the peer's license beyond what
    /// that allows; they can only be guests here.
    pub(super) fn is_carried_by_peer(&self, entry: &HostEntry) -> bool {
        self.hosts.peer_serves.as_ref() == Some(&entry.home)
            && self.hosts.registry.is_among_oldest(entry)
    }

    /// Whether a host needs an instance of ours as a guest to be served here.
    fn is_to_be_guest(&self, host: HostKey) -> bool {
        match self.hosts.registry.find(host).filter(|entry| entry.is_active()) {
            Some(entry) => {
                Some(&entry.home) != self.hosts.own.as_ref() && !self.is_carried_by_peer(entry)
            }
            None => self.lingers(host),
        }
    }

    /// Whether a host that has no instance any more may run on, and the license counts that: its
    /// emulators were promised their seats through their grace periods.
    fn lingers(&self, host: HostKey) -> bool {
        let own = self.hosts.own.as_ref();
        let mut sessions = self.sessions.of_host(host);
        sessions
            .any(|session| Some(&session.record.license_id) == own && session.record.promised_grace)
    }

    pub(super) fn free_instances(&self) -> u64 {
        self.capacity().map_or(0, |capacity| capacity.free())
    }

    /// Gives a host a free instance.
    pub(super) fn take_in(&mut self, host: HostKey) {
        if self.hosts.guests.insert(host) {
            self.settle_limit();
        }
    }

    /// A session is gone, durably: so is its host's instance, if it was a guest's last one.
    pub(in crate::node) fn leave_instance(&mut self, host: HostKey) {
        if self.hosts.guests.contains(&host) && !self.has_sessions(host) {
            self.hosts.guests.remove(&host);
            self.settle_limit();
        }
    }

    /// What guests leave is for those who are at home here.
    fn settle_limit(&mut self) {
        let Some(own) = self.capacity() else { return };
        let limit = u64::from(own.instances).saturating_sub(own.guests);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.hosts.registry.set_limit(&own.license_id, limit);
    }

    /// Takes instances from the newest guests if the license has less than they hold.
    pub(super) fn fit_guests(&mut self) {
        let instances = self.capacity().map_or(0, |capacity| capacity.instances as usize);
        if self.hosts.guests.len() > instances {
            let guests = self.hosts.guests.iter().copied().collect();
            let oldest = self.by_first_session(guests).into_iter().take(instances);
            self.hosts.guests = oldest.collect();
        }
        self.settle_limit();
    }

    /// Those of `hosts` that have sessions here, the one with the oldest first. What is only being
    /// written down as ended counts no more.
    fn by_first_session(&self, hosts: Vec<HostKey>) -> Vec<HostKey> {
        let own = self.hosts.own.as_ref();
        let first = |host: HostKey| {
            let mut sessions = self.sessions.of_host(host);
            let first = sessions.find(|session| {
                Some(&session.record.license_id) == own && session.state != State::Closing
            });
            first.map(|session| (session.record.number, host))
        };
        let mut ordered: Vec<(SessionNumber, HostKey)> =
            hosts.into_iter().filter_map(first).collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(_, host)| host).collect()
    }

    /// Gives instances to hosts of another home that have sessions here, as far as they go. Costs a
    /// step for every host that has sessions.
    pub(super) fn seat_known_guests(&mut self) {
        let hosts = self.sessions.hosts().filter(|host| self.is_to_be_guest(*host)).collect();
        self.seat(hosts);
    }

    fn seat(&mut self, mut hosts: Vec<HostKey>) {
        hosts.retain(|host| !self.hosts.guests.contains(host));
        let free = usize::try_from(self.free_instances()).unwrap_or(usize::MAX);
        if hosts.is_empty() || free == 0 {
            return;
        }
        let first = self.by_first_session(hosts).into_iter().take(free);
        self.hosts.guests.extend(first);
        self.settle_limit();
    }

    /// Takes over who of these hosts is a guest, after their entries changed.
    pub(super) fn settle_guests(&mut self, news: &[HostKey]) {
        for host in news {
            if !self.is_to_be_guest(*host) {
                self.hosts.guests.remove(host);
            }
        }
        self.settle_limit();
        let here = news.iter().copied().filter(|host| self.is_to_be_guest(*host)).collect();
        self.seat(here);
    }

    /// The peer came or went, began or ceased to serve, or has more or fewer instances for its own.
    pub(super) fn hear_of_peer(&mut self) {
        let status = self.peers.in_contact().filter(|status| status.serves.is_ok());
        let limit = status.map_or(usize::MAX, |status| {
            let own = u64::from(status.instances).saturating_sub(status.guests);
            usize::try_from(own).unwrap_or(usize::MAX)
        });
        let serves = status.map(|status| status.license_id.clone());
        let was = core::mem::replace(&mut self.hosts.peer_serves, serves.clone());
        let mut has_moved = was != serves;
        if let Some(before) = was.filter(|before| serves.as_ref() != Some(before)) {
            self.hosts.registry.set_limit(&before, usize::MAX);
        }
        if let Some(license) = &serves {
            has_moved |= self.hosts.registry.set_limit(license, limit);
        }
        if !has_moved {
            return;
        }
        let guests: Vec<HostKey> = self.hosts.guests.iter().copied().collect();
        self.settle_guests(&guests);
        self.seat_known_guests();
    }
}
