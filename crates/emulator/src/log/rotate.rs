//! Opens a log's file at a start, and moves the files of earlier starts out of its way.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use jiff::Zoned;
use thiserror::Error;

use super::LogPlace;

/// The current log of the style `par`.
const DATED_LINK: &str = "charon-par.log";
/// How many logs of the style `par` may begin in one second.
const MAX_NUMBER: u32 = 999;

/// Why a log could not be opened at the start: exit code 73.
#[derive(Debug, Error)]
#[error("can't write the log {}: {source}; make the folder writable or name another one with [log] dir or --log", path.display())]
pub struct OpenError {
    /// The file or folder in question.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Opens a new, empty log at `place` for a start at `now`; tells its path.
pub(super) fn open(place: &LogPlace, now: &Zoned) -> Result<(File, PathBuf), OpenError> {
    let (path, outcome) = match place {
        LogPlace::Rotated { file, keep } => (file, open_rotated(file, *keep)),
        LogPlace::Dated { folder } => (folder, open_dated(folder, now)),
    };
    outcome.map_err(|source| OpenError { path: path.clone(), source })
}

fn open_rotated(path: &Path, keep: u32) -> io::Result<(File, PathBuf)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if keep == 0 {
        missing_is_fine(fs::remove_file(path))?;
    } else {
        for number in (1..keep).rev() {
            missing_is_fine(fs::rename(numbered(path, number), numbered(path, number + 1)))?;
        }
        missing_is_fine(fs::rename(path, numbered(path, 1)))?;
    }
    // Left over from a time when more were kept.
    let mut beyond = keep + 1;
    while fs::remove_file(numbered(path, beyond)).is_ok() {
        beyond += 1;
    }
    Ok((create_new(path)?, path.to_owned()))
}

/// `<path>.<number>`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn missing_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Never follows a link that someone left there.
fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).open(path)
}

fn open_dated(folder: &Path, now: &Zoned) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(folder)?;
    let moment = now.strftime("%y%m%d-%H%M%S");
    for number in 1..=MAX_NUMBER {
        let name = format!("charon-par.{moment}-{number:03}.log");
        let path = folder.join(&name);
        match create_new(&path) {
            Ok(file) => return link_to(folder, &name).map(|()| (file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Points the link at the file `name`, in one step; a file of the operator's own stays.
fn link_to(folder: &Path, name: &str) -> io::Result<()> {
    let link = folder.join(DATED_LINK);
    if fs::symlink_metadata(&link).is_ok_and(|found| !found.is_symlink()) {
        let reason = format!("{DATED_LINK} is in the way: it is no symbolic link");
        return Err(io::Error::new(ErrorKind::AlreadyExists, reason));
    }
    let new = folder.join(format!("{name}.link"));
    symlink(name, &new)?;
    fs::rename(new, link)
}
