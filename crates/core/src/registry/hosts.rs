//! The registry itself. The cost of every call is independent of the number of hosts, but for a
//! tree's depth, where its comment doesn't say more.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::ops::Bound;

use super::{
    changes::{Position, RememberedHosts, Span, resume_after, still_has},
    entry::{HostEntry, HostState, PlatformIdentity},
    homed::Homed,
};
use crate::id::{HostKey, LicenseId, SpanId};

/// The most entries of a registry, retired ones included.
pub const MAX_HOSTS: usize = 1_000_000;

/// An entry, as it is found by its host.
#[derive(Debug, Clone)]
struct Known {
    entry: Arc<HostEntry>,
    /// The number of its last change.
    number: u64,
    /// The number of the change by which it came to its state and home.
    standing: u64,
}

/// An entry, as it is found by the number of its last change.
#[derive(Debug, Clone)]
struct Numbered {
    entry: Arc<HostEntry>,
    /// The peer's change that it equals, if it came from there: no need to send it back.
    source: Option<Position>,
}

/// An entry, and how this copy came to it.
#[derive(Debug, Clone)]
struct Kept {
    known: Known,
    source: Option<Position>,
}

/// One change, so that it can be written down, and taken back if that fails.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its number.
    pub number: u64,
    /// The entry from now on.
    pub entry: Arc<HostEntry>,
    before: Option<Kept>,
}

impl Change {
    /// The number of the change that was the host's last before this one.
    pub fn replaces(&self) -> Option<u64> {
        self.before.as_ref().map(|before| before.known.number)
    }

    /// The change that this one came after was not written down: what was before that counts.
    pub fn follow(&mut self, failed: &Self) {
        self.before.clone_from(&failed.before);
    }
}

/// One copy of the registry.
#[derive(Debug)]
pub struct Registry {
    hosts: BTreeMap<HostKey, Known>,
    /// The active hosts of each license.
    homed: BTreeMap<LicenseId, Homed>,
    identities: BTreeMap<PlatformIdentity, BTreeSet<HostKey>>,
    by_number: BTreeMap<u64, Numbered>,
    /// The hosts that have got another state or home since this was asked last; some of them twice.
    news: Vec<HostKey>,
    spans: Vec<Span>,
    last_number: u64,
}

impl Registry {
    /// What `instances.db` remembers.
    pub fn new(remembered: &RememberedHosts) -> Self {
        let mut registry = Self {
            hosts: BTreeMap::new(),
            homed: BTreeMap::new(),
            identities: BTreeMap::new(),
            by_number: BTreeMap::new(),
            news: Vec::new(),
            spans: remembered.spans.clone(),
            last_number: remembered.spans.last().map_or(0, |span| span.after),
        };
        for (number, entry) in &remembered.entries {
            registry.last_number = registry.last_number.max(*number);
            let (entry, number) = (Arc::new(entry.clone()), *number);
            registry
                .insert(Kept { known: Known { entry, number, standing: number }, source: None });
        }
        registry
    }

    fn insert(&mut self, Kept { known, source }: Kept) {
        let entry = Arc::clone(&known.entry);
        let (host, number) = (entry.host, known.number);
        self.by_number.insert(number, Numbered { entry: Arc::clone(&entry), source });
        self.hosts.insert(host, known);
        if entry.is_active() {
            // Most often the license is known.
            let age = (entry.registered, host);
            match self.homed.get_mut(&entry.home) {
                Some(homed) => homed.insert(age),
                None => self.homed.entry(entry.home.clone()).or_default().insert(age),
            }
        }
        if let Some(identity) = &entry.identity {
            self.identities.entry(identity.clone()).or_default().insert(host);
        }
    }

    fn remove(&mut self, host: HostKey) -> Option<Kept> {
        let known = self.hosts.remove(&host)?;
        let entry = &known.entry;
        if let Some(homed) = self.homed.get_mut(&entry.home) {
            homed.remove((entry.registered, host));
            if homed.is_idle() {
                self.homed.remove(&entry.home);
            }
        }
        if let Some(identity) = &entry.identity
            && let Some(hosts) = self.identities.get_mut(identity)
        {
            hosts.remove(&host);
            if hosts.is_empty() {
                self.identities.remove(identity);
            }
        }
        let source = self.by_number.remove(&known.number)?.source;
        Some(Kept { known, source })
    }

    /// The entry of a host.
    pub fn find(&self, host: HostKey) -> Option<&HostEntry> {
        self.hosts.get(&host).map(|known| &*known.entry)
    }

    /// The number of a host's last change.
    pub fn number(&self, host: HostKey) -> Option<u64> {
        self.hosts.get(&host).map(|known| known.number)
    }

    /// The number of the change by which a host came to its state and home.
    pub fn standing_number(&self, host: HostKey) -> Option<u64> {
        self.hosts.get(&host).map(|known| known.standing)
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &HostEntry> {
        self.hosts.values().map(|known| &*known.entry)
    }

    /// The entries after that of `after`, in the order of their keys.
    pub fn iter_after(&self, after: Option<HostKey>) -> impl Iterator<Item = &HostEntry> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.hosts.range((from, Bound::Unbounded)).map(|(_, known)| &*known.entry)
    }

    /// How many entries there are, retired ones included.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The entries of a machine as its provider names it: at most one is active once
    /// [`Self::rivals`] are settled.
    pub fn of_identity(&self, identity: &PlatformIdentity) -> impl Iterator<Item = &HostEntry> {
        self.identities.get(identity).into_iter().flatten().filter_map(|host| self.find(*host))
    }

