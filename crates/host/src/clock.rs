//! The machine's clocks.

use rustix::time::{ClockId, clock_gettime};
use ve_core::{
    id::BootId,
    time::{Elapsed, Now, Utc},
};

/// The kernel's name for this boot: a UUID.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

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

/// Which boot [`elapsed`] counts from. Where the kernel does not say, the time of the boot by the
/// wall clock stands in, which a stepped clock changes: then times of before compare with none of now.
pub fn boot() -> BootId {
    let named = std::fs::read_to_string(BOOT_ID).ok();
    let digits = named.map(|name| name.trim().replace('-', "").to_ascii_lowercase());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| {
        let now = now();
        let seconds = i128::from(now.wall.0) - i128::from(now.elapsed.0 / 1_000);
        BootId(seconds.to_be_bytes())
    })
}
