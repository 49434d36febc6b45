//! The machine's clocks.

use rustix::time::{ClockId, clock_gettime};
use ve_core::time::{Elapsed, Now, Utc};

/// Both clocks, now.
pub fn now() -> Now {
    Now { elapsed: elapsed(), wall: Utc(clock_gettime(ClockId::Realtime).tv_sec) }
}

/// The time since boot. It goes on while the machine sleeps, and nobody can set it.
pub fn elapsed() -> Elapsed {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let milliseconds = u64::try_from(boot.tv_nsec / 1_000_000).unwrap_or(0);
    Elapsed(seconds * 1_000 + milliseconds)
}
