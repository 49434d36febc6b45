//! Time as it is, and as the machines' clocks show it.

use ve_core::{
    id::BootId,
    time::{Elapsed, Now, Utc},
};

use crate::random::Random;

/// True time: milliseconds since the simulation began. No machine knows it.
pub(crate) type At = u64;

/// What a good wall clock shows when the simulation begins.
const BEGINNING: Utc = Utc(1_798_732_500);

/// How far a crystal may be off, in parts per million.
const MAX_DRIFT_PPM: u64 = 200;

const MILLION: i128 = 1_000_000;

/// The clocks of one machine since it booted.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    pub(crate) boot: BootId,
    booted: At,
    drift_ppm: i64,
    /// By how much the wall clock is wrong, in seconds.
    pub(crate) wall_off: i64,
}

impl Clock {
    pub(crate) fn new(random: &mut Random, at: At) -> Self {
        let drift = random.between(0, 2 * MAX_DRIFT_PPM).cast_signed();
        let drift_ppm = drift - MAX_DRIFT_PPM.cast_signed();
        Self { boot: BootId(random.bytes()), booted: at, drift_ppm, wall_off: 0 }
    }

    /// The machine boots: another boot, and its clock starts from zero.
    pub(crate) fn reboot(&mut self, random: &mut Random, at: At) {
        self.boot = BootId(random.bytes());
        self.booted = at;
    }

    pub(crate) fn elapsed(&self, at: At) -> Elapsed {
        let true_ms = i128::from(at.saturating_sub(self.booted));
        let shown = true_ms * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        Elapsed(u64::try_from(shown).unwrap_or(0))
    }

    pub(crate) fn now(&self, at: At) -> Now {
        let true_seconds = i64::try_from(at / 1_000).unwrap_or(i64::MAX);
        let wall = BEGINNING.plus_seconds(true_seconds).plus_seconds(self.wall_off);
        Now { elapsed: self.elapsed(at), wall }
    }

    /// The first moment at which this clock shows `elapsed`.
    pub(crate) fn when(&self, elapsed: Elapsed) -> At {
        let rate = MILLION + i128::from(self.drift_ppm);
        let true_ms = (i128::from(elapsed.0) * MILLION + rate - 1) / rate;
        self.booted.saturating_add(u64::try_from(true_ms).unwrap_or(u64::MAX))
    }
}

/// What a good wall clock shows at the beginning.
pub(crate) const fn beginning() -> Utc {
    BEGINNING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_and_not_before() {
        let mut random = Random::new(7);
        for _ in 0..100 {
            let clock = Clock::new(&mut random, 12_345);
            let deadline = Elapsed(random.between(1, 1_000_000_000));
            let when = clock.when(deadline);
            assert!(clock.elapsed(when) >= deadline);
            assert!(clock.elapsed(when - 1) < deadline);
        }
    }
}
