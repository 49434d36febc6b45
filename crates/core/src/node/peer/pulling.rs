//! Taking the peer's changes: ask for what comes after the last durable one, write down what comes in
//! the order in which it comes, say up to where it is durable.
//!
//! What waits is kept in [`Takings`]; the window keeps it bounded.

use alloc::vec::Vec;

use super::{
    MAX_CHANGES, Node, PeerMessage, WINDOW, misspoken,
    taking::{Taking, TakingId, Takings},
};
use crate::{
    id::LinkId,
    node::{enroll::Then, event::AppendError, io::Note},
    reason::Refusal,
    registry::{HostEntry, Position, entry::MAX_REVISION},
    time::{Elapsed, Now},
};

/// How long a pull may stay without an answer before it is made again, in milliseconds.
const PATIENCE_MS: u64 = 8_000;

/// What is taken from the peer.
#[derive(Debug, Default)]
pub(super) struct Pulling {
    pub(super) takings: Takings,
    progress: Progress,
    /// Something was lost or went another way: ask anew at the next review.
    pull_again: bool,
}

/// How far it has come in this contact.
#[derive(Debug, Default)]
struct Progress {
    /// When this side has asked, if nothing has come since.
    asked: Option<Elapsed>,
    /// The number of the peer's last change when contact began.
    target: Option<u64>,
    in_step: bool,
    /// How many entries were news.
    changes: u64,
    /// The last change that the peer is known to have, and since when something of it is missing.
    last: u64,
    behind_since: Option<Elapsed>,
}

impl Pulling {
    pub(super) fn new(pulled: Option<Position>) -> Self {
        Self { takings: Takings::new(pulled), ..Self::default() }
    }

    pub(super) fn is_in_step(&self) -> bool {
        self.progress.in_step
    }

    /// How many of the peer's changes are here, of how many; both count what was changed more than
    /// once.
    pub(super) fn progress(&self) -> (u64, u64) {
        let done = self.takings.done();
        let of = self.progress.last.max(self.progress.target.unwrap_or(0));
        (done.min(of), of)
    }

    /// Whether the peer has said in this contact how many changes it has.
    pub(super) fn has_heard(&self) -> bool {
        self.progress.target.is_some()
    }

    pub(super) fn behind_since(&self) -> Option<Elapsed> {
        self.progress.behind_since
    }

    pub(super) fn lose_contact(&mut self) {
        self.progress = Progress::default();
        self.pull_again = false;
    }

    pub(super) fn count_news(&mut self, news: u64) {
        self.progress.changes += news;
    }
}

impl Node {
    /// Asks the peer for what this server doesn't have.
    pub(super) fn pull(&mut self, now: Now, link: LinkId) {
        if !self.peers.links.contains_key(&link) {
            return;
        }
        self.peers.pulling.progress.asked = Some(now.elapsed);
        // With several links, the peer may have heard this before an earlier pull on another.
        self.peers.pulling.pull_again = self.peers.links.len() > 1;
        let registry = &self.hosts.registry;
        let pull = PeerMessage::Pull {
            after: self.peers.pulling.takings.pulled(),
            spans: registry.spans().to_vec(),
            // What comes to nothing after all must not be waited for.
            last: self.enrolls.durable_number(),
        };
        self.say(link, pull);
    }

