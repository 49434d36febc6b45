//! The grace period: when it warns, when it asks for a clean shutdown, when it is over.

use crate::time::{Elapsed, HOUR_MS, MINUTE_MS};

/// How long before the end it warns again, in milliseconds.
const WARNINGS_MS: [u64; 5] = [HOUR_MS, 30 * MINUTE_MS, 10 * MINUTE_MS, 5 * MINUTE_MS, MINUTE_MS];

/// A grace period that has begun.
#[derive(Debug, Clone)]
pub(super) struct Grace {
    ends: Elapsed,
    shutdown_at: Elapsed,
    /// Before which moment the last warning was given.
    warned_before: Elapsed,
    shutdown_asked: bool,
}

/// What is due in a grace period.
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
    /// A grace period of `grace_ms` that begins at `since`. The clean shutdown is asked for
    /// `lead_ms` before the end, but never in its first half.
    pub(super) fn new(since: Elapsed, grace_ms: u64, lead_ms: u64) -> Self {
        let ends = since.plus_ms(grace_ms);
        let shutdown_at = since.plus_ms(grace_ms - lead_ms.min(grace_ms / 2));
        Self { ends, shutdown_at, warned_before: since, shutdown_asked: false }
    }

    pub(super) fn left_ms(&self, now: Elapsed) -> u64 {
        self.ends.since_ms(now)
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

    /// What is due at `now`, once each; ask until there is nothing. Of several warnings that were
    /// slept through only the last is worth giving.
    pub(super) fn due(&mut self, now: Elapsed) -> Option<Due> {
        if now >= self.ends {
            return Some(Due::End);
        }
        if self.warnings().any(|moment| moment <= now) {
            self.warned_before = now;
            return Some(Due::Warning(self.left_ms(now)));
        }
        if now >= self.shutdown_at && !self.shutdown_asked {
            self.shutdown_asked = true;
            return Some(Due::Shutdown(self.left_ms(now)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    /// Everything that is due from the beginning to the end, with its moment in milliseconds.
    fn course(grace_ms: u64, lead_ms: u64) -> Vec<(u64, Due)> {
        let mut grace = Grace::new(Elapsed(0), grace_ms, lead_ms);
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
    }
}
