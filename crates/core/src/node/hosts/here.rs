//! Who is alive at this server: what the peer is told of it, and what the lists show.

use alloc::collections::BTreeSet;

use super::Node;
use crate::{
    id::{BootId, HostKey},
    node::{
        peer::Presence,
        sessions::{Session, State},
    },
};

impl Node {
    /// The sessions of a host that take part in AutoVE and are alive, oldest first.
    pub(in crate::node) fn alive_here(&self, host: HostKey) -> impl Iterator<Item = &Session> {
        let own = self.hosts.own.as_ref();
        let alive = self.sessions.alive_on(host);
        alive.filter(move |session| Some(&session.record.license_id) == own)
    }

    /// Whether a host holds anything of the license that is served.
    pub(super) fn has_sessions(&self, host: HostKey) -> bool {
        let own = self.hosts.own.as_ref();
        let mut sessions = self.sessions.of_host(host);
        sessions.any(|session| Some(&session.record.license_id) == own)
    }

    /// The boot that a host lives in here. Its sessions agree: another one is let in when no session
    /// of this one is alive any more.
    pub(super) fn boot_here(&self, host: HostKey) -> Option<BootId> {
        self.alive_here(host).find_map(|session| session.boot)
    }

    /// Where a host has emulators here, as its peer would say it.
    pub(in crate::node) fn presence_here(&self, host: HostKey) -> Option<Presence> {
        let live = || self.alive_here(host).filter(|s| matches!(s.state, State::Live(_)));
        let first = live().next()?;
        let boot = live().find_map(|session| session.boot);
        Some(Presence {
            host,
            boot,
            since: Some(first.record.since),
            beside: boot.and_then(|boot| self.hosts.twins.proven_beside(host, boot)),
            address: first.record.address.clone(),
            emulators: u32::try_from(live().count()).unwrap_or(u32::MAX),
        })
    }

    /// The hosts whose presence may have changed since this was asked last.
    pub(in crate::node) fn take_moved_hosts(&mut self) -> BTreeSet<HostKey> {
        self.sessions.take_moved()
    }

    /// The hosts that may be present here, in the order of their keys.
    pub(in crate::node) fn hosts_here(&self) -> impl Iterator<Item = HostKey> {
        self.sessions.hosts()
    }
}
