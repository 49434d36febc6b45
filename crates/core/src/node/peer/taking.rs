//! What was heard of the peer's changes and is not durable yet.
//!
//! A batch is merged while the one before it is written. The position that is remembered must not skip
//! any: a batch that is not the only one under way says how far everything was durable when it was
//! begun, and not how far it goes itself. When one fails, all that were begun after it count as failed as
//! well, and are tried again by a review.

use alloc::{collections::VecDeque, vec::Vec};

use super::WINDOW;
use crate::{
    id::LinkId,
    registry::{HostEntry, Position},
};

/// How many batches are on their way to the registry's file: while one is written, the next is merged.
const WRITES_AT_ONCE: usize = 2;

/// The most messages that become durable together: not the whole window, the peer goes on sending
/// meanwhile.
const MESSAGES_AT_ONCE: usize = WINDOW / 4;

/// Names a batch.
pub(in crate::node) type TakingId = u64;

/// A changes message that was heard.
#[derive(Debug)]
pub(super) struct Heard {
    link: LinkId,
    pub(super) entries: Vec<HostEntry>,
    pub(super) upto: Position,
    /// Whether the ledger knows the hosts that are retired by it.
    pub(super) is_recorded: bool,
}

/// Some messages of one link, which become durable together.
#[derive(Debug)]
pub(super) struct Taking {
    pub(super) link: LinkId,
    pub(super) messages: Vec<Heard>,
}

/// What becomes of the messages that are first in turn.
#[derive(Debug, Default)]
enum Stage {
    /// They are merged as soon as the registry's file has room for them.
    #[default]
    Idle,
    /// The ledger is being told whom they retire.
    Ledger(Taking),
    /// They could not be written, and wait for a review.
    Failed,
}

/// A batch on its way to the registry's file.
#[derive(Debug)]
struct Writing {
    id: TakingId,
    taking: Taking,
    upto: Position,
    /// What it says of how far the peer's changes are here; `None`: nothing.
    cursor: Option<Position>,
    is_durable: bool,
}

/// The messages on their way.
#[derive(Debug, Default)]
pub(super) struct Takings {
    /// Up to where the peer's changes are durable here.
    pulled: Option<Position>,
    /// What the registry's file says of that: the same, or less.
    written: Option<Position>,
    stage: Stage,
    queue: VecDeque<Heard>,
    /// The oldest first.
    writing: VecDeque<Writing>,
    last_id: TakingId,
}

impl Takings {
    pub(super) fn new(pulled: Option<Position>) -> Self {
        Self { pulled, written: pulled, ..Self::default() }
    }

    /// Up to where the peer's changes are durable here.
    pub(super) fn pulled(&self) -> Option<Position> {
        self.pulled
    }

    /// The number of the peer's last change that is durable here.
    pub(super) fn done(&self) -> u64 {
        self.pulled.map_or(0, |pulled| pulled.number)
    }

    /// Whether there is nothing on its way.
    pub(super) fn are_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle) && self.queue.is_empty() && self.writing.is_empty()
    }

    pub(super) fn are_being_written(&self) -> bool {
        !self.writing.is_empty()
    }

    pub(super) fn hear(&mut self, link: LinkId, entries: Vec<HostEntry>, upto: Position) {
        self.queue.push_back(Heard { link, entries, upto, is_recorded: false });
    }

    /// The next messages of one link, if there is room for them.
    pub(super) fn next(&mut self) -> Option<Taking> {
        if !matches!(self.stage, Stage::Idle) || self.writing.len() >= WRITES_AT_ONCE {
            return None;
        }
        let link = self.queue.front()?.link;
        let of_link = self.queue.iter().take_while(|heard| heard.link == link);
        let count = of_link.take(MESSAGES_AT_ONCE).count();
        let messages = self.queue.drain(..count).collect();
        Some(Taking { link, messages })
    }

    /// They are first in turn again.
    pub(super) fn put_back(&mut self, taking: Taking) {
        taking.messages.into_iter().rev().for_each(|heard| self.queue.push_front(heard));
    }

    /// The ledger is told whom they retire; nothing else is begun meanwhile.
    pub(super) fn record(&mut self, taking: Taking) {
        self.stage = Stage::Ledger(taking);
    }

    /// What the ledger was told of, when its outcome is known.
    pub(super) fn recorded(&mut self) -> Option<Taking> {
        match core::mem::take(&mut self.stage) {
            Stage::Ledger(taking) => Some(taking),
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    /// A batch goes to the registry's file: what it is called, and what it says of how far everything is
    /// durable once it is.
    pub(super) fn begin(&mut self, taking: Taking, upto: Position) -> (TakingId, Option<Position>) {
        self.last_id += 1;
        let cursor = if self.writing.is_empty() { Some(upto) } else { self.pulled };
        let id = self.last_id;
        self.writing.push_back(Writing { id, taking, upto, cursor, is_durable: false });
        (id, cursor)
    }

    /// The outcome of a batch is known. One that counts as failed already is passed over.
    pub(super) fn settle(&mut self, id: TakingId, is_durable: bool) {
        let Some(index) = self.writing.iter().position(|writing| writing.id == id) else { return };
        if is_durable {
            self.writing[index].is_durable = true;
            return;
        }
        for failed in self.writing.split_off(index).into_iter().rev() {
            self.fail(failed.taking);
        }
    }

    /// They could not be written.
    pub(super) fn fail(&mut self, taking: Taking) {
        self.put_back(taking);
        self.stage = Stage::Failed;
    }

    /// The oldest batch, if it is durable.
    pub(super) fn next_durable(&mut self) -> Option<(Taking, Position)> {
        self.writing.front().filter(|oldest| oldest.is_durable)?;
        let Writing { taking, upto, cursor, .. } = self.writing.pop_front()?;
        self.pulled = Some(upto);
        self.written = cursor.or(self.written);
        Some((taking, upto))
    }

    /// What failed has its turn again.
    pub(super) fn try_again(&mut self) {
        if matches!(self.stage, Stage::Failed) {
            self.stage = Stage::Idle;
        }
    }

    /// How far the peer's changes are here, if the registry's file says something else and nothing is on
    /// its way there.
    pub(super) fn unwritten(&self) -> Option<Position> {
        self.pulled.filter(|_| self.are_idle() && self.written != self.pulled)
    }

    /// The registry's file says so from now on.
    pub(super) fn note_written(&mut self, pulled: Position) {
        self.written = Some(pulled);
    }

    /// Forgets what came over other links, unless it is being written already.
    pub(super) fn retain(&mut self, is_there: impl Fn(LinkId) -> bool) {
        let has_next = self.queue.front().is_some_and(|heard| is_there(heard.link));
        self.queue.retain(|heard| is_there(heard.link));
        if !has_next {
            self.try_again();
        }
    }
}
