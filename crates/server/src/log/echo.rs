//! The same lines on standard error, when nobody else collects them.

use std::io::{self, Write};

use super::{
    Entry,
    line::{LogZone, line},
    sink::Sink,
};

/// Standard error: a terminal, a container's log, a pipe. It may stop taking lines at any time,
/// and then only this copy of the log waits.
pub(super) struct Echo {
    pub(super) zone: LogZone,
}

impl Sink for Echo {
    fn name(&self) -> String {
        "standard error".to_owned()
    }

    fn put(&mut self, entries: &[&Entry]) -> io::Result<()> {
        let zone = self.zone.time_zone();
        let lines: String = entries.iter().map(|entry| line(entry, &zone)).collect();
        io::stderr().write_all(lines.as_bytes())
    }
}
