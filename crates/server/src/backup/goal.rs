//! Files that are there whole or not at all, for content that is too long to be held in memory.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with},
    process::geteuid,
};
use thiserror::Error;

use crate::home::{HomeError, not_writable};

/// Backups hold the server's key and every passphrase.
const FILE_MODE: u32 = 0o600;

/// Why a backup's file can't be written.
#[derive(Debug, Error)]
pub enum GoalError {
    /// There is something.
    #[error("{} is there already; name another file, or replace it with --force", .0.display())]
    Exists(PathBuf),
    /// There is something that is not replaced.
    #[error("{} is not a plain file; name one that can be written", .0.display())]
    NotAFile(PathBuf),
    /// Another backup is being written to it.
    #[error("{} is being written by another backup; wait for its end", .0.display())]
    Busy(PathBuf),
    /// The system refused.
    #[error(transparent)]
    Failed(#[from] HomeError),
}

impl GoalError {
    fn at(path: &Path, source: io::Error) -> Self {
        Self::Failed(not_writable(path, source))
    }
}

/// A file in the making that this process alone has, removed when it is dropped. What a process that
/// was killed has left is taken over.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    /// Makes an empty file.
    pub fn make(path: PathBuf) -> Result<Self, GoalError> {
        let failed = |error| GoalError::at(&path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&path)
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        // In a folder that others can write, it may be theirs.
        if !metadata.is_file() || metadata.uid() != geteuid().as_raw() || metadata.nlink() > 1 {
            return Err(GoalError::NotAFile(path));
        }
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(GoalError::Busy(path));
        }
        // The one that had it may have renamed it just now: then it is a finished backup.
        let is_named = fs::symlink_metadata(&path).is_ok_and(|now| now.ino() == metadata.ino());
        if !is_named {
            return Err(GoalError::Busy(path));
        }
        file.set_len(0).map_err(failed)?;
        Ok(Self { path, file })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            // After a rename there is nothing left to remove, and after a failure nothing to add.
            let _ = fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

/// The file that the user named, while it is being written under another name beside it.
#[derive(Debug)]
pub struct Goal {
    path: PathBuf,
    replace: bool,
    scratch: Scratch,
}

impl Goal {
    /// Begins. A file that is there is replaced only when that is asked for.
    pub fn begin(path: &Path, replace: bool) -> Result<Self, GoalError> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => return Err(GoalError::NotAFile(path.to_path_buf())),
            Ok(_) if !replace => return Err(GoalError::Exists(path.to_path_buf())),
            _ => {}
        }
        let scratch = Scratch::make(hidden_beside(path, "part")?)?;
        Ok(Self { path: path.to_path_buf(), replace, scratch })
    }

    /// The file under its other name.
    pub fn file(&self) -> &File {
        self.scratch.file()
    }

    /// Gives the file its own name, durably.
    pub fn finish(self) -> Result<(), GoalError> {
        let failed = |error| GoalError::at(&self.path, error);
        self.scratch.file.sync_all().map_err(failed)?;
        if self.replace {
            fs::rename(&self.scratch.path, &self.path).map_err(failed)?;
        } else {
            self.appear()?;
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Some network file systems can't do it; the file itself is on disk.
        let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// Renames without ever replacing: somebody may have made the file meanwhile.
    fn appear(&self) -> Result<(), GoalError> {
        let (from, to) = (&self.scratch.path, &self.path);
        let error = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            // A file system that doesn't know how; a second link never replaces either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                match fs::hard_link(from, to) {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error.into(),
        };
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Err(GoalError::Exists(to.clone()));
        }
        Err(GoalError::at(to, error))
    }
}

/// `.name.suffix` in the same folder.
pub fn hidden_beside(path: &Path, suffix: &str) -> Result<PathBuf, GoalError> {
    let name = path.file_name().ok_or_else(|| GoalError::NotAFile(path.to_path_buf()))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(suffix);
    Ok(path.with_file_name(hidden))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}
