//! Moves older log files on: `license.log` becomes `license.log.1`, that one `license.log.2` …

use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Moves the file at `path` and those before it on, so that `path` is free; `keep` older ones stay.
///
/// A gap in the numbers moves on like a file, and files above `keep` (it may have been higher
/// once) are removed up to the first gap. When it fails midway, no file is lost but the oldest.
pub(super) fn move_on(path: &Path, keep: u32) -> io::Result<()> {
    if keep == 0 {
        missing_is_fine(fs::remove_file(path))?;
    } else {
        for number in (1..keep).rev() {
            missing_is_fine(fs::rename(numbered(path, number), numbered(path, number + 1)))?;
        }
        missing_is_fine(fs::rename(path, numbered(path, 1)))?;
    }
    let mut beyond = keep.saturating_add(1);
    while fs::remove_file(numbered(path, beyond)).is_ok() {
        beyond = beyond.saturating_add(1);
    }
    Ok(())
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
