//! Changes of the registry on their way to `instances.db`, and what follows when they are durable or
//! fail. A change counts from its decision on, so that no instance is given twice; the answer that
//! depends on it leaves when it is durable; a change that fails is taken back.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    Node,
    event::AppendError,
    io::{Effect, EnrollId, Note, Ticket},
    peer::taking::TakingId,
};
use crate::{
    id::{HostKey, LicenseId},
    registry::{Batch, KnownPeer, Position, hosts::Change},
    time::Now,
};

/// What follows when a change of the registry is durable, or has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing: it is tried again by whoever wants it.
    Nothing,
    /// The logins of a host that waits for its registration go on.
    Admit(HostKey),
    /// A host is retired, here and by this.
    Retired(HostKey),
    /// Hosts of a license that was replaced have another home.
    Rehomed(LicenseId, Vec<HostKey>),
    /// The administrator hears that hosts are imported: how many were news.
    Imported(Ticket, usize),
    /// The peer hears up to where its changes are taken.
    Taken(TakingId),
    /// It is known after a restart as well up to where they are.
    Pulled(Position),
    /// The peer's license is known after a restart as well.
    Known,
}

#[derive(Debug)]
struct UnderWay {
    changes: Vec<Change>,
    then: Then,
}

/// The changes that are on their way.
#[derive(Debug, Default)]
pub(super) struct Enrolls {
    last_id: EnrollId,
    under_way: BTreeMap<EnrollId, UnderWay>,
    /// The numbers of the changes that are under way.
    pending: BTreeSet<u64>,
    /// The numbers of the changes in whose place those would come. One that fails puts its
    /// predecessor back there.
    replaced: BTreeSet<u64>,
    durable_number: u64,
    failing: bool,
}

impl Enrolls {
    pub(super) fn new(last_number: u64) -> Self {
        Self { durable_number: last_number, ..Self::default() }
    }

    /// The number of the last change that is known to be durable.
    pub(super) fn durable_number(&self) -> u64 {
        self.durable_number
    }

    /// Up to where a peer that has everything up to `after` may be told: all that is durable, but
    /// nothing from the first place on where a failure would put an older change back. The peer
    /// would never ask for that place again.
    pub(super) fn settled_through(&self, after: u64) -> u64 {
        let unsettled = self.replaced.range(after.saturating_add(1)..).next();
        [unsettled, self.pending.first()]
            .into_iter()
            .flatten()
            .map(|number| number.saturating_sub(1))
            .fold(self.durable_number, u64::min)
    }

    /// The change that was decided last.
    pub(super) fn last_id(&self) -> EnrollId {
        self.last_id
    }

    /// The oldest change whose outcome is not known.
    pub(super) fn first_under_way(&self) -> Option<EnrollId> {
        self.under_way.first_key_value().map(|(id, _)| *id)
    }

    /// Whether the change with this number may still come to nothing.
    pub(super) fn is_under_way(&self, number: u64) -> bool {
        self.pending.contains(&number)
    }

    /// Whether the last outcome was a failure.
    pub(super) fn are_failing(&self) -> bool {
        self.failing
    }

    fn begin(&mut self, changes: Vec<Change>, then: Then) -> EnrollId {
        for change in &changes {
            self.pending.insert(change.number);
            self.replaced.extend(change.replaces());
        }
        self.last_id += 1;
        self.under_way.insert(self.last_id, UnderWay { changes, then });
        self.last_id
    }

    fn end(&mut self, id: EnrollId) -> Option<UnderWay> {
        let ended = self.under_way.remove(&id)?;
        for change in &ended.changes {
            self.pending.remove(&change.number);
            if let Some(number) = change.replaces() {
                self.replaced.remove(&number);
            }
        }
        Some(ended)
    }

    /// A later change of the same host is under way, and would put `failed` back if it fails as well:
    /// from now on what was before that.
    fn forget(&mut self, failed: &Change) {
        if !self.replaced.contains(&failed.number) {
            return;
        }
        let mut changes = self.under_way.values_mut().flat_map(|batch| &mut batch.changes);
        let Some(later) = changes.find(|later| later.replaces() == Some(failed.number)) else {
            return;
        };
        later.follow(failed);
        self.replaced.remove(&failed.number);
        self.replaced.extend(later.replaces());
    }
}

impl Node {
    /// Sends `changes`, which the registry has already taken in, to `instances.db`.
    pub(super) fn enroll(
        &mut self,
        changes: Vec<Change>,
        pulled: Option<Position>,
        peer: Option<KnownPeer>,
        then: Then,
    ) {
        let entries =
            changes.iter().map(|change| (change.number, (*change.entry).clone())).collect();
        let id = self.enrolls.begin(changes, then);
        self.effects.push_back(Effect::Enroll { id, batch: Batch { entries, pulled, peer } });
    }

    /// Takes the outcome of a change.
    pub(super) fn enrolled(&mut self, now: Now, id: EnrollId, outcome: Result<(), AppendError>) {
        let Some(UnderWay { changes, then }) = self.enrolls.end(id) else { return };
        self.note_registry(&outcome);
        let failed = outcome.is_err();
        match &outcome {
            Ok(()) => {
                let last = changes.last().map_or(0, |change| change.number);
                self.enrolls.durable_number = self.enrolls.durable_number.max(last);
            }
            // The newest first: each is taken back to what was before it.
            Err(_) => changes.into_iter().rev().for_each(|change| self.put_back(change)),
        }
        match then {
            Then::Nothing => {}
            Then::Admit(host) => self.registered(now, host, outcome),
            Then::Retired(host) => self.retired(now, host, outcome),
            Then::Rehomed(before, hosts) => self.rehomed(now, &before, &hosts, &outcome),
            Then::Imported(ticket, count) => self.imported(now, ticket, count, outcome),
            Then::Taken(id) => self.taken(now, id, &outcome),
            Then::Pulled(pulled) => self.cursor_written(pulled, &outcome),
            Then::Known => self.known_written(&outcome),
        }
        self.settle_proving(now);
        self.tell_enrolled(id, failed);
        self.offer_changes(now);
    }

    fn put_back(&mut self, change: Change) {
        self.enrolls.forget(&change);
        self.hosts.registry.take_back(change);
    }

    fn note_registry(&mut self, outcome: &Result<(), AppendError>) {
        let fails = outcome.is_err();
        if core::mem::replace(&mut self.enrolls.failing, fails) == fails {
            return;
        }
        self.note(match outcome {
            Ok(()) => Note::RegistryRecovered,
            Err(error) => Note::RegistryFailed(error.0.clone()),
        });
    }
}
