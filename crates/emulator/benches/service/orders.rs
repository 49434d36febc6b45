//! What the two processes of this measurement say to each other: the crowd asks, on its standard
//! output, for faults; the office, which has the servers, makes them.

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
    time::Instant,
};

use serde::{Deserialize, Serialize};

/// The environment variable that makes a process the crowd, and tells it what to do.
pub(crate) const CROWD: &str = "VE_BENCH_CROWD";

/// What stands before a request; everything else that the crowd prints is for the reader.
const MARK: &str = "!";

/// What the office answers when it has obeyed.
pub(crate) const DONE: &str = "done";

/// What the crowd is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) what: Measurement,
    /// How many emulators.
    pub(crate) emulators: usize,
    /// `address:port`, the primary first.
    pub(crate) servers: Vec<String>,
    pub(crate) vendor_key: PathBuf,
    pub(crate) state: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Measurement {
    /// A primary and a backup.
    Failover,
    /// One server that comes back.
    Restart,
}

/// Something that the office does to the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    Kill,
    Start,
    /// SIGTERM.
    Drain,
    Silence,
    EndSilence,
    /// The process is stopped, its host lives.
    Hang,
    GoOn,
}

impl Request {
    /// Asks the office, and waits until that is done; the moment of the request, or `None` when it
    /// can't be done here.
    pub(crate) fn make(self) -> Option<Instant> {
        let text = serde_json::to_string(&self).expect("plain data");
        let since = Instant::now();
        println!("{MARK}{text}");
        io::stdout().flush().expect("the office listens");
        let mut done = String::new();
        io::stdin().lock().read_line(&mut done).expect("the office answers");
        (done.trim_end() == DONE).then_some(since)
    }

    /// The request in a line of the crowd, if it is one.
    pub(crate) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(MARK)?).ok()
    }
}