    pub(super) fn hear_changes(
        &mut self,
        now: Now,
        link: LinkId,
        entries: Vec<HostEntry>,
        upto: Position,
        last: u64,
    ) -> Result<(), Refusal> {
        let Some(speaker) = self.peers.links.get_mut(&link) else { return Ok(()) };
        let wrong = [
            (entries.len() > MAX_CHANGES, "there are too many changes in a message"),
            (upto.number > last, "it names a change after its last one"),
            (entries.iter().any(is_out_of_range), "a change has an impossible revision"),
            (speaker.untaken >= WINDOW, "it does not wait until its changes are taken"),
        ];
        if let Some((_, what)) = wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            return Err(misspoken(what));
        }
        speaker.untaken += 1;
        self.hear_last(now, last);
        self.peers.pulling.progress.asked = None;
        self.peers.pulling.progress.target.get_or_insert(last);
        self.peers.pulling.takings.hear(link, entries, upto);
        self.take_changes(now);
        Ok(())
    }

    fn hear_last(&mut self, now: Now, last: u64) {
        if let Some(offer) = &mut self.peers.offer {
            offer.hear_last(last);
        }
        let progress = &mut self.peers.pulling.progress;
        progress.last = last;
        if self.peers.pulling.takings.done() < last {
            progress.behind_since.get_or_insert(now.elapsed);
        }
    }

    /// The peer has never changed anything: there is nothing to wait for.
    pub(super) fn hear_of_nothing(&mut self, now: Now) {
        if self.peers.pulling.progress.asked.take().is_some() {
            self.peers.pulling.progress.target.get_or_insert(0);
            self.come_in_step(now);
        }
    }

    /// Goes on with what waits, as far as there is room.
    pub(super) fn take_changes(&mut self, now: Now) {
        while let Some(taking) = self.peers.pulling.takings.next() {
            // What the ledger is told must be told in the order of the changes, and once.
            if self.peers.pulling.takings.are_being_written()
                && !self.newly_retired(&taking).is_empty()
            {
                return self.peers.pulling.takings.put_back(taking);
            }
            self.write_retirements(now, taking);
        }
    }

    /// A batch of the peer's changes is durable, or not.
    pub(in crate::node) fn taken(
        &mut self,
        now: Now,
        id: TakingId,
        outcome: &Result<(), AppendError>,
    ) {
        self.peers.pulling.takings.settle(id, outcome.is_ok());
        self.drop_orphans();
        while let Some((taking, upto)) = self.peers.pulling.takings.next_durable() {
            self.acknowledge(&taking, upto);
        }
        self.come_in_step(now);
        self.take_changes(now);
    }

    fn acknowledge(&mut self, Taking { link, messages }: &Taking, upto: Position) {
        if let Some(peer) = self.peers.links.get_mut(link) {
            peer.untaken = peer.untaken.saturating_sub(messages.len());
            self.say(*link, PeerMessage::Taken { upto });
        }
        let progress = &mut self.peers.pulling.progress;
        if upto.number >= progress.last {
            progress.behind_since = None;
        }
    }

    /// What could not be recorded is tried again by a review.
    pub(super) fn fail_to_take(&mut self, taking: Taking) {
        self.peers.pulling.takings.fail(taking);
        self.drop_orphans();
    }

    /// How far the peer's changes are here, if the registry's file says less: nothing is lost without
    /// that, but the peer would send the rest again after a restart.
    fn write_cursor(&mut self) {
        if let Some(pulled) = self.peers.pulling.takings.unwritten() {
            self.enroll(Vec::new(), Some(pulled), None, Then::Pulled(pulled));
        }
    }

    pub(in crate::node) fn cursor_written(
        &mut self,
        pulled: Position,
        outcome: &Result<(), AppendError>,
    ) {
        if outcome.is_ok() {
            self.peers.pulling.takings.note_written(pulled);
        }
    }

    fn come_in_step(&mut self, now: Now) {
        let done = self.peers.pulling.takings.done();
        let Progress { target, in_step, changes, .. } = &mut self.peers.pulling.progress;
        let Some(license_id) = self.peers.contact.as_ref().map(|c| c.status.license_id.clone())
        else {
            return;
        };
        if *in_step || target.is_none_or(|target| done < target) {
            return;
        }
        *in_step = true;
        let changes = *changes;
        self.note(Note::PeerInStep { license_id, changes });
        self.peer_has_changed(now);
    }

    /// Forgets what came over links that are gone, unless it is being written already: nobody waits for
    /// it.
    pub(super) fn drop_orphans(&mut self) {
        let links = &self.peers.links;
        self.peers.pulling.takings.retain(|link| links.contains_key(&link));
    }

    /// Tries again what failed, and asks again where nothing came.
    pub(super) fn review_pulling(&mut self, now: Now) {
        self.peers.pulling.takings.try_again();
        self.take_changes(now);
        self.write_cursor();
        let Some(link) = self.talk_link() else { return };
        let pulling = &mut self.peers.pulling;
        let asked = pulling.progress.asked.filter(|_| pulling.takings.are_idle());
        let is_unheard = asked.is_some_and(|asked| now.elapsed >= asked.plus_ms(PATIENCE_MS));
        if core::mem::take(&mut pulling.pull_again) || is_unheard {
            self.pull(now, link);
            self.peers.pulling.pull_again = false;
        }
    }
}

fn is_out_of_range(entry: &HostEntry) -> bool {
    !(1..=MAX_REVISION).contains(&entry.revision)
}
