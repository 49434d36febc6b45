//! Writes the log, and goes on when it can't.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use ve_core::text::{Name, printable};

use super::{
    LogEvent, LogPlace, OpenError,
    event::{Level, Line},
    json, par, rotate, ssp,
};
use crate::vm_file::{LogStyle, VmFile};

/// Tells the time; asked once for each line.
pub type Clock = Box<dyn FnMut() -> Timestamp + Send>;

/// The longest message of a line, in characters.
const MAX_MESSAGE_CHARACTERS: usize = 4_096;

/// An open log.
///
/// A disk that is full or broken never stops the guest: lines that can't be written are counted, the
/// first of them is reported on standard error, and the count is logged once writing works again.
pub struct LogWriter {
    style: LogStyle,
    display_name: Name,
    zone: TimeZone,
    path: PathBuf,
    file: File,
    clock: Clock,
    /// Lines lost since the last one that was written.
    lost_lines: u64,
    /// Whether the last line was cut off in the middle.
    cut_off: bool,
    /// Whether standard error knows.
    reported: bool,
}

impl LogWriter {
    /// Opens a new log for `vm` in `style` at `place`.
    pub fn open(vm: &VmFile, style: LogStyle, place: &LogPlace) -> Result<Self, OpenError> {
        let zone = if vm.log.utc { TimeZone::UTC } else { TimeZone::system() };
        Self::open_at(style, place, vm.display_name.clone(), zone, Box::new(Timestamp::now))
    }

    /// Opens a new log with a time zone and a clock of the caller's.
    pub fn open_at(
        style: LogStyle,
        place: &LogPlace,
        display_name: Name,
        zone: TimeZone,
        mut clock: Clock,
    ) -> Result<Self, OpenError> {
        let (file, path) = rotate::open(place, &clock().to_zoned(zone.clone()))?;
        Ok(Self {
            style,
            display_name,
            zone,
            path,
            file,
            clock,
            lost_lines: 0,
            cut_off: false,
            reported: false,
        })
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lines that could not be written since the last one that could.
    pub const fn lost_lines(&self) -> u64 {
        self.lost_lines
    }

    /// Writes the lines of `event`, each by one call.
    pub fn write(&mut self, event: &LogEvent) {
        let display_name = self.display_name.as_str();
        let lines = match self.style {
            LogStyle::Ssp => ssp::lines(event, display_name),
            LogStyle::Par => par::lines(event, display_name),
            LogStyle::Json => {
                let line = json::line(event, display_name, (self.clock)());
                return self.put(&line);
            }
        };
        for line in lines {
            let line = self.stamped(&line);
            self.put(&line);
        }
    }

    /// A line with the time in front, safe to print.
    fn stamped(&mut self, line: &Line) -> String {
        let at = (self.clock)().to_zoned(self.zone.clone());
        let prefix = match self.style {
            LogStyle::Par => par::prefix(line, &at),
            LogStyle::Ssp | LogStyle::Json => ssp::prefix(line, &at),
        };
        prefix + &printable(&line.text, MAX_MESSAGE_CHARACTERS)
    }

    fn put(&mut self, line: &str) {
        if self.lost_lines > 0 {
            let note = self.loss_note();
            if !self.put_whole(&note) {
                self.lost_lines += 1;
                return;
            }
            self.lost_lines = 0;
        }
        if !self.put_whole(line) {
            self.lost_lines += 1;
        }
    }

    /// The line that tells of those that are missing.
    fn loss_note(&mut self) -> String {
        let text = format!("{} line(s) of this log could not be written.", self.lost_lines);
        if self.style == LogStyle::Json {
            return json::lost_lines(self.lost_lines, &text, (self.clock)());
        }
        self.stamped(&Line::new(Level::Warn, text))
    }

    /// Whether the line is in the file, whole.
    fn put_whole(&mut self, line: &str) -> bool {
        // A line that was cut off must not run into this one.
        let start = if self.cut_off { "\n" } else { "" };
        let bytes = format!("{start}{line}\n").into_bytes();
        let outcome = loop {
            match self.file.write(&bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(written) if written == bytes.len() => {
                self.cut_off = false;
                self.reported = false;
                return true;
            }
            Ok(written) => {
                self.cut_off = self.cut_off || written > 0;
                self.report("the disk is full");
            }
            Err(error) => self.report(&error.to_string()),
        }
        false
    }

    fn report(&mut self, reason: &str) {
        if !self.reported {
            self.reported = true;
            let path = printable(&self.path.to_string_lossy(), MAX_MESSAGE_CHARACTERS);
            // Standard error may be gone as well; then nobody can be told.
            drop(writeln!(
                std::io::stderr(),
                "ve-emulator: can't write the log {path}: {reason}; the guest runs on, and writing is tried again with every line"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, mem};

    use super::*;

    #[test]
    fn a_full_disk_stops_nothing_and_is_told_of() {
        for (style, expected) in [
            (
                LogStyle::Ssp,
                "2020-01-01 00:00:00 WARN VE 2 line(s) of this log could not be written.\n2020-01-01 00:00:00 INFO VE Charon has ended with exit code 0.\n",
            ),
            (
                LogStyle::Par,
                "20200101:000000.000000:warn:2 line(s) of this log could not be written.\n20200101:000000.000000:Charon has ended with exit code 0.\n",
            ),
            (
                LogStyle::Json,
                "{\"time\":\"2020-01-01T00:00:00.000000Z\",\"level\":\"WARN\",\"event\":\"lines-lost\",\"reason\":null,\"message\":\"2 line(s) of this log could not be written.\",\"count\":2}\n{\"time\":\"2020-01-01T00:00:00.000000Z\",\"level\":\"INFO\",\"event\":\"guest-ended\",\"reason\":null,\"message\":\"Charon has ended with exit code 0.\",\"code\":0}\n",
            ),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let place = LogPlace::Rotated { file: folder.path().join("vm.log"), keep: 0 };
            let name = "Charon".parse().expect("a name");
            let clock = || "2020-01-01T00:00:00Z".parse().expect("a time");
            let mut log = LogWriter::open_at(style, &place, name, TimeZone::UTC, Box::new(clock))
                .expect("a log");
            // Every write to this device fails as on a full disk.
            let full = File::options().write(true).open("/dev/full").expect("/dev/full");
            let disk = mem::replace(&mut log.file, full);
            log.write(&LogEvent::GraceOver);
            log.write(&LogEvent::GraceOver);
            assert_eq!((log.lost_lines(), log.reported), (2, true));
            log.file = disk;
            log.write(&LogEvent::GuestEnded { code: 0 });
            assert_eq!((log.lost_lines(), log.reported), (0, false));
            assert_eq!(fs::read_to_string(log.path()).expect("the log"), expected);
        }
    }
}
