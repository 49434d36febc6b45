//! Twins: one key alive in two boots, one of them here and one at the peer. While the servers are in
//! contact the second is refused at its login; without contact each server may let one in.
//!
//! When contact is back, each hears of the other's. The one that was let in first stays, on either
//! server by the same rule. That it is not just a link that has outlived its machine, the server that
//! has it proves: it asks, and says to the peer what was answered. There the other one is refused
//! at its next check. It was heard of before the answer and checks after it, so there are two machines.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Node, clones::cloned};
use crate::{
    id::{BootId, HostKey, LinkId, SessionId, SessionNumber},
    node::{
        io::{Effect, Note},
        peer::Presence,
        sessions::{Session, State},
    },
    reason::Refusal,
    text::Name,
    time::{Now, Utc},
};

/// The most hosts that are asked in one review.
const ASKED_AT_ONCE: usize = 256;

/// The hosts of which two seem to be alive, one here and one at the peer.
#[derive(Debug, Default)]
pub(super) struct Twins(BTreeMap<HostKey, Twin>);

#[derive(Debug)]
struct Twin {
    here: BootId,
    there: BootId,
    /// Whether the one here was asked.
    asked: bool,
    /// Whether it has answered.
    proven: bool,
}

impl Twins {
    fn suspect(&mut self, host: HostKey, here: BootId, there: BootId) {
        let twin = Twin { here, there, asked: false, proven: false };
        let known = self.0.entry(host).or_insert_with(|| Twin { ..twin });
        if (known.here, known.there) != (here, there) {
            *known = twin;
        }
    }

    /// The boot at the peer that a host which lives here in `here` is proven to live beside.
    pub(super) fn proven_beside(&self, host: HostKey, here: BootId) -> Option<BootId> {
        let twin = self.0.get(&host).filter(|twin| twin.proven && twin.here == here)?;
        Some(twin.there)
    }
}

impl Node {
    /// The peer has said where these hosts are.
    pub(in crate::node) fn look_for_twins(&mut self, hosts: &[HostKey]) {
        for host in hosts {
            if let Some((here, there)) = self.boots_of(*host) {
                self.hosts.twins.suspect(*host, here, there);
            }
        }
    }

    /// The boots that a host lives in here and at the peer, if they are not the same.
    fn boots_of(&self, host: HostKey) -> Option<(BootId, BootId)> {
        let there = self.peers.presence(host)?.boot?;
        let here = self.boot_here(host).filter(|here| *here != there)?;
        Some((here, there))
    }

    /// Whether a host comes back to a session that it got here before it was at the peer in another
    /// boot: then it is the one that stays.
    pub(super) fn was_here_before(
        &mut self,
        host: HostKey,
        boot: BootId,
        session: Option<SessionId>,
    ) -> bool {
        let session = session.and_then(|id| self.sessions.find_by_id(id, host));
        let goes_on = |state: State| state.is_alive() || matches!(state, State::Left { .. });
        let own = session.filter(|own| own.boot == Some(boot) && goes_on(own.state));
        let there = self.peers.presence(host);
        let Some((own, there)) = own.zip(there) else { return false };
        let (is_first, beside) = (self.precedes(own.record.since, there), there.boot);
        if let Some(beside) = beside.filter(|_| is_first) {
            self.hosts.twins.suspect(host, boot, beside);
        }
        is_first
    }

    fn of_own(&self, host: HostKey) -> impl Iterator<Item = &Session> {
        let own = self.hosts.own.as_ref();
        let sessions = self.sessions.of_host(host);
        sessions.filter(move |session| Some(&session.record.license_id) == own)
    }

    /// Whether a host that was let in here at `since` comes before what the peer says of it. Both
    /// sides compare the same, and where it is equal the smaller license ID decides.
    fn precedes(&self, since: Utc, there: &Presence) -> bool {
        let own = self.hosts.own.as_ref();
        let peer = self.peers.in_contact().map(|status| &status.license_id);
        there.since.is_some_and(|theirs| (since, own) < (theirs, peer))
    }

