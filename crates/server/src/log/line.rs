//! The form of a line: `2020-10-03 01:31:09 INFO Server message`.

use jiff::tz::TimeZone;

use super::Entry;

/// In which time the lines of a log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogZone {
    /// The machine's own, as it is when the line is written.
    #[default]
    Local,
    /// UTC.
    Utc,
}

impl LogZone {
    /// Asked for every line: an administrator may set another zone while the server runs.
    pub(super) fn time_zone(self) -> TimeZone {
        match self {
            Self::Local => TimeZone::system(),
            Self::Utc => TimeZone::UTC,
        }
    }
}

/// The line of an entry, with its end. The entry is printable, so there is one end only.
pub fn line(entry: &Entry, zone: &TimeZone) -> String {
    let at = entry.time().to_zoned(zone.clone());
    let time = at.strftime("%Y-%m-%d %H:%M:%S");
    format!("{time} {} {} {}\n", entry.level(), entry.module(), entry.message())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{
        super::{Level, Module},
        *,
    };

    #[test]
    fn local_time_follows_summer_and_winter() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a POSIX time zone");
        for (at, zone, written) in [
            ("2020-10-25T00:59:59Z", &berlin, "2020-10-25 02:59:59 FATAL MAIN x\n"),
            ("2020-10-25T01:00:00Z", &berlin, "2020-10-25 02:00:00 FATAL MAIN x\n"),
            ("2020-12-24T23:30:00.999Z", &berlin, "2020-12-25 00:30:00 FATAL MAIN x\n"),
            ("2020-12-24T23:30:00Z", &TimeZone::UTC, "2020-12-24 23:30:00 FATAL MAIN x\n"),
        ] {
            let at: Timestamp = at.parse().expect("a time");
            assert_eq!(line(&Entry::at(at, Level::Fatal, Module::Main, "x"), zone), written);
        }
    }
}
