//! Identities: one machine, as its provider names it, has one instance, whatever keys it makes.

use alloc::vec::Vec;

use super::{
    Node,
    admission::retired,
    registering::{Registration, seen},
};
use crate::{
    id::HostKey,
    node::{
        event::RegisteredBy,
        hosts::Verdict,
        io::{Login, Note},
    },
    registry::{HostEntry, HostState, entry::MAX_REVISION},
    text::Name,
    time::Now,
};

impl Node {
    /// What becomes of a host whose provider says which machine it is, when the registry knows that
    /// machine by other keys; `None`: it does not.
    pub(super) fn judge_identity(
        &self,
        now: Now,
        host: HostKey,
        known: Option<&HostEntry>,
        address: &Name,
        login: &Login,
    ) -> Option<Verdict> {
        let facts = login.facts.as_ref()?;
        let identity = facts.identity.as_ref()?;
        let machine = || self.hosts.registry.of_identity(identity);
        let is_retired =
            |entry: &HostEntry| entry.state == HostState::Retired || self.is_retiring(entry.host);
        // A host that has its own instance is not the one that was retired.
        let is_active = known.is_some_and(HostEntry::is_active);
        let is_retired = || self.hosts.retiring.has_machine(identity) || machine().any(is_retired);
        if !is_active && is_retired() {
            return Some(retired().into());
        }
        let owners: Vec<&HostEntry> =
            machine().filter(|entry| entry.is_active() && entry.host != host).collect();
        let Some(latest) = owners.iter().max_by_key(|owner| (owner.revision, owner.registered))
        else {
            // It moved away, and no one has come in its place; but its instance may be another's. A
            // copy of its disk on another machine may have taken the key, and left it for another.
            let comes_back = |entry: &&HostEntry| {
                entry.identity.as_ref() == Some(identity) || entry.state == HostState::Moved
            };
            let known = known.filter(comes_back)?;
            let identity = Some((**identity).clone());
            let back = HostEntry { state: HostState::Active, identity, ..next(known) };
            let by = RegisteredBy::NewKey { before: host };
            return Some(match self.judge_receipt(now, login, back.clone()) {
                Verdict::Newcomer(_) => Registration { entries: alloc::vec![back], by }.into(),
                refused => refused,
            });
        };
        for owner in &owners {
            if let Some(owner_address) = self.alive_at(owner.host) {
                return Some(Verdict::Claims { owner: owner.host, owner_address });
            }
        }
        let known_revision = known.map_or(0, |entry| entry.revision);
        let shown = self.by_receipt(now, host, address, facts);
        let shown_revision = shown.map_or(0, |entry| entry.revision);
        let revision = latest.revision.max(known_revision).max(shown_revision);
        let base = known.filter(|entry| entry.is_active()).unwrap_or(latest);
        let entry = HostEntry {
            host,
            home: base.home.clone(),
            revision: revision.saturating_add(1).min(MAX_REVISION),
            state: HostState::Active,
            registered: base.registered,
            identity: Some((**identity).clone()),
            seen: seen(now, facts, address),
        };
        let by = RegisteredBy::NewKey { before: latest.host };
        let moved =
            owners.into_iter().map(|owner| HostEntry { state: HostState::Moved, ..next(owner) });
        let entries: Vec<HostEntry> = moved.chain([entry]).collect();
        Some(self.judge_rebound(entries, base, by))
    }

    /// The instance was the machine's before, so it needs no other; but it may be served or not.
    fn judge_rebound(
        &self,
        entries: Vec<HostEntry>,
        base: &HostEntry,
        by: RegisteredBy,
    ) -> Verdict {
        match self.judge_entry(base) {
            Verdict::Refused(refusal) if base.is_active() => refusal.into(),
            _ => Registration { entries, by }.into(),
        }
    }

    /// Where a host is alive, here or at the peer.
    fn alive_at(&self, host: HostKey) -> Option<Name> {
        let here = self.alive_here(host).next().map(|session| session.record.address.clone());
        here.or_else(|| self.peers.presence(host).map(|presence| presence.address.clone()))
    }

    pub(super) fn note_claim(&mut self, host: HostKey, address: &Name, verdict: &Verdict) {
        if let Verdict::Claims { owner, owner_address } = verdict {
            let (owner, owner_address) = (*owner, owner_address.clone());
            let address = address.clone();
            self.note(Note::IdentityClaimed { host, address, owner, owner_address });
        }
    }
}

/// The next decision about an entry.
fn next(entry: &HostEntry) -> HostEntry {
    let revision = entry.revision.saturating_add(1).min(MAX_REVISION);
    HostEntry { revision, ..entry.clone() }
}
