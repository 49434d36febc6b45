//! The log's file: whole lines, rotation, and what happens when the disk is full.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::{fs::OFlags, io::Errno};
use thiserror::Error;

use super::{
    Entry, Field, Level, Module,
    line::{LogZone, line},
    rotate::move_on,
    sink::Sink,
};

/// The log may be read by its owner's group: administrators who are not root.
const FILE_MODE: u32 = 0o640;
/// See [`FILE_MODE`].
const FOLDER_MODE: u32 = 0o750;

/// Why a log could not be opened at the start: exit code 73.
#[derive(Debug, Error)]
#[error(
    "can't write the log {}: {source}; make the file and its folder writable for the user that runs the server, or name another home",
    path.display()
)]
pub struct OpenError {
    /// The log's file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// A file that takes lines whole, or not at all.
pub(super) struct LogFile {
    path: PathBuf,
    keep: u32,
    max_bytes: u64,
    zone: LogZone,
    /// `None` when it could not be opened; every line tries again.
    file: Option<File>,
    /// Above this size the file is rotated: `max_bytes`, or more after a rotation that failed.
    rotate_above_bytes: u64,
    /// Part of a line that could not be taken back stands at the end.
    cut_off: bool,
}

impl LogFile {
    /// Rotates what earlier starts left and opens a new file. A full disk is no error: lines are
    /// lost until there is room.
    pub(super) fn start(
        path: &Path,
        keep: u32,
        max_bytes: u64,
        zone: LogZone,
    ) -> Result<Self, OpenError> {
        let mut file = Self {
            path: path.to_owned(),
            keep,
            max_bytes,
            zone,
            file: None,
            rotate_above_bytes: max_bytes,
            cut_off: false,
        };
        match file.start_anew() {
            Err(source) if !is_full(&source) => Err(OpenError { path: path.to_owned(), source }),
            _ => Ok(file),
        }
    }

    fn start_anew(&mut self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        }
        self.rotate()
    }

    fn rotate(&mut self) -> io::Result<()> {
        move_on(&self.path, self.keep)?;
        self.file = None;
        self.open()
    }

    /// Opens the file under its name, which may have been taken by another one or be free. When it
    /// fails, the file that was open stays so.
    fn open(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).mode(FILE_MODE);
        // A link in its place would have us write somewhere else.
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let file = match options.clone().create_new(true).open(&self.path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(&self.path)?,
            created => {
                let file = created?;
                self.cut_off = false;
                self.rotate_above_bytes = self.max_bytes;
                // Whatever the umask is. Where modes mean nothing this fails, and that is fine.
                let _ = file.set_permissions(Permissions::from_mode(FILE_MODE));
                file
            }
        };
        self.file = Some(file);
        Ok(())
    }

    /// The size of the open file, which is opened again when someone has deleted it.
    fn size_bytes(&mut self) -> io::Result<u64> {
        if let Some(file) = &self.file {
            let metadata = file.metadata()?;
            if metadata.nlink() > 0 {
                return Ok(metadata.len());
            }
            self.file = None;
        }
        self.open()?;
        self.file.as_ref().map_or(Ok(0), |file| file.metadata().map(|metadata| metadata.len()))
    }

    /// Rotates when `new_bytes` more would make the file too large; tells its size then. A rotation
    /// that fails is told in the file itself, which goes on, and tried again after `max_bytes` more.
    fn make_room(&mut self, at: Timestamp, new_bytes: usize) -> io::Result<u64> {
        let size_bytes = self.size_bytes()?;
        if size_bytes == 0 || size_bytes.saturating_add(new_bytes as u64) <= self.rotate_above_bytes
        {
            return Ok(size_bytes);
        }
        if let Err(error) = self.rotate() {
            self.rotate_above_bytes = size_bytes.saturating_add(self.max_bytes);
            let message = format!(
                "The log can't be rotated: {error}. It goes on in this file; make its folder writable."
            );
            let warning = Entry::at(at, Level::Warn, Module::Main, message)
                .with(Field::Event, "log-not-rotated");
            let warning = line(&warning, &self.zone.time_zone());
            let size_bytes = self.size_bytes()?;
            self.append(&warning, size_bytes)?;
        }
        self.size_bytes()
    }

    /// Writes lines at the end of a file of `size_bytes`: all of them, or nothing.
    fn append(&mut self, lines: &str, size_bytes: u64) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(ErrorKind::NotFound.into()) };
        // A line that was cut off must not run into this one.
        let bytes = if self.cut_off { format!("\n{lines}") } else { lines.to_owned() }.into_bytes();
        let written = loop {
            match file.write(&bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        if written == bytes.len() {
            self.cut_off = false;
            return Ok(());
        }
        if file.set_len(size_bytes).is_err() {
            self.cut_off = true;
        }
        Err(Errno::NOSPC.into())
    }
}

impl Sink for LogFile {
    fn name(&self) -> String {
        format!("log {}", self.path.display())
    }

    fn put(&mut self, entries: &[&Entry]) -> io::Result<()> {
        let Some(first) = entries.first() else { return Ok(()) };
        let zone = self.zone.time_zone();
        let lines: String = entries.iter().map(|entry| line(entry, &zone)).collect();
        let size_bytes = self.make_room(first.time(), lines.len())?;
        self.append(&lines, size_bytes)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
