//! The journal: a socket that stands where journald's would.

use std::{os::unix::net::UnixDatagram, path::PathBuf, sync::Mutex, thread};

use ve_core::reason::{ReasonCode, Refusal};
use ve_server::log::{LogSettings, Losses, MAX_QUEUED_LINES, Mirror};

use super::{LONG, TERMINATED, entry, lines, open, settings};

/// A journald that collects datagrams.
pub(super) struct Journald {
    folder: tempfile::TempDir,
    socket: Mutex<Option<thread::JoinHandle<Vec<String>>>>,
}

impl Journald {
    /// Reads from the start on, until the server says its last line.
    pub(super) fn start() -> Self {
        let (folder, socket) = bind();
        let reader = thread::spawn(move || read_to_end(&socket));
        Self { folder, socket: Mutex::new(Some(reader)) }
    }

    pub(super) fn mirror(&self) -> Mirror {
        Mirror::Journal(path(&self.folder))
    }

    /// Everything, once the server has said its last line.
    pub(super) fn datagrams(&self) -> Vec<String> {
        let reader = self.socket.lock().expect("the reader").take().expect("asked once");
        reader.join().expect("the datagrams")
    }

    /// The messages alone.
    pub(super) fn messages(&self) -> Vec<String> {
        self.datagrams().iter().map(|datagram| message(datagram)).collect()
    }
}

fn bind() -> (tempfile::TempDir, UnixDatagram) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = UnixDatagram::bind(path(&folder)).expect("a socket");
    socket.set_read_timeout(Some(LONG)).expect("a limit");
    (folder, socket)
}

fn path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("socket")
}

fn message(datagram: &str) -> String {
    let line = datagram.lines().next().expect("a field");
    line.strip_prefix("MESSAGE=").expect("the message").to_owned()
}

fn read_to_end(socket: &UnixDatagram) -> Vec<String> {
    let mut datagrams = Vec::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let length = socket.recv(&mut buffer).expect("a datagram");
        let datagram = String::from_utf8(buffer[..length].to_vec()).expect("text");
        let is_last = message(&datagram) == "The program is terminated.";
        datagrams.push(datagram);
        if is_last {
            return datagrams;
        }
    }
}

#[test]
fn the_journal_gets_the_same_events_with_their_fields() {
    let folder = tempfile::tempdir().expect("a folder");
    let journald = Journald::start();
    let settings = LogSettings { mirror: journald.mirror(), ..settings(folder.path()) };
    let log = open(&settings);
    let refusal = Refusal::new(ReasonCode::BadRequest, "that is no hello.");
    log.connection_refused("127.0.0.1:40704", &refusal);
    assert!(log.close(LONG));
    assert_eq!(
        journald.datagrams(),
        [
            "MESSAGE=connection from 127.0.0.1:40704 was refused: bad-request: that is no hello.\n\
             PRIORITY=4\nSYSLOG_IDENTIFIER=licensed\nVE_MODULE=Server\n\
             VE_EVENT=connection-refused\nVE_REASON=bad-request\nVE_ADDRESS=127.0.0.1:40704\n",
            "MESSAGE=The program is terminated.\nPRIORITY=6\nSYSLOG_IDENTIFIER=licensed\n\
             VE_MODULE=MAIN\nVE_EVENT=terminated\n",
        ]
    );
}

/// A journald that starts later, or again, is found, and told what it missed.
#[test]
fn a_journal_that_is_away_is_told_what_it_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mirror = Mirror::Journal(folder.path().join("socket"));
    let settings = LogSettings { mirror, ..settings(folder.path()) };
    let log = open(&settings);
    log.write(entry("1"));
    log.write(entry("2"));
    assert!(log.flush(LONG), "the file does not suffer");
    let socket = UnixDatagram::bind(folder.path().join("socket")).expect("a socket");
    socket.set_read_timeout(Some(LONG)).expect("a limit");
    log.write(entry("3"));
    assert!(log.close(LONG));
    let messages: Vec<String> =
        read_to_end(&socket).iter().map(|datagram| message(datagram)).collect();
    assert_eq!(messages, ["2 lines were lost.", "3", "The program is terminated."]);
    let expected = ["INFO Server 1", "INFO Server 2", "INFO Server 3", TERMINATED];
    assert_eq!(lines(&settings.file), expected);
    assert_eq!(log.losses(), Losses::default(), "those of the file");
}

/// How many of the lines came, and how many are told to have been dropped.
fn came_and_dropped<'a>(messages: impl Iterator<Item = &'a str>) -> (usize, usize) {
    let (mut came, mut dropped) = (0, 0);
    for message in messages {
        if message.ends_with("lines were dropped.") || message.ends_with("line was dropped.") {
            let count = message.split(' ').next().expect("a number");
            dropped += count.parse::<usize>().expect("a number");
        } else if message.starts_with("line ") {
            came += 1;
        }
    }
    (came, dropped)
}

#[test]
fn a_journal_that_hangs_holds_nobody_up_and_drops_are_counted() {
    /// More than the queue and any socket's buffer together.
    const LINES: usize = MAX_QUEUED_LINES + 10_000;
    let folder = tempfile::tempdir().expect("a folder");
    let (sockets, socket) = bind();
    let settings =
        LogSettings { mirror: Mirror::Journal(path(&sockets)), ..settings(folder.path()) };
    let log = open(&settings);
    for number in 0..LINES {
        log.write(entry(format!("line {number}")));
    }
    let closing = thread::spawn(move || log.close(LONG));
    let messages: Vec<String> =
        read_to_end(&socket).iter().map(|datagram| message(datagram)).collect();
    assert!(closing.join().expect("closed"), "the file does not suffer");
    let (came, dropped) = came_and_dropped(messages.iter().map(String::as_str));
    assert!(dropped > 0);
    assert_eq!(came + dropped, LINES);

    // The file's thread may have been too slow as well; nothing is missing untold.
    let lines = lines(&settings.file);
    let messages = lines.iter().map(|line| line.splitn(3, ' ').nth(2).expect("a message"));
    let (came, dropped) = came_and_dropped(messages);
    assert_eq!(came + dropped, LINES);
}
