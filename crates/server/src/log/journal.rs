//! The journal: the same events with their fields, when systemd runs the server.
//!
//! The protocol is systemd's native one: one datagram an entry, one `NAME=value` line a field. Why
//! it is spoken here: `docs/decisions/journal.md`.

use std::{
    env, io,
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, net::UnixDatagram},
    },
    path::PathBuf,
};

use rustix::fs::{Stat, fstat};

use super::{Entry, Level, sink::Sink};

/// Where journald listens.
pub const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";
/// What journald calls the program.
const IDENTIFIER: &str = "licensed";

/// Whether standard error or standard output goes to the journal, so that systemd runs us.
///
/// `JOURNAL_STREAM` alone does not say so: a program that was started from a service's shell
/// inherits it, while its output goes to a terminal or a file.
pub(super) fn is_connected() -> bool {
    let Some(named) = env::var_os("JOURNAL_STREAM") else { return false };
    let is_named = |stat: &Stat| names(named.as_bytes(), stat);
    fstat(io::stderr().as_fd()).is_ok_and(|stat| is_named(&stat))
        || fstat(io::stdout().as_fd()).is_ok_and(|stat| is_named(&stat))
}

/// Whether `JOURNAL_STREAM` names this open file: `<device>:<inode>`.
fn names(named: &[u8], stat: &Stat) -> bool {
    named == format!("{}:{}", stat.st_dev, stat.st_ino).as_bytes()
}

/// journald's socket; found anew for every entry, so a journald that restarts is no matter.
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        Ok(Self { socket: UnixDatagram::unbound()?, path })
    }
}

impl Sink for Journal {
    fn name(&self) -> String {
        "journal".to_owned()
    }

    fn put(&mut self, entries: &[&Entry]) -> io::Result<()> {
        entries.iter().try_for_each(|entry| {
            self.socket.send_to(datagram(entry).as_bytes(), &self.path).map(drop)
        })
    }
}

/// An entry as journald takes it. No value holds a line's end, because an [`Entry`] is printable,
/// and none is long, so the binary form and the detour for large entries are not needed.
fn datagram(entry: &Entry) -> String {
    let mut text = format!(
        "MESSAGE={}\nPRIORITY={}\nSYSLOG_IDENTIFIER={IDENTIFIER}\nVE_MODULE={}\n",
        entry.message(),
        priority(entry.level()),
        entry.module()
    );
    for (field, value) in entry.fields() {
        text.extend([field.as_str(), "=", value, "\n"]);
    }
    text
}

/// syslog's numbers: informational, warning, error, critical.
const fn priority(level: Level) -> u8 {
    match level {
        Level::Info => 6,
        Level::Warn => 4,
        Level::Error => 3,
        Level::Fatal => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::{
        super::{Field, Module},
        *,
    };

    #[test]
    fn an_entry_can_not_bring_fields_of_its_own() {
        let entry = Entry::new(Level::Fatal, Module::Main, "a\nPRIORITY=7")
            .with(Field::Emulator, "b\nVE_SESSION=1");
        assert_eq!(
            datagram(&entry),
            "MESSAGE=a\\u{a}PRIORITY=7\nPRIORITY=2\nSYSLOG_IDENTIFIER=licensed\nVE_MODULE=MAIN\n\
             VE_EMULATOR=b\\u{a}VE_SESSION=1\n"
        );
    }

    #[test]
    fn a_journal_stream_is_named_by_device_and_inode() {
        let stat = |path: &str| {
            fstat(File::open(path).expect("a file").as_fd()).expect("its device and inode")
        };
        let null = stat("/dev/null");
        let name = format!("{}:{}", null.st_dev, null.st_ino);
        assert!(names(name.as_bytes(), &null));
        assert!(!names(name.as_bytes(), &stat("/")));
        assert!(!names(b"", &null));
    }
}
