//! Taking the peer's changes: ask for what comes after the last durable one, write down what comes in
//! the order in which it comes, say up to where it is durable.
//!
//! One batch is written at a time, and what comes meanwhile waits. So no later change can become
//! durable before an earlier one that fails, and the position that is remembered never skips any. A
//! batch that can't be written is tried again by a review; the window keeps what waits bounded.

use alloc::{collections::VecDeque, vec::Vec};

use super::{MAX_CHANGES, MAX_PEER_LINKS, Node, PeerMessage, WINDOW, misspoken};
use crate::{
    id::LinkId,
    node::{event::AppendError, io::Note},
    reason::Refusal,
    registry::{HostEntry, Position, entry::MAX_REVISION},
    time::{Elapsed, Now},
};

/// How long a pull may stay without an answer before it is made again, in milliseconds.
const PATIENCE_MS: u64 = 8_000;

/// A changes message that was heard.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) link: LinkId,
    pub(super) entries: Vec<HostEntry>,
    pub(super) upto: Position,
}

/// Some messages of one link, which become durable together.
#[derive(Debug)]
pub(super) struct Taking {
    pub(super) link: LinkId,
    pub(super) messages: Vec<Heard>,
    /// Whether the ledger knows the hosts that are retired by it.
    pub(super) retirements_are_written: bool,
}

/// What becomes of the messages that are first in turn.
#[derive(Debug, Default)]
pub(super) enum Stage {
    /// There are none.
    #[default]
    Idle,
    /// The ledger is being told whom they retire.
    Ledger(Taking),
    /// The registry is being written.
    Registry(Taking),
    /// Something could not be written.
    Failed(Taking),
}

/// What is taken from the peer.
#[derive(Debug, Default)]
pub(super) struct Pulling {
    /// Up to where the peer's changes are durable here.
    pulled: Option<Position>,
    pub(super) stage: Stage,
    queue: VecDeque<Heard>,
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
        Self { pulled, ..Self::default() }
    }

    pub(super) fn is_in_step(&self) -> bool {
        self.progress.in_step
    }

    /// How many of the peer's changes are here, of how many; both count what was changed more than
    /// once.
    pub(super) fn progress(&self) -> (u64, u64) {
        let done = self.pulled.map_or(0, |pulled| pulled.number);
        let of = self.progress.last.max(self.progress.target.unwrap_or(0));
        (done.min(of), of)
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

    fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle) && self.queue.is_empty()
    }

    /// The next messages of one link. Not the whole window: the peer goes on sending meanwhile.
    fn next_taking(&mut self) -> Option<Taking> {
        let link = self.queue.front()?.link;
        let of_link = self.queue.iter().take_while(|heard| heard.link == link);
        let count = of_link.take(WINDOW / 4).count();
        let messages = self.queue.drain(..count).collect();
        Some(Taking { link, messages, retirements_are_written: false })
    }
}

impl Node {
    /// Asks the peer for what this server doesn't have.
    pub(super) fn pull(&mut self, now: Now, link: LinkId) {
        let Some(peer) = self.peers.links.get_mut(&link) else { return };
        peer.pulls = peer.pulls.saturating_add(1);
        self.peers.pulling.progress.asked = Some(now.elapsed);
        // With several links, the peer may have heard this before an earlier pull on another.
        self.peers.pulling.pull_again = self.peers.links.len() > 1;
        let registry = &self.hosts.registry;
        let pull = PeerMessage::Pull {
            after: self.peers.pulling.pulled,
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
        // What earlier pulls have set in motion may still be on its way.
        let window = WINDOW * speaker.pulls.clamp(1, MAX_PEER_LINKS);
        let wrong = [
            (entries.len() > MAX_CHANGES, "there are too many changes in a message"),
            (upto.number > last, "it names a change after its last one"),
            (entries.iter().any(is_out_of_range), "a change has an impossible revision"),
            (speaker.untaken >= window, "it does not wait until its changes are taken"),
        ];
        if let Some((_, what)) = wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            return Err(misspoken(what));
        }
        speaker.untaken += 1;
        self.hear_last(now, last);
        self.peers.pulling.progress.asked = None;
        self.peers.pulling.progress.target.get_or_insert(last);
        self.peers.pulling.queue.push_back(Heard { link, entries, upto });
        self.take_changes(now);
        Ok(())
    }

    fn hear_last(&mut self, now: Now, last: u64) {
        if let Some(offer) = &mut self.peers.offer {
            offer.hear_last(last);
        }
        let progress = &mut self.peers.pulling.progress;
        progress.last = last;
        if self.peers.pulling.pulled.is_none_or(|pulled| pulled.number < last) {
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

    /// Goes on with what waits, unless something is under way.
    fn take_changes(&mut self, now: Now) {
        if matches!(self.peers.pulling.stage, Stage::Idle)
            && let Some(taking) = self.peers.pulling.next_taking()
        {
            self.write_retirements(now, taking);
        }
    }

    /// The peer's changes up to here are durable, or not.
    pub(in crate::node) fn taken(
        &mut self,
        now: Now,
        link: LinkId,
        upto: Position,
        outcome: &Result<(), AppendError>,
    ) {
        let Stage::Registry(taking) = core::mem::take(&mut self.peers.pulling.stage) else {
            return;
        };
        if outcome.is_err() {
            return self.fail_to_take(taking);
        }
        self.peers.pulling.pulled = Some(upto);
        if let Some(peer) = self.peers.links.get_mut(&link) {
            peer.untaken = peer.untaken.saturating_sub(taking.messages.len());
            self.say(link, PeerMessage::Taken { upto });
        }
        let progress = &mut self.peers.pulling.progress;
        if upto.number >= progress.last {
            progress.behind_since = None;
        }
        self.come_in_step(now);
        self.take_changes(now);
    }

    /// Nobody waits for what came over a link that is gone.
    pub(super) fn fail_to_take(&mut self, taking: Taking) {
        if self.peers.links.contains_key(&taking.link) {
            self.peers.pulling.stage = Stage::Failed(taking);
        }
    }

    fn come_in_step(&mut self, now: Now) {
        let done = self.peers.pulling.pulled.map_or(0, |pulled| pulled.number);
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

    /// Forgets what came over a link that is gone, unless it is being written already.
    pub(super) fn drop_unwritten(&mut self, link: LinkId) {
        let pulling = &mut self.peers.pulling;
        pulling.queue.retain(|heard| heard.link != link);
        if matches!(&pulling.stage, Stage::Failed(taking) if taking.link == link) {
            pulling.stage = Stage::Idle;
        }
    }

    /// Tries again what failed, and asks again where nothing came.
    pub(super) fn review_pulling(&mut self, now: Now) {
        match core::mem::take(&mut self.peers.pulling.stage) {
            Stage::Failed(taking) => self.write_retirements(now, taking),
            stage => self.peers.pulling.stage = stage,
        }
        self.take_changes(now);
        let Some(link) = self.talk_link() else { return };
        let pulling = &mut self.peers.pulling;
        let asked = pulling.progress.asked.filter(|_| pulling.is_idle());
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
