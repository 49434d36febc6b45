//! Retries: spread, so that a thousand clients don't knock at the same moment, and ever slower.

use crate::time::{MINUTE_MS, SECOND_MS};

/// The first pause, in milliseconds.
const FIRST_MS: u64 = SECOND_MS;

/// The longest pause, in milliseconds.
pub(super) const LONGEST_MS: u64 = MINUTE_MS;

/// The pauses between attempts.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { failures: 0, random: seed }
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait before the next attempt, in milliseconds: doubled from one second up to
    /// `longest_ms`, and then between half and all of that.
    pub(super) fn next_pause_ms(&mut self, longest_ms: u64) -> u64 {
        let full_ms = FIRST_MS.saturating_mul(1 << self.failures.min(16)).min(longest_ms);
        self.failures = self.failures.saturating_add(1);
        full_ms / 2 + self.next_random() % (full_ms / 2 + 1)
    }

    /// `middle_ms`, or up to a tenth more or less of it.
    pub(super) fn around_ms(&mut self, middle_ms: u64) -> u64 {
        let tenth_ms = middle_ms / 10;
        (middle_ms - tenth_ms).saturating_add(self.next_random() % (2 * tenth_ms + 1))
    }

    /// The next number of the `SplitMix64` sequence: small, well spread, and the same from the same
    /// seed. Nothing secret depends on it.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_are_spread() {
        for (longest_ms, full) in [
            (LONGEST_MS, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]),
            (2_500, [1_000, 2_000, 2_500, 2_500, 2_500, 2_500, 2_500, 2_500]),
        ] {
            let mut backoff = Backoff::new(7);
            for full_ms in full {
                let pause_ms = backoff.next_pause_ms(longest_ms);
                assert!((full_ms / 2..=full_ms).contains(&pause_ms), "{pause_ms} of {full_ms}");
            }
            backoff.reset();
            assert!(backoff.next_pause_ms(longest_ms) <= 1_000);
        }
    }

    #[test]
    fn what_is_spread_stays_within_a_tenth() {
        let mut backoff = Backoff::new(7);
        let around: [u64; 100] = [(); 100].map(|()| backoff.around_ms(60_000));
        assert!(around.iter().all(|ms| (54_000..=66_000).contains(ms)), "{around:?}");
        assert!(around.iter().any(|&ms| ms < 57_000) && around.iter().any(|&ms| ms > 63_000));
        assert_eq!([0, 9].map(|ms| backoff.around_ms(ms)), [0, 9]);
        assert!(backoff.around_ms(u64::MAX) > u64::MAX / 10 * 8);
    }

    #[test]
    fn two_seeds_knock_at_different_moments() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(seed);
            [(); 4].map(|()| backoff.next_pause_ms(LONGEST_MS))
        };
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
    }
}
