//! A file that can't be used is kept under another name, beside where it was.

use std::{
    ffi::OsString,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use ve_core::time::Utc;

use super::connection::{self, SUFFIXES};
use crate::store::LoadError;

/// Renames what is in the place of a database, log first, and says where the database itself is now.
pub(crate) fn put_aside(path: &Path, word: &str, now: Utc) -> Result<Option<PathBuf>, LoadError> {
    let goal = free_name(path, word, now);
    let mut aside = None;
    for suffix in SUFFIXES {
        let (from, to) = (with_suffix(path, suffix), with_suffix(&goal, suffix));
        // An empty file is one that was just made: nothing to keep.
        if suffix.is_empty() && fs::metadata(&from).is_ok_and(|file| file.len() == 0) {
            continue;
        }
        match fs::rename(&from, &to) {
            Ok(()) if suffix.is_empty() => aside = Some(to),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let why = format!("it can't be put aside: {error}");
                return Err(LoadError::Unreadable { path: from, why });
            }
            _ => {}
        }
    }
    connection::close_to_others(&goal)?;
    connection::sync_folder(path).map_err(|error| connection::unreadable(path, &error))?;
    Ok(aside)
}

/// `ledger.db.damaged-20261122T200803Z`, with a number behind it where that is taken.
pub(crate) fn free_name(path: &Path, word: &str, now: Utc) -> PathBuf {
    let name = with_suffix(path, &format!(".{word}-{}", stamp(now)));
    let is_free = |name: &PathBuf| {
        SUFFIXES.iter().all(|suffix| fs::symlink_metadata(with_suffix(name, suffix)).is_err())
    };
    let others = (2..1_000).map(|number| with_suffix(&name, &format!("-{number}")));
    std::iter::once(name.clone()).chain(others).find(is_free).unwrap_or(name)
}

/// What was put aside with this word before, the latest name first; not the logs beside it.
pub(crate) fn put_aside_before(path: &Path, word: &str) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let beginning = format!("{name}.{word}-");
    let Ok(entries) = fs::read_dir(connection::folder_of(path)) else { return Vec::new() };
    let is_one = |found: &Path| {
        let name = found.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| {
            name.starts_with(&beginning)
                && !SUFFIXES.iter().any(|suffix| !suffix.is_empty() && name.ends_with(suffix))
        })
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = paths.filter(|path| is_one(path)).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

/// `20261122T200803Z`: names with it sort in the order of time.
pub(crate) fn stamp(at: Utc) -> String {
    let digits: String = at.to_string().chars().filter(char::is_ascii_digit).collect();
    let (day, time) = digits.split_at(8.min(digits.len()));
    format!("{day}T{time}Z")
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}
