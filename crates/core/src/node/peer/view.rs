//! What the lists show of the peer.

use super::{Node, PeerFailure, PeerStatus};
use crate::{
    id::LicenseId,
    reason::Refusal,
    text::Name,
    time::{Now, Utc},
};

/// Where the peer is in its relation to this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerState {
    /// There is no contact, and nothing is known to stand in its way.
    Connecting,
    /// The other server is none, or says that this one is none.
    Refused(Refusal),
    /// It can't be reached, and why.
    Unreachable(alloc::string::String),
    /// In contact; so many of the peer's changes are here, of so many.
    CatchingUp {
        /// The number of the last change that is durable here.
        done: u64,
        /// The number of the peer's last change.
        of: u64,
    },
    /// In contact, and everything that the peer had when that began is here.
    InStep,
}

/// How far one side is behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// How many changes are missing at most: numbers of changes, some of which may be no news.
    pub changes: u64,
    /// For how long something has been missing, in milliseconds.
    pub behind_ms: u64,
}

/// The peer, for the lists.
#[derive(Debug, Clone)]
pub struct PeerView<'a> {
    /// Where it is.
    pub state: PeerState,
    /// Its license, known from now or from before.
    pub license_id: Option<&'a LicenseId>,
    /// How many instances that has, known from now or from before.
    pub instances: Option<u32>,
    /// How many hosts are at home there, as this registry has it; `None` while its license is not
    /// known.
    pub homed: Option<u64>,
    /// What it says of itself, while it is in contact.
    pub status: Option<&'a PeerStatus>,
    /// Where it is, `address:port`, while it is in contact.
    pub address: Option<&'a Name>,
    /// Since when there is contact.
    pub since: Option<Utc>,
    /// How many links there are.
    pub links: usize,
    /// Why the configured peer can't be reached or is none. The peer may be there all the same: then
    /// it has dialed, and what is configured is wrong.
    pub failure: Option<&'a PeerFailure>,
    /// How far this server is behind it; `None`: without contact nobody knows.
    pub behind: Option<Lag>,
    /// How far it is behind this server; `None`: without contact, and before it has asked for
    /// anything, nobody knows.
    pub ahead: Option<Lag>,
    /// How many hosts would have no instance if the peer failed and this server had to carry all, or
    /// have none while it must; `None`: the peer was never seen.
    pub missing_here: Option<u64>,
    /// How many would have none if this server failed; `None`: it is not known how many instances
    /// the peer has.
    pub missing_there: Option<u64>,
}

impl Node {
    /// The peer; `None` without one: where none is configured and none came. In general mode there is
    /// none but one that is configured, by mistake.
    pub fn peer(&self, now: Now) -> Option<PeerView<'_>> {
        let known = self.peers.license_id().filter(|_| self.own_autove().is_some());
        if !self.hosts.has_peer() && known.is_none() {
            return None;
        }
        let contact = self.peers.contact.as_ref();
        let (here, at_peer) = self.missing_without_peer();
        Some(PeerView {
            state: self.peer_state(),
            license_id: known,
            instances: known.and_then(|_| self.peers.instances()),
            homed: known.map(|id| self.hosts.registry.homed(id) as u64),
            status: self.peers.in_contact(),
            address: self.peer_address(),
            since: contact.map(|contact| contact.since),
            links: self.peers.links.len(),
            failure: self.peers.failure.as_ref(),
            behind: contact.and_then(|_| self.lag_here(now)),
            ahead: contact.and_then(|_| self.lag_there(now)),
            missing_here: known.map(|_| here),
            missing_there: known.and(at_peer),
        })
    }

    /// How many hosts would have no instance if one server had to carry all: here, and at the peer
    /// as far as that is known.
    pub(in crate::node) fn missing_without_peer(&self) -> (u64, Option<u64>) {
        let Some(own) = self.own_autove() else { return (0, None) };
        let registry = &self.hosts.registry;
        let at_peer = self.peers.license_id().map_or(0, |id| registry.homed(id));
        let all = (registry.homed(&own.id) + at_peer) as u64;
        let instances = own.sections.first().map_or(0, |section| section.instances);
        let missing = |instances: u32| all.saturating_sub(u64::from(instances));
        (missing(instances), self.peers.instances().map(missing))
    }

    fn peer_state(&self) -> PeerState {
        if self.peers.contact.is_none() {
            return match &self.peers.failure {
                None => PeerState::Connecting,
                Some(PeerFailure::Refused(refusal)) => PeerState::Refused(refusal.clone()),
                Some(PeerFailure::Unreachable(why)) => PeerState::Unreachable(why.clone()),
            };
        }
        if self.peers.is_in_step() {
            return PeerState::InStep;
        }
        let (done, of) = self.peers.pulling.progress();
        PeerState::CatchingUp { done, of }
    }

    fn lag_here(&self, now: Now) -> Option<Lag> {
        let (done, of) = self.peers.pulling.progress();
        let since = self.peers.pulling.behind_since();
        let behind_ms = since.map_or(0, |since| now.elapsed.since_ms(since));
        self.peers.pulling.has_heard().then_some(Lag { changes: of - done, behind_ms })
    }

    fn lag_there(&self, now: Now) -> Option<Lag> {
        let offer = self.peers.offer.as_ref()?;
        let Some(since) = offer.behind_since() else { return Some(Lag::default()) };
        let changes = self.enrolls.durable_number().saturating_sub(offer.taken());
        Some(Lag { changes, behind_ms: now.elapsed.since_ms(since) })
    }
}
