//! `licensectl logs`: the end of a log, and what comes after it, across rotations.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    mem::MaybeUninit,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::Args;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde_json::json;

use super::{
    exit::{self, failure},
    program::print_json,
};
use crate::{control::protocol::Failure, home::Home};

/// The longest line that is read in one piece, in bytes.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// How many rotated logs are searched for lines that were not shown yet.
const MAX_ROTATED: u32 = 1_000;

/// What of the log is wanted.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Show what is added, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many lines to show of what is there
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    lines: u32,
    /// The web server's log
    #[arg(long)]
    web: bool,
}

/// Shows the log.
pub(super) fn show(home: &Home, options: &Options, json: bool) -> Result<(), Failure> {
    let path = if options.web { home.webserver_log() } else { home.license_log() };
    if options.follow {
        return Ok(follow(&path, options.lines as usize, json)?);
    }
    let file = File::open(&path).map_err(|error| not_there(&path, &error))?;
    let lines = last_lines(&mut BufReader::new(file), options.lines as usize)?;
    if json {
        let lines: Vec<String> = lines.iter().map(|line| text(line)).collect();
        return print_json(&json!({ "lines": lines }));
    }
    let mut stdout = io::stdout().lock();
    lines.iter().try_for_each(|line| stdout.write_all(line))?;
    Ok(stdout.flush()?)
}

fn not_there(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => failure(
            exit::UNAVAILABLE,
            format!("there is no {path}; has the server run in this home?"),
        ),
        io::ErrorKind::PermissionDenied => {
            failure(exit::REFUSED, format!("{path} can't be read: {error}"))
        }
        _ => failure(exit::INTERNAL, format!("{path} can't be read: {error}")),
    }
}

/// A line without its end, for JSON.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches('\n').to_string()
}

/// The last `count` lines, each with its end if it has one. Leaves the reader at its end.
fn last_lines(file: &mut impl BufRead, count: usize) -> io::Result<VecDeque<Vec<u8>>> {
    let mut lines = VecDeque::new();
    loop {
        let mut line = Vec::new();
        if file.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(lines);
        }
        lines.push_back(line);
        if lines.len() > count {
            lines.pop_front();
        }
    }
}

/// Shows the last lines and then everything that is added, until nobody reads it any more.
fn follow(path: &Path, count: usize, json: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Watched before it is read: nothing falls between the two.
    let watch = inotify::init(CreateFlags::CLOEXEC)?;
    inotify::add_watch(
        &watch,
        folder,
        WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO,
    )?;
    let mut buffer = [MaybeUninit::uninit(); 4_096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    let mut out = Out { json, part: Vec::new() };
    let mut current = Followed::open(path)?;
    if let Some(file) = &mut current {
        for line in last_lines(&mut file.reader, count)? {
            out.take(&line)?;
        }
    }
    loop {
        io::stdout().flush()?;
        events.next()?;
        current = catch_up(path, current, &mut out)?;
    }
}

/// A log file that is being read.
struct Followed {
    reader: BufReader<File>,
    /// Its inode: what it is called may change.
    inode: u64,
}

impl Followed {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => {
                let inode = file.metadata()?.ino();
                Ok(Some(Self { reader: BufReader::new(file), inode }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn copy(&mut self, out: &mut Out) -> io::Result<()> {
        last_lines_each(&mut self.reader, |line| out.take(line))
    }
}

fn last_lines_each(
    file: &mut impl BufRead,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        if file.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        take(&line)?;
    }
}

/// Copies what was added; when the log was rotated meanwhile, the rest of the old file first, then
/// every one that came after it.
fn catch_up(path: &Path, current: Option<Followed>, out: &mut Out) -> io::Result<Option<Followed>> {
    let Some(mut current) = current else {
        let mut new = Followed::open(path)?;
        new.iter_mut().try_for_each(|file| file.copy(out))?;
        return Ok(new);
    };
    current.copy(out)?;
    if inode(path) == Some(current.inode) {
        return Ok(Some(current));
    }
    let mut newer = newer_than(path, current.inode)?;
    // Its last lines may have come between the copy and the rotation.
    current.copy(out)?;
    newer.iter_mut().try_for_each(|file| file.copy(out))?;
    // Between a rotation's two steps there is no newer file: the old one stays the one to follow.
    Ok(Some(newer.pop().unwrap_or(current)))
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

/// The logs that are younger than the one with this inode, oldest first.
fn newer_than(path: &Path, old: u64) -> io::Result<Vec<Followed>> {
    let rotated = |number: u32| {
        let mut name = path.as_os_str().to_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    loop {
        let place = (1..=MAX_ROTATED).find(|&number| inode(&rotated(number)) == Some(old));
        let younger = (1..place.unwrap_or(1)).rev().map(rotated);
        let mut newer = Vec::new();
        for path in younger.chain([path.to_path_buf()]) {
            newer.extend(Followed::open(&path)?);
        }
        // Another rotation while they were opened: their names have moved on.
        let stayed = place.is_none_or(|place| inode(&rotated(place)) == Some(old));
        if stayed {
            return Ok(newer);
        }
    }
}

/// Where lines go.
struct Out {
    json: bool,
    /// The beginning of a line whose end was not written yet.
    part: Vec<u8>,
}

impl Out {
    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        self.part.extend(piece);
        if !self.part.ends_with(b"\n") && (self.part.len() as u64) < MAX_LINE_BYTES {
            return Ok(());
        }
        let line = std::mem::take(&mut self.part);
        if self.json {
            return writeln!(io::stdout(), "{}", json!({ "line": text(&line) }));
        }
        io::stdout().write_all(&line)
    }
}
