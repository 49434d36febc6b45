//! The two clocks, and durations as users write them.
//!
//! Leases, grace and metering count [`Elapsed`] time, which no one can set; only expiry looks at the
//! [`Utc`] wall clock, and then through the persisted mark ([`crate::mark`]).

use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::BootId;

/// Milliseconds of one second, minute, hour and day.
pub const SECOND_MS: u64 = 1_000;
/// See [`SECOND_MS`].
pub const MINUTE_MS: u64 = 60 * SECOND_MS;
/// See [`SECOND_MS`].
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
/// See [`SECOND_MS`].
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// The longest duration that a license or a configuration may name: ten years.
pub const MAX_DURATION_MS: u64 = 3_650 * DAY_MS;

/// Milliseconds since the machine booted, suspend included; it never steps.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Elapsed(pub u64);

impl Elapsed {
    /// The moment `duration_ms` later.
    #[must_use]
    pub const fn plus_ms(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_add(duration_ms))
    }

    /// The milliseconds from `earlier` to here; 0 when `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A moment of wall-clock time: seconds since 1970 in UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Utc(pub i64);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since boot.
    pub elapsed: Elapsed,
    /// What the machine's wall clock says.
    pub wall: Utc,
}

/// A moment that can be found again: to the millisecond while the machine runs, and by the wall
/// clock after it booted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The boot that `elapsed` counts from.
    pub boot: BootId,
    /// The boot clock.
    pub elapsed: Elapsed,
    /// The wall clock.
    pub wall: Utc,
}

impl Moment {
    /// What the clocks of the machine that was booted as `boot` say.
    pub const fn of(boot: BootId, now: Now) -> Self {
        Self { boot, elapsed: now.elapsed, wall: now.wall }
    }
}

/// The text is no date and time of the form `2026-12-31 15:55:00`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a date is written as 2026-12-31 15:55:00 (UTC)")]
pub struct UtcError;

impl Utc {
    /// The latest moment that is ever written down: the end of the year 9999.
    pub const LAST: Self = Self(253_402_300_799);

    /// The moment `seconds` later (earlier when negative).
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Parses `2026-12-31 15:55:00`, to the letter.
    pub fn parse(text: &str) -> Result<Self, UtcError> {
        let date = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).map_err(|_| UtcError)?;
        let moment =
            Self(date.to_zoned(TimeZone::UTC).map_err(|_| UtcError)?.timestamp().as_second());
        // Only one spelling each: what is signed is what is printed.
        if moment.to_string() == text { Ok(moment) } else { Err(UtcError) }
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.0) {
            Ok(moment) => write!(f, "{}", moment.strftime("%Y-%m-%d %H:%M:%S")),
            Err(_) => f.write_str("(out of range)"),
        }
    }
}

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Not digits and one unit.
    #[error("a duration is a whole number and a unit, such as 90s, 2m, 1h or 1d")]
    Form,
    /// Longer than [`MAX_DURATION_MS`].
    #[error("a duration is at most 3650d")]
    TooLong,
}

/// Parses `90s`, `2m`, `1h`, `1d` (and `250ms`, for tests) into milliseconds.
pub fn parse_duration_ms(text: &str) -> Result<u64, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => SECOND_MS,
        "m" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        _ => return Err(DurationError::Form),
    };
    if digits == 0 {
        return Err(DurationError::Form);
    }
    text[..digits]
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(unit_ms))
        .filter(|&duration_ms| duration_ms <= MAX_DURATION_MS)
        .ok_or(DurationError::TooLong)
}

/// A duration in the largest unit that is whole: `2 hours`, `1 hour`, `90 minutes`, `20 seconds`.
///
/// Days are not used: the logs that users know say `24 hours`. Parts of a second round up.
pub fn spoken_duration(duration_ms: u64) -> String {
    let seconds = duration_ms.div_ceil(SECOND_MS);
    let (count, unit) = match seconds {
        0 => (0, "second"),
        s if s.is_multiple_of(3_600) => (s / 3_600, "hour"),
        s if s.is_multiple_of(60) => (s / 60, "minute"),
        s => (s, "second"),
    };
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// Hours with at most one digit after the point, rounded down: `97.5`, `100`. Less than a tenth is
/// `0.1`: `0` says that nothing is left, or nothing was used, and must not be said of a license that
/// still runs.
pub fn spoken_hours(duration_ms: u64) -> String {
    let tenths = match duration_ms {
        0 => 0,
        some => (some / (HOUR_MS / 10)).max(1),
    };
    if tenths.is_multiple_of(10) {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_spelling() {
        let moment = Utc::parse("2026-12-31 15:55:00").expect("a valid date");
        assert_eq!(moment, Utc(1_798_732_500));
        assert_eq!(moment.to_string(), "2026-12-31 15:55:00");
        for wrong in [
            "2026-12-31",
            "2026-12-31T15:55:00",
            "2026-02-30 00:00:00",
            " 2026-12-31 15:55:00",
            "2026-1-1 0:0:0",
            "2026-12-31 15:55:60",
        ] {
            assert_eq!(Utc::parse(wrong), Err(UtcError), "{wrong}");
        }
    }

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        assert_eq!(parse_duration_ms("90s"), Ok(90 * SECOND_MS));
        assert_eq!(parse_duration_ms("2m"), Ok(2 * MINUTE_MS));
        assert_eq!(parse_duration_ms("1h"), Ok(HOUR_MS));
        assert_eq!(parse_duration_ms("1d"), Ok(DAY_MS));
        for wrong in ["", "1", "h", "1.5h", "-1h", "1 h", "1h1m", "é"] {
            assert_eq!(parse_duration_ms(wrong), Err(DurationError::Form), "{wrong}");
        }
        assert_eq!(parse_duration_ms("99999999999999999999s"), Err(DurationError::TooLong));
        assert_eq!(parse_duration_ms("3651d"), Err(DurationError::TooLong));
    }

    #[test]
    fn durations_are_spoken_in_the_largest_whole_unit() {
        for (duration_ms, spoken) in [
            (2 * HOUR_MS, "2 hours"),
            (HOUR_MS, "1 hour"),
            (90 * MINUTE_MS, "90 minutes"),
            (20 * SECOND_MS, "20 seconds"),
            (DAY_MS, "24 hours"),
            (1, "1 second"),
            (0, "0 seconds"),
        ] {
            assert_eq!(spoken_duration(duration_ms), spoken);
        }
    }

    #[test]
    fn hours_are_rounded_down_to_a_tenth_and_never_to_nothing() {
        assert_eq!(spoken_hours(100 * HOUR_MS), "100");
        assert_eq!(spoken_hours(97 * HOUR_MS + 35 * MINUTE_MS), "97.5");
        assert_eq!(spoken_hours(6 * MINUTE_MS - 1), "0.1");
        assert_eq!(spoken_hours(1), "0.1");
        assert_eq!(spoken_hours(0), "0");
    }
}
