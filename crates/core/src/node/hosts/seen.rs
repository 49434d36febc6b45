//! What was seen of a host last. It decides nothing, so it is written down now and then only.

use alloc::vec;
use core::net::{IpAddr, SocketAddr};

use super::{Node, registering::seen};
use crate::{
    id::HostKey,
    node::enroll::Then,
    registry::{HostEntry, HostFacts, PlatformIdentity, Seen, entry::MAX_REVISION},
    text::Name,
    time::Now,
};

/// What is written down may be this old, in seconds.
const WRITE_EVERY_S: i64 = 3_600;

impl Node {
    /// A host logs in.
    pub(super) fn see(
        &mut self,
        now: Now,
        host: HostKey,
        address: &Name,
        facts: Option<&HostFacts>,
    ) {
        let Some(entry) = self.hosts.registry.find(host) else { return };
        let identity = facts.and_then(|facts| facts.identity.as_deref());
        let latest = match facts {
            Some(facts) => seen(now, facts, address),
            None => Seen { at: now.wall, address: address.clone(), ..entry.seen.clone() },
        };
        let other = identity.filter(|identity| entry.identity.as_ref() != Some(*identity)).cloned();
        self.keep_seen(host, latest, other);
    }

    /// A host that is served gives another sign of life.
    pub(super) fn see_again(&mut self, now: Now, host: HostKey) {
        let Some(newest) = self.newest_seen(host) else { return };
        let latest = Seen { at: now.wall, ..newest.clone() };
        self.keep_seen(host, latest, None);
    }

    /// The newest that was seen of a host.
    pub(in crate::node) fn newest_seen(&self, host: HostKey) -> Option<&Seen> {
        let written = self.hosts.registry.find(host).map(|entry| &entry.seen)?;
        Some(self.hosts.seen.get(&host).map_or(written, |newest| newest.max(written)))
    }

    fn keep_seen(&mut self, host: HostKey, latest: Seen, identity: Option<PlatformIdentity>) {
        let Some(entry) = self.hosts.registry.find(host) else { return };
        // A clock that was set back says nothing new: the later of two is what peers agree on.
        let news = latest > entry.seen && is_news(&entry.seen, &latest);
        if identity.is_none() && (!news || self.enrolls.are_failing()) {
            if latest > entry.seen {
                self.hosts.seen.insert(host, latest);
            }
            return;
        }
        self.write_seen(host, latest, identity);
    }

    fn write_seen(&mut self, host: HostKey, latest: Seen, identity: Option<PlatformIdentity>) {
        let Some(entry) = self.hosts.registry.find(host) else { return };
        // Another machine than before is a decision; the first that is known of it is none.
        let decides = u64::from(identity.is_some() && entry.identity.is_some());
        let entry = HostEntry {
            revision: entry.revision.saturating_add(decides).min(MAX_REVISION),
            identity: identity.or_else(|| entry.identity.clone()),
            seen: latest.max(entry.seen.clone()),
            ..entry.clone()
        };
        self.hosts.seen.remove(&host);
        let change = self.hosts.registry.put(entry, None);
        self.enroll(vec![change], None, None, Then::Nothing);
    }

    /// A registry that fails is tried with something harmless until it can be written again.
    pub(super) fn retry_seen(&mut self) {
        if !self.enrolls.are_failing() || self.enrolls.first_under_way().is_some() {
            return;
        }
        if let Some((host, latest)) = self.hosts.seen.pop_first() {
            self.write_seen(host, latest, None);
        }
    }
}

/// Whether something is worth being written down.
fn is_news(written: &Seen, latest: &Seen) -> bool {
    latest.at.0.saturating_sub(written.at.0) >= WRITE_EVERY_S
        || latest.name != written.name
        || latest.platform != written.platform
        || machine_of(&latest.address) != machine_of(&written.address)
}

/// An address without its port, which is another with every connection.
fn machine_of(address: &Name) -> Result<IpAddr, &Name> {
    address.as_str().parse::<SocketAddr>().map(|address| address.ip()).map_err(|_| address)
}