    /// Whether the one here comes first, as both sides see it.
    fn is_first_here(&self, host: HostKey) -> bool {
        let since = self.presence_here(host).and_then(|here| here.since);
        let there = self.peers.presence(host);
        since.zip(there).is_some_and(|(since, there)| self.precedes(since, there))
    }

    /// Asks those that would stay whether they are there, and forgets those that are not two any more.
    pub(super) fn review_twins(&mut self) {
        if self.hosts.twins.0.is_empty() {
            return;
        }
        let hosts: Vec<HostKey> = self.hosts.twins.0.keys().copied().collect();
        for host in hosts {
            let boots = self.boots_of(host);
            let is_over = |twin: &Twin| boots != Some((twin.here, twin.there));
            if self.hosts.twins.0.get(&host).is_some_and(is_over) {
                self.hosts.twins.0.remove(&host);
                self.sessions.mark_moved(host);
            }
        }
        // What is on its way may still change who is where.
        if self.peers.is_in_step() {
            self.ask_twins();
        }
    }

    fn ask_twins(&mut self) {
        let mut due = self.unasked_twins();
        if due.is_empty() {
            // Who did not answer is asked again.
            self.hosts.twins.0.values_mut().for_each(|twin| twin.asked = twin.proven);
            due = self.unasked_twins();
        }
        for (host, boot) in due {
            for (link, session) in self.live_in(host, boot) {
                self.effects.push_back(Effect::Ping { link, session });
            }
            if let Some(twin) = self.hosts.twins.0.get_mut(&host) {
                twin.asked = true;
            }
        }
    }

    fn unasked_twins(&self) -> Vec<(HostKey, BootId)> {
        let twins = self.hosts.twins.0.iter();
        let unasked = twins.filter(|(_, twin)| !twin.asked && !twin.proven);
        let first = unasked.filter(|(host, _)| self.is_first_here(**host));
        first.map(|(host, twin)| (*host, twin.here)).take(ASKED_AT_ONCE).collect()
    }

    /// One session of every link on which a host is live in a boot.
    fn live_in(&self, host: HostKey, boot: BootId) -> BTreeMap<LinkId, SessionId> {
        let of_boot = self.alive_here(host).filter(|session| session.boot == Some(boot));
        let live = of_boot.filter_map(|session| match session.state {
            State::Live(link) => Some((link, session.record.id)),
            _ => None,
        });
        live.collect()
    }

    /// A client says that it runs a session of this host, in this boot.
    pub(in crate::node) fn prove_twin(&mut self, host: HostKey, boot: Option<BootId>) {
        let Some(twin) = self.hosts.twins.0.get_mut(&host) else { return };
        if twin.asked && boot == Some(twin.here) && !core::mem::replace(&mut twin.proven, true) {
            // The peer is to hear of it.
            self.sessions.mark_moved(host);
        }
    }

    /// Takes all sessions of a host back that lives at the peer in another boot, where it came first
    /// and is proven to be there. The refusal, if that is so.
    pub(super) fn give_way(&mut self, now: Now, host: HostKey) -> Option<Refusal> {
        let (here, _) = self.boots_of(host)?;
        let there = self.peers.presence(host)?;
        let is_proven = there.beside == Some(here) && there.since.is_some();
        if !is_proven || !self.peers.is_in_step() || self.is_first_here(host) {
            return None;
        }
        let first = there.address.clone();
        let of_boot = self.of_own(host).filter(|session| session.boot == Some(here));
        let sessions: Vec<(SessionNumber, Name)> = of_boot
            .map(|session| (session.record.number, session.record.address.clone()))
            .collect();
        let (_, second) = sessions.first()?.clone();
        let refusal = cloned(&first, &second);
        self.note(Note::HostCloned { host, first, second, at_peer: true });
        for (number, _) in sessions {
            self.revoke(now, number, &refusal);
        }
        Some(refusal)
    }
}
