//! Questions about hosts that the books of servers and of hosts answer together.

use std::collections::BTreeSet;

use ve_core::{
    id::{HostKey, LinkId},
    time::Elapsed,
};

use super::books::{Books, SessionBook};

impl Books {
    /// The host behind a link.
    pub(crate) fn host_of(&self, server: usize, link: LinkId) -> Option<HostKey> {
        self.servers[server].links.get(&link).map(|(host, _)| *host)
    }

    /// The hosts that hold a session of a server at `now` by its clock.
    pub(crate) fn live_hosts(&self, server: usize, now: Elapsed) -> BTreeSet<HostKey> {
        let live = |it: &&SessionBook| it.holds() && !it.lease_is_over(now);
        self.servers[server].sessions.values().filter(live).map(|it| it.host).collect()
    }

    /// How many instances a server has: those of the license with the smallest ID.
    pub(crate) fn instances(&self, server: usize) -> usize {
        let in_force = self.servers[server].installed.iter().next();
        let license = in_force.and_then(|(id, version)| self.terms(id, *version));
        let section = license.and_then(|license| license.sections.first());
        section.map_or(0, |section| section.instances as usize)
    }

    /// Whether the machine in a place runs with this key now.
    pub(crate) fn has_key(&self, place: usize, host: HostKey) -> bool {
        self.hosts.places.get(&place) == Some(&host)
    }
}
