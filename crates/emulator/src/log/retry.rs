//! Which of many tries of the same kind are logged: the first, then one every ten minutes.

use ve_core::time::{Elapsed, MINUTE_MS};

/// How far apart two logged tries are, in milliseconds.
const INTERVAL_MS: u64 = 10 * MINUTE_MS;

/// Remembers when a series of tries was last logged.
#[derive(Debug, Clone, Copy, Default)]
pub struct RetryLog {
    last: Option<Elapsed>,
}

impl RetryLog {
    /// Whether the try at `now` is to be logged; if so, the next ten minutes' are not.
    pub fn is_due(&mut self, now: Elapsed) -> bool {
        let due = self.last.is_none_or(|last| now.since_ms(last) >= INTERVAL_MS);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// The series is over: the next try is the first of a new one.
    pub const fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_logged_and_then_one_every_ten_minutes() {
        let mut log = RetryLog::default();
        let minutes = |count: u64| Elapsed(count * MINUTE_MS);
        let due: Vec<u64> = (0..35).filter(|&minute| log.is_due(minutes(minute))).collect();
        assert_eq!(due, [0, 10, 20, 30]);
        log.reset();
        assert!(log.is_due(minutes(35)));
    }
}
