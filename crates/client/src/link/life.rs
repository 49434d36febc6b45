//! Whether the server lives, and still knows that this side does.
//!
//! The server reserves a seat from the last message that *it* has heard. So what proves life here is
//! not when an answer came, which may have been on its way for long, but when the message was said
//! that it answers: the server has heard that one, and not earlier than it was said. Only so can a
//! grace period never outlast the reservation.

use std::{collections::VecDeque, time::Duration};

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

/// What is known of the server's life.
#[derive(Debug)]
pub(super) struct Life {
    clock: fn() -> Now,
    timeout: Duration,
    /// When the latest message was said of which the server has proved that it heard it.
    proved: Moment,
    /// When the heartbeats were said that are not answered yet; the link ends long before there are
    /// many.
    beats: VecDeque<Moment>,
}

impl Life {
    /// The server has answered what was said at `proved`.
    pub(super) fn new(clock: fn() -> Now, timeout: Duration, proved: Moment) -> Self {
        Self { clock, timeout, proved, beats: VecDeque::new() }
    }

    pub(super) fn now(&self) -> Moment {
        Moment::now(self.clock)
    }

    /// When the link is dead if nothing more is proved.
    pub(super) fn ends_at(&self) -> Instant {
        self.proved.timer + self.timeout
    }

    /// By how much that is over, in milliseconds. More than a moment only where the machine slept or
    /// this process was stopped.
    pub(super) fn late_ms(&self) -> u64 {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        (self.clock)().elapsed.since_ms(self.proved.boot).saturating_sub(timeout_ms)
    }

    /// A heartbeat is being said.
    pub(super) fn beats(&mut self) {
        self.beats.push_back(self.now());
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
        }
    }
}
