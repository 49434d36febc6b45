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
    /// Since when the wall clock has been more than [`DOUBT_MS`] ahead without a break, and by how
    /// many seconds then.
    ahead: Option<(Elapsed, u64)>,
}

impl TimeMark {
    /// Takes up the `stored` mark at the server's start; a first start believes the wall clock.
    pub fn resume(stored: Option<Utc>, now: Now) -> Self {
        Self { mark: stored.unwrap_or(now.wall), at: now.elapsed, ahead: None }
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

    /// Raises the mark to what it was already, as somebody proves; whether that is higher.
    pub fn raise(&mut self, now: Now, to: Utc) -> bool {
        let is_higher = to > self.mark(now);
        if is_higher {
            *self = Self { mark: to, at: now.elapsed, ahead: None };
        }
        is_higher
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
            ClockState::Behind(_) => self.ahead = None,
            ClockState::Sound => self.follow(now),
            ClockState::Ahead(lead_seconds) => self.doubt(now, lead_seconds),
        }
    }

    /// Believes a clock that is ahead once it has been so for a day. One that jumped on meanwhile is
    /// another wrong clock, and its day starts anew.
    fn doubt(&mut self, now: Now, lead_seconds: u64) {
        let (since, first_lead) = *self.ahead.get_or_insert((now.elapsed, lead_seconds));
        if lead_seconds > first_lead + DOUBT_MS / 1_000 {
            self.ahead = Some((now.elapsed, lead_seconds));
        } else if now.elapsed.since_ms(since) >= DOUBT_MS {
            self.follow(now);
        }
    }

    /// A wall clock that is not ahead leaves the mark alone: it advances by itself, and setting it
    /// to itself would round down the part of a second that has passed.
    fn follow(&mut self, now: Now) {
        self.ahead = None;
        if now.wall > self.mark(now) {
            self.mark = now.wall;
            self.at = now.elapsed;
        }
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

    #[test]
    fn a_clock_that_jumps_on_while_it_is_doubted_is_doubted_anew() {
        let mut mark = TimeMark::resume(Some(Utc(1_000)), at(0, 1_000));
        mark.advance(at(0, 1_000 + 2 * DAY_SECONDS));
        mark.advance(at(DAY_MS, 1_000 + 4_000 * DAY_SECONDS));
        assert_eq!(mark.mark(at(DAY_MS, 0)), Utc(1_000 + DAY_SECONDS));
    }

    #[test]
    fn what_is_proven_raises_the_mark_and_never_lowers_it() {
        let mut mark = TimeMark::resume(Some(Utc(1_000)), at(0, 1_000));
        assert!(mark.raise(at(5_000, 0), Utc(2_000)));
        assert!(!mark.raise(at(6_000, 0), Utc(2_001)));
        assert_eq!(mark.mark(at(7_000, 0)), Utc(2_002));
    }

    #[test]
    fn looking_often_does_not_slow_the_mark_down() {
        let mut mark = TimeMark::resume(Some(Utc(1_000)), at(0, 1_000));
        for elapsed_ms in (0..100_000).step_by(900) {
            mark.advance(at(elapsed_ms, 999 + i64::try_from(elapsed_ms / 1_000).expect("small")));
        }
        assert_eq!(mark.mark(at(100_000, 0)), Utc(1_100));
    }
}
