//! The queue between those who log and the thread that writes.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Entry, sink::missing};

/// How many lines may wait for one place; further ones are dropped and counted.
///
/// Enough for a second of logins at the rate that a server can reach; some megabytes at most.
pub const MAX_QUEUED_LINES: usize = 8_192;

/// What never came to be written, since the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses {
    /// Lines that came faster than they could be written.
    pub dropped: u64,
    /// Lines that the disk, or whatever the place is, did not take.
    pub unwritten: u64,
}

/// What the writing thread does next.
pub(super) enum Work {
    Put(Arc<Entry>),
    Reopen,
    /// Everything before this is to be durable.
    Sync(u64),
    /// The queue is closed and empty.
    End,
}

/// Lines on their way to one place. Nobody who pushes ever waits for the place.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    has_work: Condvar,
    was_synced: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// Dropped lines that no line of the log tells of yet.
    dropped: u64,
    losses: Losses,
    reopen: bool,
    closed: bool,
    last_ticket: u64,
    /// The last ticket that was served, and whether everything was durable then.
    synced: (u64, bool),
}

enum Item {
    Line(Arc<Entry>),
    Sync(u64),
}

impl Queue {
    /// Takes a line, or drops it when too many are waiting or the queue is closed.
    pub(super) fn push(&self, entry: Arc<Entry>) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        if state.items.len() >= MAX_QUEUED_LINES {
            state.dropped += 1;
            state.losses.dropped += 1;
            return;
        }
        state.add(entry);
        drop(state);
        self.has_work.notify_one();
    }

    /// Has the place found anew, before the next line.
    pub(super) fn reopen(&self) {
        self.state().reopen = true;
        self.has_work.notify_one();
    }

    /// Asks for everything until here to be made durable; see [`Queue::wait`].
    pub(super) fn sync(&self) -> u64 {
        let ticket = self.state().take_ticket();
        self.has_work.notify_one();
        ticket
    }

    /// Takes one last line, however many are waiting, and no more after it.
    pub(super) fn close(&self, last: Option<Arc<Entry>>) -> u64 {
        let mut state = self.state();
        if let (false, Some(last)) = (state.closed, last) {
            state.add(last);
        }
        let ticket = state.take_ticket();
        state.closed = true;
        drop(state);
        self.has_work.notify_one();
        ticket
    }

    /// Whether everything before `ticket` is durable at `deadline`, or earlier.
    pub(super) fn wait(&self, ticket: u64, deadline: Instant) -> bool {
        let mut state = self.state();
        while state.synced.0 < ticket {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return false;
            }
            let waited = self.was_synced.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.synced.1
    }

    pub(super) fn losses(&self) -> Losses {
        self.state().losses
    }

    /// Waits for something to do.
    pub(super) fn next(&self) -> Work {
        let mut state = self.state();
        loop {
            if let Some(work) = state.next() {
                return work;
            }
            state = self.has_work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The place did not take a line.
    pub(super) fn count_unwritten(&self) {
        self.state().losses.unwritten += 1;
    }

    /// Tells those who wait for `ticket` whether everything before it is durable.
    pub(super) fn synced(&self, ticket: u64, durable: bool) {
        self.state().synced = (ticket, durable);
        self.was_synced.notify_all();
    }

    /// No one panics while holding the lock, so what a poisoned one guards is sound.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a line, behind one that tells of those that were dropped before it.
    fn add(&mut self, entry: Arc<Entry>) {
        if let Some(missing) = self.told_dropped(&entry) {
            self.items.push_back(Item::Line(missing));
        }
        self.items.push_back(Item::Line(entry));
    }

    fn told_dropped(&mut self, next: &Entry) -> Option<Arc<Entry>> {
        let count = std::mem::take(&mut self.dropped);
        (count > 0).then(|| Arc::new(missing(next.time(), count, "dropped")))
    }

    /// A closed queue has had its last ticket.
    fn take_ticket(&mut self) -> u64 {
        if !self.closed {
            self.last_ticket += 1;
            self.items.push_back(Item::Sync(self.last_ticket));
        }
        self.last_ticket
    }

    fn next(&mut self) -> Option<Work> {
        if std::mem::take(&mut self.reopen) {
            return Some(Work::Reopen);
        }
        match self.items.pop_front() {
            Some(Item::Line(entry)) => Some(Work::Put(entry)),
            Some(Item::Sync(ticket)) => Some(Work::Sync(ticket)),
            None if self.closed => Some(Work::End),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Level, Module},
        *,
    };

    fn push(queue: &Queue, message: usize) {
        queue.push(Arc::new(Entry::new(Level::Info, Module::Server, message)));
    }

    fn drain(queue: &Queue) -> Vec<String> {
        let mut messages = Vec::new();
        while let Work::Put(entry) = queue.next() {
            messages.push(entry.message().to_owned());
        }
        messages
    }

    #[test]
    fn a_full_queue_drops_counts_and_tells_in_the_right_place() {
        let queue = Queue::default();
        (0..MAX_QUEUED_LINES + 5).for_each(|number| push(&queue, number));
        assert!(matches!(queue.next(), Work::Put(entry) if entry.message() == "0"));
        push(&queue, 77);
        assert_eq!(queue.losses(), Losses { dropped: 5, unwritten: 0 });

        // The last line is taken, however full the queue is, and none after it.
        let last = Entry::new(Level::Info, Module::Main, "last");
        queue.close(Some(Arc::new(last)));
        push(&queue, 78);
        let messages = drain(&queue);
        let tail = [&(MAX_QUEUED_LINES - 1).to_string(), "5 lines were dropped.", "77", "last"];
        assert_eq!(messages[messages.len() - 4..], tail);
        assert_eq!(messages.len(), MAX_QUEUED_LINES - 1 + 3);
        assert!(matches!(queue.next(), Work::End));
    }
}
