//! The time mark: how expiry is judged when the wall clock can't be trusted.
//!
//! The mark is the latest wall time that this server is sure of. It is persisted, and advances by
//! the boot time that passes. A wall clock behind it does not count; one more than a day ahead of
//! it counts while it lasts, but enters the mark only after a day of running on it, so that one
//! wrong clock can't expire a license for good.

use crate::time::{DAY_MS, Elapsed, Now, Utc};

/// How far ahead of the mark the wall clock may be before it is doubted, in milliseconds.
pub const DOUBT_MS: u64 = DAY_MS;

/// What the wall clock looks like beside the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// Within a day of the mark, not behind it.
    Sound,
    /// Behind the mark by this many seconds: the mark counts.
    Behind(u64),
    /// More than a day ahead of the mark, by this many seconds: it counts while it lasts.
    Ahead(u64),
}

/// How far behind the wall clock may fall before it is worth a word, in seconds: clocks are
/// corrected by small steps all the time.
const STEP_SECONDS: i64 = 5;

/// The mark of a running server.
#[derive(Debug, Clone)]
pub struct TimeMark {
    mark: Utc,
    /// When `mark` was true.
    at: Elapsed,
    /// Since when the wall clock has been more than [`DOUBT_MS`] ahead without a break.
    ahead_since: Option<Elapsed>,
}

impl TimeMark {
    /// Takes up the `stored` mark at the server's start; a first start believes the wall clock.
    pub fn resume(stored: Option<Utc>, now: Now) -> Self {
        Self { mark: stored.unwrap_or(now.wall), at: now.elapsed, ahead_since: None }
    }

    /// The mark, advanced to `now`.
    pub fn mark(&self, now: Now) -> Utc {
        let passed_seconds = now.elapsed.since_ms(self.at) / 1_000;
        self.mark.plus_seconds(i64::try_from(passed_seconds).unwrap_or(i64::MAX))
    }

    /// The time that expiry is judged by.
    pub fn judged(&self, now: Now) -> Utc {
        self.mark(now).max(now.wall)
    }

    /// Compares the wall clock with the mark.
    pub fn state(&self, now: Now) -> ClockState {
        let mark = self.mark(now);
        let lead_seconds = now.wall.0.saturating_sub(mark.0);
        if lead_seconds < -STEP_SECONDS {
            ClockState::Behind(lead_seconds.unsigned_abs())
        } else if lead_seconds > (DOUBT_MS / 1_000).cast_signed() {
            ClockState::Ahead(lead_seconds.unsigned_abs())
        } else {
            ClockState::Sound
        }
    }

    /// Lets the mark follow a wall clock that has earned it.
    pub fn advance(&mut self, now: Now) {
        match self.state(now) {
            ClockState::Behind(_) => self.ahead_since = None,
            ClockState::Sound => {
                self.ahead_since = None;
                self.set(self.judged(now), now);
            }
            ClockState::Ahead(_) => {
                let since = *self.ahead_since.get_or_insert(now.elapsed);
                if now.elapsed.since_ms(since) >= DOUBT_MS {
                    self.ahead_since = None;
                    self.set(now.wall, now);
                }
            }
        }
    }

    fn set(&mut self, mark: Utc, now: Now) {
        self.mark = mark;
        self.at = now.elapsed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_SECONDS: i64 = 86_400;

    fn at(elapsed_ms: u64, wall: i64) -> Now {
        Now { elapsed: Elapsed(elapsed_ms), wall: Utc(wall) }
    }

    #[test]
    fn a_clock_set_back_gives_no_time_back() {
        let mark = TimeMark::resume(Some(Utc(1_000_000)), at(0, 1_000_000));
        let later = at(10_000, 500);
        assert_eq!(mark.judged(later), Utc(1_000_010));
        assert_eq!(mark.state(later), ClockState::Behind(999_510));
    }

    #[test]
    fn a_clock_far_ahead_expires_nothing_for_good() {
        let mut mark = TimeMark::resume(Some(Utc(1_000)), at(0, 1_000));
        let wrong = 1_000 + 400 * DAY_SECONDS;
        mark.advance(at(1_000, wrong));
        assert_eq!(mark.judged(at(1_000, wrong)), Utc(wrong));
        mark.advance(at(2_000, 1_002));
        assert_eq!(mark.judged(at(2_000, 1_002)), Utc(1_002));
    }

    #[test]
    fn a_day_on_a_clock_far_ahead_makes_it_true() {
        let mut mark = TimeMark::resume(Some(Utc(1_000)), at(0, 1_000));
        let ahead = 1_000 + 400 * DAY_SECONDS;
        mark.advance(at(0, ahead));
        mark.advance(at(DAY_MS, ahead + DAY_SECONDS));
        assert_eq!(mark.mark(at(DAY_MS, 0)), Utc(ahead + DAY_SECONDS));
    }
}
