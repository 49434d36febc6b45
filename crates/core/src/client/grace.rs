//! The grace period: when it warns, when it asks for a clean shutdown, when it is over.

use super::backoff;
use crate::time::{Elapsed, HOUR_MS, MINUTE_MS};

/// How long before the end it warns again, in milliseconds.
const WARNINGS_MS: [u64; 5] = [HOUR_MS, 30 * MINUTE_MS, 10 * MINUTE_MS, 5 * MINUTE_MS, MINUTE_MS];

/// The shortest of the longest pauses between attempts, in milliseconds.
const SHORTEST_PAUSE_MS: u64 = 100;

/// A grace period that has begun.
#[derive(Debug, Clone)]
pub(super) struct Grace {
    length_ms: u64,
    ends: Elapsed,
    shutdown_at: Elapsed,
    /// Before which moment the last warning was given.
    warned_before: Elapsed,
    shutdown_asked: bool,
}

/// What is due in a grace period. Times left are for the eye: see [`Grace::left_ms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Say how much is left, in milliseconds.
    Warning(u64),
    /// Ask the guest to shut down; so many milliseconds are left.
    Shutdown(u64),
    /// Stop the guest.
    End,
}

impl Grace {
    /// A grace period of `length_ms` that begins at `since`. The clean shutdown is asked for
    /// `lead_ms` before the end, but never in its first half.
    pub(super) fn new(since: Elapsed, length_ms: u64, lead_ms: u64) -> Self {
        Self {
            length_ms,
            ends: since.plus_ms(length_ms),
            shutdown_at: since.plus_ms(length_ms - lead_ms.min(length_ms / 2)),
            warned_before: since,
            shutdown_asked: false,
        }
    }

    /// The milliseconds that are left, rounded up to a minute when there are more than one, but
    /// never more than the whole: a loss that is noticed by an attempt which took three seconds
    /// still reads `2 hours`.
    pub(super) fn left_ms(&self, now: Elapsed) -> u64 {
        let left_ms = self.ends.since_ms(now);
        if left_ms <= MINUTE_MS {
            left_ms
        } else {
            left_ms.div_ceil(MINUTE_MS).saturating_mul(MINUTE_MS).min(self.length_ms)
        }
    }

    /// The longest pause between two attempts, in milliseconds: there shall be some, however short
    /// the grace period is.
    pub(super) fn longest_pause_ms(&self) -> u64 {
        (self.length_ms / 10).clamp(SHORTEST_PAUSE_MS, backoff::LONGEST_MS)
    }

    /// When something is due next.
    pub(super) fn deadline(&self) -> Elapsed {
        let shutdown = (!self.shutdown_asked).then_some(self.shutdown_at);
        self.warnings().chain(shutdown).fold(self.ends, Elapsed::min)
    }

    /// The moments of the warnings that were not given yet.
    fn warnings(&self) -> impl Iterator<Item = Elapsed> {
        let moments =
            WARNINGS_MS.iter().filter_map(|&left_ms| self.ends.0.checked_sub(left_ms).map(Elapsed));
        moments.filter(|&moment| moment > self.warned_before)
    }

    /// What is due at `now`, once each; ask until there is nothing, or the end. Of several warnings
    /// that were slept through only the last is worth giving. The end never comes before the request
    /// to shut down, not even when both were slept through.
    pub(super) fn due(&mut self, now: Elapsed) -> Option<Due> {
        let over = now >= self.ends;
        if !over && self.warnings().any(|moment| moment <= now) {
            self.warned_before = now;
            return Some(Due::Warning(self.left_ms(now)));
        }
        if now >= self.shutdown_at && !self.shutdown_asked {
            self.shutdown_asked = true;
            return Some(Due::Shutdown(self.left_ms(now)));
        }
        over.then_some(Due::End)
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    /// Everything that is due from the beginning to the end, with its moment in milliseconds.
    fn course(length_ms: u64, lead_ms: u64) -> Vec<(u64, Due)> {
        let mut grace = Grace::new(Elapsed(0), length_ms, lead_ms);
        let mut course = vec![];
        loop {
            let now = grace.deadline();
            while let Some(due) = grace.due(now) {
                course.push((now.0, due));
                if due == Due::End {
                    return course;
                }
            }
        }
    }

    #[test]
    fn two_hours_warn_five_times_and_shut_down_ten_minutes_before_the_end() {
        let minute = |m: u64| m * MINUTE_MS;
        let expected = vec![
            (minute(60), Due::Warning(minute(60))),
            (minute(90), Due::Warning(minute(30))),
            (minute(110), Due::Warning(minute(10))),
            (minute(110), Due::Shutdown(minute(10))),
            (minute(115), Due::Warning(minute(5))),
            (minute(119), Due::Warning(minute(1))),
            (minute(120), Due::End),
        ];
        assert_eq!(course(minute(120), minute(10)), expected);
    }

    #[test]
    fn a_short_grace_period_gives_at_least_its_first_half() {
        assert_eq!(
            course(20_000, 600_000),
            vec![(10_000, Due::Shutdown(10_000)), (20_000, Due::End)]
        );
        assert_eq!(course(20_000, 4_000), vec![(16_000, Due::Shutdown(4_000)), (20_000, Due::End)]);
        assert_eq!(course(1, 4_000), vec![(1, Due::Shutdown(0)), (1, Due::End)]);
    }

    #[test]
    fn who_sleeps_through_it_gets_one_warning_and_the_request_before_the_end() {
        let mut grace = Grace::new(Elapsed(0), 2 * HOUR_MS, 10 * MINUTE_MS);
        let late = Elapsed(2 * HOUR_MS - 7 * MINUTE_MS - 1);
        let asked_late = [(); 3].map(|()| grace.due(late));
        let minutes = |m: u64| m * MINUTE_MS;
        assert_eq!(
            asked_late,
            [Some(Due::Warning(minutes(8))), Some(Due::Shutdown(minutes(8))), None]
        );
        let mut grace = Grace::new(Elapsed(0), 2 * HOUR_MS, 10 * MINUTE_MS);
        let too_late = [(); 2].map(|()| grace.due(Elapsed(3 * HOUR_MS)));
        assert_eq!(too_late, [Some(Due::Shutdown(0)), Some(Due::End)]);
    }

    #[test]
    fn what_is_left_reads_well() {
        for (length_ms, at_ms, left_ms) in [
            (2 * HOUR_MS, 4_900, 2 * HOUR_MS),
            (2 * HOUR_MS, HOUR_MS + 20, HOUR_MS),
            (90_000, 3, 90_000),
            (20_000, 5_000, 15_000),
            (20_000, 25_000, 0),
        ] {
            let grace = Grace::new(Elapsed(0), length_ms, MINUTE_MS);
            assert_eq!(grace.left_ms(Elapsed(at_ms)), left_ms);
        }
    }
}