    /// Of several active entries of one machine all but the one that stays: the latest decision,
    /// then the latest registration, then the greatest key; the same on both peers.
    pub fn rivals(&self, identity: &PlatformIdentity) -> Vec<HostKey> {
        let active = self.of_identity(identity).filter(|entry| entry.is_active());
        let mut ranked: Vec<_> =
            active.map(|entry| (entry.revision, entry.registered, entry.host)).collect();
        ranked.sort_unstable();
        ranked.pop();
        ranked.into_iter().map(|(_, _, host)| host).collect()
    }

    /// How many active hosts are at home with a license.
    pub fn homed(&self, home: &LicenseId) -> usize {
        self.homed.get(home).map_or(0, Homed::len)
    }

    /// The licenses that have active hosts.
    pub fn homes(&self) -> impl Iterator<Item = &LicenseId> {
        self.homed.iter().filter(|(_, homed)| homed.len() > 0).map(|(home, _)| home)
    }

    /// The active hosts of a license, the oldest registration first.
    pub fn homed_at(&self, home: &LicenseId) -> impl Iterator<Item = HostKey> {
        self.homed.get(home).into_iter().flat_map(Homed::iter)
    }

    /// From now on a license has instances for this many hosts; without this, for all. Whether any host
    /// got or lost one by that. Costs a step for each of those.
    pub fn set_limit(&mut self, home: &LicenseId, limit: usize) -> bool {
        let homed = self.homed.entry(home.clone()).or_default();
        let moved = homed.set_limit(limit);
        if homed.is_idle() {
            self.homed.remove(home);
        }
        moved
    }

    /// Whether a host is active and among the oldest of its home, which have the instances.
    pub fn is_among_oldest(&self, entry: &HostEntry) -> bool {
        let homed = self.homed.get(&entry.home);
        homed.is_some_and(|homed| homed.is_within((entry.registered, entry.host)))
    }

    /// Puts an entry in the place of what was known of its host. `source`: the peer's change that it
    /// equals. Merging with what is known is for the caller.
    pub fn put(&mut self, entry: HostEntry, source: Option<Position>) -> Change {
        let before = self.remove(entry.host);
        self.put_after(before, entry, source)
    }

    fn put_after(
        &mut self,
        before: Option<Kept>,
        entry: HostEntry,
        source: Option<Position>,
    ) -> Change {
        self.last_number += 1;
        let (number, entry) = (self.last_number, Arc::new(entry));
        let standing = match &before {
            Some(Kept { known, .. }) if stands_as(&known.entry, &entry) => known.standing,
            _ => {
                self.news.push(entry.host);
                number
            }
        };
        let known = Known { entry: Arc::clone(&entry), number, standing };
        self.insert(Kept { known, source });
        Change { number, entry, before }
    }

    /// Takes a change back that was not written down, unless the host was changed again since: then
    /// the later change has to [`Change::follow`] this one.
    pub fn take_back(&mut self, change: Change) {
        let Change { number, entry, before } = change;
        if self.number(entry.host) != Some(number) {
            return;
        }
        self.remove(entry.host);
        if before.as_ref().is_none_or(|before| !stands_as(&before.known.entry, &entry)) {
            self.news.push(entry.host);
        }
        if let Some(before) = before {
            self.insert(before);
        }
    }

    /// The hosts that have got another state or home since this was asked last; some of them twice.
    pub fn take_news(&mut self) -> Vec<HostKey> {
        core::mem::take(&mut self.news)
    }

    /// Merges what a peer (or an import) says into what is known; `None` when that is no news.
    pub fn merge(&mut self, theirs: &HostEntry, source: Option<Position>) -> Option<Change> {
        let Some(Known { entry: ours, number, .. }) = self.hosts.get(&theirs.host) else {
            return Some(self.put_after(None, theirs.clone(), source));
        };
        let merged = ours.merge(theirs);
        let is_theirs = merged == *theirs;
        if merged != **ours {
            return Some(self.put(merged, source.filter(|_| is_theirs)));
        }
        if is_theirs && let Some(kept) = self.by_number.get_mut(number) {
            kept.source = source.or(kept.source);
        }
        None
    }

    /// The number of the last change.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// The spans of this copy, oldest first.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The change with this number as a position that a peer can remember.
    pub fn position(&self, number: u64) -> Option<Position> {
        let span = self.spans.iter().rev().find(|span| span.after < number)?;
        Some(Position { span: span.id, number })
    }

    /// From where to go on for a peer that has this copy's changes up to `position`.
    pub fn resume_after(&self, position: Option<Position>) -> u64 {
        resume_after(&self.spans, self.last_number, position)
    }

    /// The next changes after `after` and up to `through`, in the order of their numbers, without
    /// those that a peer with these spans, whose last number is `their_last`, has itself.
    pub fn changes<'a>(
        &'a self,
        after: u64,
        through: u64,
        their_spans: &'a [Span],
        their_last: u64,
    ) -> impl Iterator<Item = (u64, &'a HostEntry)> {
        let range = (Bound::Excluded(after), Bound::Included(through.max(after.saturating_add(1))));
        self.by_number.range(range).filter_map(move |(number, kept)| {
            let has = kept.source.is_some_and(|source| still_has(their_spans, their_last, source));
            (*number <= through && !has).then_some((*number, &*kept.entry))
        })
    }

    /// How many retired entries there are. Costs a step for every entry.
    pub fn retired(&self) -> usize {
        self.iter().filter(|entry| entry.state == HostState::Retired).count()
    }

    /// The span of this start.
    pub fn span(&self) -> Option<SpanId> {
        self.spans.last().map(|span| span.id)
    }
}

fn stands_as(one: &HostEntry, other: &HostEntry) -> bool {
    one.state == other.state && one.home == other.home
}
