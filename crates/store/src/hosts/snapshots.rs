//! Snapshots of the registry: small whole files beside it, for the day on which it is damaged.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use ve_core::time::Utc;

use super::HostsReadOnly;
use crate::{
    sqlite::{
        aside::{stamp, with_suffix},
        connection,
    },
    store::{CopyError, LoadError},
};

/// What a snapshot's name begins and ends with; between them stands when it was made.
const NAME: (&str, &str) = ("instances-", ".db");

/// The name of a snapshot in the making. What a process that was killed has left is replaced.
const PART: &str = ".instances.part";

/// The mode of the folder.
const FOLDER_MODE: u32 = 0o700;

/// How many seconds a snapshot's time can be ahead of the clock to keep names in order: a clock that
/// was set back makes no new snapshot look older than an old one.
const STEP_S: i64 = 1;

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its file.
    pub path: PathBuf,
    /// When it was made, by its name.
    pub at: Utc,
}

/// The snapshots in a folder, the newest first; none where there is no folder.
pub fn snapshots(folder: &Path) -> io::Result<Vec<Snapshot>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(at) = entry.file_name().to_str().and_then(made_at) {
            found.push(Snapshot { path: entry.path(), at });
        }
    }
    found.sort_unstable_by_key(|snapshot| std::cmp::Reverse(snapshot.at));
    Ok(found)
}

/// When the snapshot with this name was made; `None` for other names.
fn made_at(name: &str) -> Option<Utc> {
    let text = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    let part =
        |range| text.get(range).filter(|part: &&str| part.bytes().all(|b| b.is_ascii_digit()));
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(9..11)?, part(11..13)?, part(13..15)?);
    let at = Utc::parse(&format!("{year}-{month}-{day} {hour}:{minute}:{second}")).ok()?;
    (stamp(at) == text).then_some(at)
}

/// Writes a snapshot of the registry at `instances_db` into `folder`, which is made if it is missing
/// (mode 0700), and says where it is; `None`: no entry has changed since the newest one, or there is no
/// registry. `now` is the wall clock. The oldest beyond `keep` are removed, once the new one is
/// durable; at least one is kept. A server may write the registry meanwhile.
pub fn snapshot(
    instances_db: &Path,
    folder: &Path,
    now: Utc,
    keep: u32,
) -> Result<Option<PathBuf>, CopyError> {
    let failed = |error: &io::Error| copy_error(folder, error.to_string());
    let unreadable = |error: LoadError| copy_error(folder, error.to_string());
    let mut registry = HostsReadOnly::open(instances_db).map_err(unreadable)?;
    if !registry.has_registry() {
        return Ok(None);
    }
    let before = snapshots(folder).map_err(|error| failed(&error))?;
    if let Some(newest) = before.first()
        && HostsReadOnly::open(&newest.path).is_ok_and(|it| registry.has_entries_of(&it))
    {
        return Ok(None);
    }
    make_folder(folder).map_err(|error| failed(&error))?;
    let at = before.first().map_or(now, |newest| now.max(newest.at.plus_seconds(STEP_S)));
    let goal = folder.join(format!("{}{}{}", NAME.0, stamp(at), NAME.1));
    write(&mut registry, folder, &goal)?;
    for old in before.iter().skip(keep.max(1) as usize - 1) {
        // It is tried again with the next one.
        let _ = fs::remove_file(&old.path);
    }
    Ok(Some(goal))
}

/// Makes the folder where it is missing. A new one is durable before anything in it counts.
fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => connection::sync_folder(folder),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the copy under another name, and gives it its own when it is durable.
fn write(registry: &mut HostsReadOnly, folder: &Path, goal: &Path) -> Result<(), CopyError> {
    let part = folder.join(PART);
    let failed = |error: io::Error| CopyError {
        copy: goal.to_path_buf(),
        why: error.to_string(),
        is_full: error.kind() == ErrorKind::StorageFull,
    };
    let clear = || {
        for suffix in connection::SUFFIXES {
            // What can't be removed is in the way of what follows, which says so.
            let _ = fs::remove_file(with_suffix(&part, suffix));
        }
    };
    clear();
    connection::make_file(&part).map_err(|error| copy_error(goal, error.to_string()))?;
    let copied = registry.copy_to(&part);
    let copied = copied.map_err(|error| CopyError { copy: goal.to_path_buf(), ..error });
    let written = copied.and_then(|_| {
        File::open(&part)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&part, goal))
            .and_then(|()| connection::sync_folder(goal))
            .map_err(failed)
    });
    if written.is_err() {
        clear();
    }
    written
}

fn copy_error(copy: &Path, why: String) -> CopyError {
    CopyError { copy: copy.to_path_buf(), why, is_full: false }
}
