//! `license.log`: what users' scripts watch, to the letter; and the same events in the journal.
//!
//! An [`Entry`] is one event. [`notes`] and [`program`] make entries, [`line()`] gives the form of a
//! line, [`Log`] takes them from anyone at any time and never makes anyone wait: each place (the
//! file; the journal or standard error) has a queue and a thread of its own, so a full disk or a
//! terminal that was stopped holds up neither the server nor the other place.

mod echo;
mod entry;
mod file;
mod journal;
mod line;
pub mod notes;
pub mod program;
mod queue;
mod rotate;
mod sink;

use std::{
    fmt::Display,
    io,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use ve_core::{node::io::Note, reason::Refusal};

pub use entry::{Entry, Field, Level, MAX_MESSAGE_CHARACTERS, MAX_VALUE_CHARACTERS, Module};
pub use file::OpenError;
pub use journal::JOURNAL_SOCKET;
pub use line::{LogZone, line};
pub use queue::{Losses, MAX_QUEUED_LINES};

use echo::Echo;
use file::LogFile;
use journal::Journal;
use queue::Queue;
use sink::{Sink, carry};

/// How many older files are kept when nothing else is configured.
pub const DEFAULT_KEEP: u32 = 10;
/// The most older files that can be kept.
pub const MAX_KEEP: u32 = 1_000;
/// The size at which a file is rotated when nothing else is configured: 64 MB.
pub const DEFAULT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// The smallest size limit that can be configured: a line always fits.
pub const MIN_MAX_BYTES: u64 = 64 * 1024;

/// How long the end of the log waits for the journal or standard error, once the file is done.
const MIRROR_WAIT: Duration = Duration::from_secs(1);

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The current file, `<home>/log/license.log`; its folder is made when it is missing.
    pub file: PathBuf,
    /// How many older files are kept, at most [`MAX_KEEP`].
    pub keep: u32,
    /// The size in bytes that a file never exceeds, at least [`MIN_MAX_BYTES`].
    pub max_bytes: u64,
    /// In which time the lines are written.
    pub zone: LogZone,
    /// Where else the events go.
    pub mirror: Mirror,
}

impl LogSettings {
    /// The defaults for a file.
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            keep: DEFAULT_KEEP,
            max_bytes: DEFAULT_MAX_BYTES,
            zone: LogZone::default(),
            mirror: Mirror::detect(),
        }
    }
}

/// Where the events of a log go besides its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// Nowhere.
    Nowhere,
    /// As lines to standard error.
    StandardError,
    /// With their fields to the journald that listens on this socket.
    Journal(PathBuf),
}

impl Mirror {
    /// The journal when systemd runs the server; else standard error, for whoever started it in
    /// the foreground. Never both: systemd would put standard error into the journal once more.
    pub fn detect() -> Self {
        if journal::is_connected() {
            Self::Journal(JOURNAL_SOCKET.into())
        } else {
            Self::StandardError
        }
    }
}

/// The log of a running server; clones write to the same one.
#[derive(Clone)]
pub struct Log {
    queues: Arc<Queues>,
}

struct Queues {
    file: Arc<Queue>,
    mirror: Option<Arc<Queue>>,
}

impl Log {
    /// Rotates the files of earlier starts and begins a new one.
    ///
    /// Only for the one server that holds its home: a second start must find out before this.
    pub fn open(settings: LogSettings) -> Result<Self, OpenError> {
        let LogSettings { file: path, keep, max_bytes, zone, mirror } = settings;
        let error = |source| OpenError { path: path.clone(), source };
        let keep = keep.min(MAX_KEEP);
        let file = LogFile::start(&path, keep, max_bytes.max(MIN_MAX_BYTES), zone)?;
        let mirror: Option<Box<dyn Sink>> = match mirror {
            Mirror::Nowhere => None,
            Mirror::StandardError => Some(Box::new(Echo { zone })),
            Mirror::Journal(socket) => Some(Box::new(Journal::new(socket).map_err(error)?)),
        };
        let mirror =
            mirror.map(|sink| start("log mirror", sink, None)).transpose().map_err(error)?;
        let file = start("log", Box::new(file), mirror.clone()).map_err(error)?;
        Ok(Self { queues: Arc::new(Queues { file, mirror }) })
    }

    /// Logs an event. It never waits: when [`MAX_QUEUED_LINES`] are waiting to be written, the
    /// entry is dropped, counted, and the log says how many were.
    pub fn write(&self, entry: Entry) {
        let entry = Arc::new(entry);
        self.queues.each(|queue| queue.push(entry.clone()));
    }

    /// Logs what the node told just now.
    pub fn note(&self, note: &Note) {
        for entry in notes::entries(Timestamp::now(), note) {
            self.write(entry);
        }
    }

    /// Logs a client that was refused before it could say what it wants.
    pub fn connection_refused(&self, address: impl Display, refusal: &Refusal) {
        self.write(notes::connection_refused(address, refusal));
    }

    /// Logs a message without facts, as it should be.
    pub fn info(&self, module: Module, message: impl Display) {
        self.write(Entry::new(Level::Info, module, message));
    }

    /// Logs a message without facts that somebody should look at.
    pub fn warn(&self, module: Module, message: impl Display) {
        self.write(Entry::new(Level::Warn, module, message));
    }

    /// Logs a message without facts: something does not work.
    pub fn error(&self, module: Module, message: impl Display) {
        self.write(Entry::new(Level::Error, module, message));
    }

    /// Opens the file anew before the next line: others may have moved it away (SIGHUP).
    pub fn reopen(&self) {
        self.queues.each(Queue::reopen);
    }

    /// Waits until every line so far is on disk, `limit` at most and a second for the mirror; tells
    /// whether all are. It blocks the thread.
    pub fn flush(&self, limit: Duration) -> bool {
        self.queues.wait(limit, Queue::sync)
    }

    /// Logs `The program is terminated.` and waits, `limit` at most and a second for the mirror,
    /// until it and every line before it is on disk; tells whether all are. Lines that come later
    /// are ignored. It blocks the thread.
    pub fn close(&self, limit: Duration) -> bool {
        let last = Arc::new(program::terminated());
        self.queues.wait(limit, |queue| queue.close(Some(last.clone())))
    }

    /// What has not come into the file since the log was opened.
    pub fn losses(&self) -> Losses {
        self.queues.file.losses()
    }
}

impl Queues {
    fn each(&self, act: impl Fn(&Queue)) {
        act(&self.file);
        if let Some(mirror) = &self.mirror {
            act(mirror);
        }
    }

    /// Waits for the tickets that `ask` gets. The answer is the file's; the mirror has its chance.
    fn wait(&self, limit: Duration, ask: impl Fn(&Queue) -> u64) -> bool {
        let file = ask(&self.file);
        let mirror = self.mirror.as_ref().map(|queue| (queue, ask(queue)));
        let durable = self.file.wait(file, Instant::now() + limit);
        if let Some((queue, ticket)) = mirror {
            queue.wait(ticket, Instant::now() + MIRROR_WAIT);
        }
        durable
    }
}

impl Drop for Queues {
    /// The threads write what is there and end.
    fn drop(&mut self) {
        self.each(|queue| {
            queue.close(None);
        });
    }
}

/// Starts the thread of one place.
fn start(name: &str, sink: Box<dyn Sink>, others: Option<Arc<Queue>>) -> io::Result<Arc<Queue>> {
    let queue = Arc::new(Queue::default());
    let theirs = queue.clone();
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(move || carry(&theirs, sink, others))?;
    Ok(queue)
}
