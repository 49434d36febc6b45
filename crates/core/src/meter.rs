//! Runtime hours: the clock of a `COUNTDOWN` license.
//!
//! It runs while at least one session of the license is live, whatever their number, and charges up
//! to the last proof of life of the last one. A session that comes back within its lease is charged
//! for the gap: it ran on meanwhile.

use alloc::vec::Vec;

use crate::time::Elapsed;

/// How often the used time is written to the ledger while it runs, in milliseconds: a crash loses
/// no more than this.
pub const PERSIST_EVERY_MS: u64 = 50_000;

/// How many uncharged stretches a meter remembers; of more, the oldest are forgotten.
const MAX_IDLE: usize = 64;

/// The meter of one license version.
#[derive(Debug, Clone)]
pub struct Meter {
    used_ms: u64,
    /// What the ledger knows of.
    persisted_ms: u64,
    live: usize,
    /// Up to where `used_ms` was charged, while it runs and during the gap after it.
    charged_to: Elapsed,
    /// The stretches that were not charged because a new session started after them. A session that
    /// left before one and returns later ran through it.
    idle: Vec<(Elapsed, Elapsed)>,
}

impl Meter {
    /// A meter that has `used_ms` on it, as the ledger says, and counts from `now` on.
    pub fn resume(used_ms: u64, now: Elapsed) -> Self {
        Self { used_ms, persisted_ms: used_ms, live: 0, charged_to: now, idle: Vec::new() }
    }

    /// A session starts at `now`; `left_at` when it only comes back from a gap that began then.
    pub fn start(&mut self, now: Elapsed, left_at: Option<Elapsed>) {
        if let Some(left_at) = left_at {
            self.charge_idle_after(left_at);
        }
        if self.live > 0 || left_at.is_some() {
            self.charge(now);
        } else {
            self.skip_to(now);
        }
        self.live += 1;
    }

    fn skip_to(&mut self, now: Elapsed) {
        if now <= self.charged_to {
            return;
        }
        if self.idle.len() == MAX_IDLE {
            self.idle.remove(0);
        }
        self.idle.push((self.charged_to, now));
        self.charged_to = now;
    }

    fn charge_idle_after(&mut self, left_at: Elapsed) {
        for (from, to) in &mut self.idle {
            let charged_from = left_at.max(*from).min(*to);
            self.used_ms += to.since_ms(charged_from);
            *to = charged_from;
        }
        self.idle.retain(|(from, to)| from < to);
    }

    /// A session is no longer live; its last proof of life was at `last_heard`.
    pub fn stop(&mut self, now: Elapsed, last_heard: Elapsed) {
        self.live = self.live.saturating_sub(1);
        self.charge(if self.live > 0 { now } else { last_heard });
    }

    /// Charges up to `now` if the clock runs.
    pub fn advance(&mut self, now: Elapsed) {
        if self.live > 0 {
            self.charge(now);
        }
    }

    /// Charges up to `now` and stops for good: another license version took its place.
    pub fn retire(&mut self, now: Elapsed) {
        self.advance(now);
        self.live = 0;
    }

    fn charge(&mut self, to: Elapsed) {
        self.used_ms += to.since_ms(self.charged_to);
        self.charged_to = self.charged_to.max(to);
    }

    /// Whether the clock runs.
    pub fn runs(&self) -> bool {
        self.live > 0
    }

    /// The time that was charged so far, in milliseconds; it never goes back.
    pub fn charged_ms(&self) -> u64 {
        self.used_ms
    }

    /// The time used up to `now`, in milliseconds, if the live sessions turn out to have run until
    /// then: one that has been silent is not charged for its silence.
    pub fn used_ms(&self, now: Elapsed) -> u64 {
        if self.runs() { self.used_ms + now.since_ms(self.charged_to) } else { self.used_ms }
    }

    /// The charged time that the ledger does not know of yet.
    pub fn unpersisted(&self) -> Option<u64> {
        (self.used_ms > self.persisted_ms).then_some(self.used_ms)
    }

    /// The ledger knows of `used_ms` now.
    pub fn persisted(&mut self, used_ms: u64) {
        self.persisted_ms = self.persisted_ms.max(used_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sessions_cost_as_much_as_one() {
        let mut meter = Meter::resume(0, Elapsed(0));
        meter.start(Elapsed(100), None);
        meter.start(Elapsed(200), None);
        meter.stop(Elapsed(300), Elapsed(290));
        meter.stop(Elapsed(500), Elapsed(450));
        assert_eq!(meter.used_ms(Elapsed(9_999)), 350);
    }

    #[test]
    fn a_gap_is_charged_to_who_comes_back_and_to_no_one_else() {
        let mut meter = Meter::resume(0, Elapsed(0));
        meter.start(Elapsed(0), None);
        meter.stop(Elapsed(110), Elapsed(100));
        meter.start(Elapsed(160), Some(Elapsed(100)));
        assert_eq!(meter.used_ms(Elapsed(160)), 160);
        meter.stop(Elapsed(160), Elapsed(160));
        meter.start(Elapsed(900), None);
        assert_eq!(meter.used_ms(Elapsed(900)), 160);
    }

    #[test]
    fn a_gap_is_charged_once_whoever_starts_in_it() {
        let mut meter = Meter::resume(0, Elapsed(0));
        meter.start(Elapsed(0), None);
        meter.start(Elapsed(0), None);
        meter.stop(Elapsed(50), Elapsed(50));
        meter.stop(Elapsed(100), Elapsed(100));
        // A newcomer starts in the gap of both, so the time before it is not charged yet ...
        meter.start(Elapsed(130), None);
        assert_eq!(meter.used_ms(Elapsed(150)), 120);
        // ... until they come back and turn out to have run.
        meter.start(Elapsed(160), Some(Elapsed(100)));
        assert_eq!(meter.used_ms(Elapsed(160)), 160);
        meter.start(Elapsed(170), Some(Elapsed(50)));
        assert_eq!(meter.used_ms(Elapsed(170)), 170);
    }

    #[test]
    fn a_meter_that_never_ran_does_not_charge_what_was_before_it() {
        let mut meter = Meter::resume(0, Elapsed(5_000));
        meter.start(Elapsed(5_010), Some(Elapsed(4_000)));
        assert_eq!(meter.used_ms(Elapsed(5_010)), 10);
    }
}
