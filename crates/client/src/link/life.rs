//! Whether the server lives, and still knows that this side does.
//!
//! The server reserves a seat from the last message that *it* has heard. So what proves life here is
//! not when an answer came, which may have been on its way for long, but when the message was said
//! that it answers: the server has heard that one, and not earlier than it was said. Only so can a
//! grace period never outlast the reservation.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use ve_core::time::{Elapsed, Now};

/// A moment by both clocks: that of the timers, which stand still while the machine sleeps, and the
/// boot clock, which does not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    timer: Instant,
    boot: Elapsed,
}

impl Moment {
    pub(crate) fn now(clock: fn() -> Now) -> Self {
        Self { timer: Instant::now(), boot: clock().elapsed }
    }
}

/// The most heartbeats that may be unanswered: more than fit into the longest time-out.
const MAX_BEATS: usize = 1_024;

/// When a link is over unless more is proved, by the boot clock. Whoever holds a copy can tell the
/// end of a link without waiting until its task has found it.
#[derive(Debug, Clone)]
pub(crate) struct EndOfLife(Arc<AtomicU64>);

impl EndOfLife {
    /// The moment, as things are.
    pub(crate) fn at(&self) -> Elapsed {
        Elapsed(self.0.load(Ordering::Relaxed))
    }
}

/// What is known of the server's life.
#[derive(Debug)]
pub(super) struct Life {
    clock: fn() -> Now,
    timeout: Duration,
    /// When the latest message was said of which the server has proved that it heard it.
    proved: Moment,
    end: EndOfLife,
    /// When the heartbeats were said that are not answered yet.
    beats: VecDeque<Moment>,
}

impl Life {
    /// The server has answered what was said at `proved`.
    pub(super) fn new(clock: fn() -> Now, timeout: Duration, proved: Moment) -> Self {
        let end = EndOfLife(Arc::default());
        let life = Self { clock, timeout, proved, end, beats: VecDeque::new() };
        life.tell_end();
        life
    }

    /// When it is over, from now on.
    pub(super) fn end(&self) -> EndOfLife {
        self.end.clone()
    }

    fn tell_end(&self) {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        self.end.0.store(self.proved.boot.plus_ms(timeout_ms).0, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Moment {
        Moment::now(self.clock)
    }

    /// When the link is dead if nothing more is proved.
    pub(super) fn ends_at(&self) -> Instant {
        self.proved.timer + self.timeout
    }

    /// Whether that is over by the boot clock: long ago, where the machine slept or this process was
    /// stopped.
    pub(super) fn is_over(&self) -> bool {
        (self.clock)().elapsed > self.end.at()
    }

    /// A heartbeat is being said. `false`: it must not be, for too many were never answered, by a
    /// server that answers other things.
    pub(super) fn beats(&mut self) -> bool {
        let may = self.beats.len() < MAX_BEATS;
        if may {
            self.beats.push_back(self.now());
        }
        may
    }

    /// The server has answered a heartbeat: the first that it had not answered. One that nobody
    /// asked for proves nothing.
    pub(super) fn beat_was_answered(&mut self) {
        if let Some(said) = self.beats.pop_front() {
            self.prove(said);
        }
    }

    /// The server has answered what was said then.
    pub(super) fn prove(&mut self, said: Moment) {
        if said.timer > self.proved.timer {
            self.proved = said;
            self.tell_end();
        }
    }
}

#[cfg(test)]
mod tests {
    use ve_core::time::Utc;

    use super::*;

    fn clock() -> Now {
        Now { elapsed: Elapsed(7_000), wall: Utc(0) }
    }

    #[test]
    fn a_server_that_answers_no_heartbeat_is_not_remembered_for_ever() {
        let mut life = Life::new(clock, Duration::from_secs(5), Moment::now(clock));
        assert!((0..MAX_BEATS).all(|_| life.beats()));
        assert!(!life.beats() && life.beats.len() == MAX_BEATS);
        life.beat_was_answered();
        assert!(life.beats());
    }

    #[test]
    fn the_end_moves_on_with_what_is_proved() {
        let earlier = Moment { boot: Elapsed(1_000), ..Moment::now(clock) };
        let mut life = Life::new(clock, Duration::from_secs(5), earlier);
        let end = life.end();
        assert_eq!((end.at(), life.is_over()), (Elapsed(6_000), true));
        life.prove(Moment::now(clock));
        assert_eq!((end.at(), life.is_over()), (Elapsed(12_000), false));
        life.prove(earlier);
        assert_eq!(end.at(), Elapsed(12_000), "what is older proves nothing more");
    }
}
