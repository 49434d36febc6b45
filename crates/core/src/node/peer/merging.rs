//! What the peer's changes do to this registry. A host that they retire is retired in the ledger
//! first, so that it stays so even if the registry is lost the moment after.

use alloc::{collections::BTreeSet, format, vec::Vec};

use super::{Node, misspoken, taking::Taking};
use crate::{
    id::HostKey,
    node::{append::Waiting, enroll::Then, hosts::retired_elsewhere, io::Note},
    registry::{
        HostEntry, HostState, MAX_HOSTS, PlatformIdentity, Position, entry::MAX_REVISION,
        hosts::Change,
    },
    time::Now,
};

impl Node {
    /// The first step: the ledger hears whom the peer has retired, if that is news.
    pub(super) fn write_retirements(&mut self, now: Now, taking: Taking) {
        let retired = self.newly_retired(&taking);
        if retired.is_empty() {
            return self.merge(now, taking);
        }
        let events = retired.into_iter().map(|entry| retired_elsewhere(entry, now)).collect();
        self.peers.pulling.takings.record(taking);
        self.commit(now, events, Waiting::PeerRetired);
    }

    /// Those that this registry doesn't know as retired.
    pub(super) fn newly_retired<'a>(&self, taking: &'a Taking) -> Vec<&'a HostEntry> {
        let is_news = |entry: &&HostEntry| {
            let known = || self.hosts.registry.find(entry.host);
            entry.state == HostState::Retired
                && known().is_none_or(|known| known.state != HostState::Retired)
        };
        let mut named = BTreeSet::new();
        let messages = taking.messages.iter().filter(|message| !message.is_recorded);
        let entries = messages.flat_map(|message| &message.entries);
        entries.filter(is_news).filter(|entry| named.insert(entry.host)).collect()
    }

    /// The ledger has what it was told, or not.
    pub(in crate::node) fn retirements_written(&mut self, now: Now, is_durable: bool) {
        let Some(mut taking) = self.peers.pulling.takings.recorded() else { return };
        if !is_durable {
            return self.fail_to_take(taking);
        }
        let retired: Vec<HostEntry> = self.newly_retired(&taking).into_iter().cloned().collect();
        for entry in &retired {
            self.remember_retirement(now, entry);
            self.note(note_retired(entry));
        }
        taking.messages.iter_mut().for_each(|message| message.is_recorded = true);
        self.merge(now, taking);
        self.take_changes(now);
    }

    /// The second step: the registry, and how far it has come with that, in one batch.
    fn merge(&mut self, now: Now, taking: Taking) {
        let Some(upto) = taking.messages.last().map(|message| message.upto) else { return };
        if !self.has_room_for(&taking) {
            let link = taking.link;
            let what = format!("there would be more than {MAX_HOSTS} hosts");
            return self.refuse_peer(now, link, misspoken(&what));
        }
        let mut changes = Vec::new();
        for message in &taking.messages {
            for entry in &message.entries {
                changes.extend(self.merge_entry(entry, message.upto));
            }
        }
        self.peers.pulling.count_news(changes.len() as u64);
        self.settle_rivals(&mut changes);
        let is_news = !changes.is_empty();
        let (id, cursor) = self.peers.pulling.takings.begin(taking, upto);
        self.enroll(changes, cursor, None, Then::Taken(id));
        if is_news {
            self.peer_has_changed(now);
        }
    }

    /// What is no news may only be passed over if what is known already is durable: if that comes to
    /// nothing, the peer's change would be lost with it.
    fn merge_entry(&mut self, theirs: &HostEntry, upto: Position) -> Option<Change> {
        let registry = &mut self.hosts.registry;
        if let Some(change) = registry.merge(theirs, Some(upto)) {
            return Some(change);
        }
        let number = registry.number(theirs.host)?;
        if !self.enrolls.is_under_way(number) {
            return None;
        }
        let ours = registry.find(theirs.host)?.clone();
        let source = Some(upto).filter(|_| ours == *theirs);
        Some(registry.put(ours, source))
    }

    fn has_room_for(&self, taking: &Taking) -> bool {
        let registry = &self.hosts.registry;
        let entries = taking.messages.iter().flat_map(|message| &message.entries);
        // Most often it fits even if no host is known.
        if fits(registry.len(), entries.clone().count()) {
            return true;
        }
        let unknown: BTreeSet<HostKey> =
            entries.map(|entry| entry.host).filter(|host| registry.find(*host).is_none()).collect();
        fits(registry.len(), unknown.len())
    }

    /// One machine has one instance: of several keys that were registered for it on both sides, the
    /// same one stays on both.
    fn settle_rivals(&mut self, changes: &mut Vec<Change>) {
        let identities: BTreeSet<PlatformIdentity> = changes
            .iter()
            .filter(|change| change.entry.is_active())
            .filter_map(|change| change.entry.identity.clone())
            .collect();
        for identity in identities {
            for rival in self.hosts.registry.rivals(&identity) {
                let Some(entry) = self.hosts.registry.find(rival) else { continue };
                let moved = HostEntry {
                    state: HostState::Moved,
                    revision: entry.revision.saturating_add(1).min(MAX_REVISION),
                    ..entry.clone()
                };
                let unsent: Option<Position> = None;
                changes.push(self.hosts.registry.put(moved, unsent));
            }
        }
    }
}

fn fits(known: usize, unknown: usize) -> bool {
    known.saturating_add(unknown) <= MAX_HOSTS
}

fn note_retired(entry: &HostEntry) -> Note {
    Note::HostRetired { host: entry.host, name: entry.seen.name.clone(), here: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_fills_the_registry_up_and_no_further() {
        assert!(fits(MAX_HOSTS, 0));
        assert!(fits(0, MAX_HOSTS));
        assert!(!fits(MAX_HOSTS, 1));
        assert!(!fits(1, usize::MAX));
    }
}
