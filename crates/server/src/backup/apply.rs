//! Puts a restore into effect, so that a kill at any moment leaves a home that goes on.
//!
//! Everything is prepared in `restoring.tmp`: the files, whole and flushed, and the list of what to do
//! with them. Renaming that folder to `restoring` is the moment from which the restore is decided.
//! From then on each step can be done twice: what is to be replaced gets a second name in
//! `before-restore-…` (a link, so that the file is never gone in between), the new file is renamed over
//! it, and a step whose new file isn't there any more has been done. Whoever takes the home next, to
//! serve, to restore or to change a license, first goes on where this one was cut off.
//!
//! Marks are never lowered on the way: the ledger that comes from the backup was raised to all of them
//! before the decision, and one that stays is raised by a step of its own. A registry that stays takes
//! in the backup's in one transaction, and takes nothing in that it has already.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use ve_core::id::SpanId;
use ve_documents::files;
use ve_host::clock;
use ve_store::{
    AppendFailure, Embedded, HighWater, HostMarks, LoadError, Store, adopt_hosts, hosts_left,
    merge_hosts,
};

use super::{manifest::Part, place};
use crate::home::{Home, HomeError, not_writable};

/// The folder of a restore that is decided.
const DECIDED: &str = "restoring";

/// The list in it.
const JOURNAL: &str = "journal.json";

/// What the folders with replaced files begin with.
pub const ASIDE: &str = "before-restore-";

/// The longest list, in bytes.
const MAX_JOURNAL_BYTES: usize = 16 << 20;

/// Why a restore isn't complete. The next one, or the server's next start, goes on with it.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The home can't be written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The list can't be read.
    #[error(
        "a restore was cut off here, and its list {} can't be read ({why}); move that folder away, \
         and restore again", path.display()
    )]
    Journal {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The ledger or registry that stays can't be opened.
    #[error(transparent)]
    Ledger(#[from] LoadError),
    /// The ledger that stays can't be written.
    #[error("the ledger can't be written: {0}")]
    Raise(#[from] AppendFailure),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// The folder that takes what is replaced.
    pub aside: String,
    /// What gets its place, in this order.
    pub names: Vec<String>,
    /// The marks that the ledger in the home is raised to, when it stays.
    pub raise: Option<HighWater>,
    /// Whether the ledger in the home, when it stays, takes in the retired hosts of the backup's.
    #[serde(default)]
    pub retire: bool,
    /// The span under which the registry in the home takes in the backup's, when it stays.
    #[serde(default)]
    pub merge: Option<SpanId>,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ApplyError {
    let path = path.to_path_buf();
    move |error| not_writable(&path, error).into()
}

/// Decides a restore that is prepared in `folder`, and does it.
pub fn decide(home: &Home, folder: &Path, journal: &Journal) -> Result<(), ApplyError> {
    let path = folder.join(JOURNAL);
    let text = serde_json::to_vec(journal).map_err(io::Error::from).map_err(failed(&path))?;
    files::write_new(&path, &text, 0o600).map_err(failed(&path))?;
    sync(&folder.join("licenses"))?;
    sync(folder)?;
    let decided = home.path().join(DECIDED);
    fs::rename(folder, &decided).map_err(failed(&decided))?;
    sync(home.path())?;
    finish(home).map(drop)
}

/// Whether a restore was decided and is not complete.
pub fn is_cut_off(home: &Home) -> bool {
    fs::symlink_metadata(home.path().join(DECIDED)).is_ok()
}

/// Goes on with a restore that was cut off, and says whether there was one. The home's lock is held.
pub fn finish(home: &Home) -> Result<bool, ApplyError> {
    if !is_cut_off(home) {
        return Ok(false);
    }
    let folder = home.path().join(DECIDED);
    let journal = read_journal(&folder)?;
    let aside = home.path().join(&journal.aside);
    for name in &journal.names {
        put(home, &folder, &aside, name)?;
    }
    for changed in [&home.licenses(), &aside.join("licenses"), &aside] {
        if changed.is_dir() {
            sync(changed)?;
        }
    }
    sync(home.path())?;
    if journal.raise.is_some() || journal.retire {
        raise(home, &folder, &journal)?;
    }
    if let Some(span) = journal.merge {
        merge(home, &folder, &aside, span)?;
    }
    let done = super::stage::folder_in(home);
    let _ = fs::remove_dir_all(&done);
    fs::rename(&folder, &done).map_err(failed(&folder))?;
    sync(home.path())?;
    // What is left of it means nothing any more.
    let _ = fs::remove_dir_all(&done);
    Ok(true)
}

/// Brings the ledger that stays forward.
fn raise(home: &Home, folder: &Path, journal: &Journal) -> Result<(), ApplyError> {
    // It was sound when the restore was decided, and may have been lost since: that must not keep
    // every start from its end.
    let opened = Embedded::open_for_service(&home.ledger(), None, true, clock::now().wall)?;
    let mut ledger = opened.store;
    if let Some(marks) = &journal.raise {
        ledger.raise(marks)?;
    }
    if journal.retire {
        let retired = hosts_left(&place(folder, "ledger.db")).retired;
        ledger.join_hosts(&HostMarks { retired, ..HostMarks::default() })?;
    }
    // What was raised is durable without a tidy end.
    let _ = ledger.close();
    Ok(())
}

/// Brings the registry that stays forward.
fn merge(home: &Home, folder: &Path, aside: &Path, span: SpanId) -> Result<(), ApplyError> {
    let (to, from) = (home.instances(), place(folder, "instances.db"));
    if fs::symlink_metadata(&from).is_err() {
        return Ok(()); // It was put in place, below.
    }
    match merge_hosts(&to, &from, span) {
        Err(error) if is_lost(&error, &to) => {
            // As with the ledger: it was sound, and a start must come to its end.
            adopt_hosts(&from)?;
            put(home, folder, aside, "instances.db")?;
            if aside.is_dir() {
                sync(aside)?;
            }
            sync(home.path())
        }
        // The home's own is sound and has lost nothing.
        Err(error) if is_lost(&error, &from) => Ok(()),
        merged => Ok(merged.map(drop)?),
    }
}

/// Whether nothing can be made of the registry at `path`.
fn is_lost(error: &LoadError, path: &Path) -> bool {
    match error {
        LoadError::Damaged { path: damaged, .. } | LoadError::NoRegistry(damaged) => {
            damaged == path
        }
        LoadError::Unreadable { path: unreadable, .. } => {
            unreadable == path && fs::symlink_metadata(path).is_err()
        }
        _ => false,
    }
}

fn read_journal(folder: &Path) -> Result<Journal, ApplyError> {
    let path = folder.join(JOURNAL);
    let wrong = |why: String| ApplyError::Journal { path: path.clone(), why };
    let text =
        files::read_limited(&path, MAX_JOURNAL_BYTES).map_err(|error| wrong(error.to_string()))?;
    let journal: Journal =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let is_aside = journal
        .aside
        .strip_prefix(ASIDE)
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    if !is_aside || journal.names.iter().any(|name| Part::of(name).is_none()) {
        return Err(wrong("it names what is in no home".into()));
    }
    Ok(journal)
}

/// Gives one file its place; what has it now is kept.
fn put(home: &Home, folder: &Path, aside: &Path, name: &str) -> Result<(), ApplyError> {
    let (from, to) = (place(folder, name), place(home.path(), name));
    if fs::symlink_metadata(&from).is_err() {
        return Ok(()); // It has been done.
    }
    if matches!(Part::of(name), Some(Part::Ledger | Part::Registry)) {
        // A log belongs to its database, and would spoil another.
        for suffix in ["-journal", "-wal", "-shm"] {
            let log = format!("{name}{suffix}");
            let path = place(home.path(), &log);
            if fs::symlink_metadata(&path).is_ok() {
                keep(&path, aside, &log, |from, to| fs::rename(from, to))?;
            }
        }
    }
    if fs::symlink_metadata(&to).is_ok() {
        let link =
            |from: &Path, to: &Path| fs::hard_link(from, to).or_else(|_| fs::rename(from, to));
        keep(&to, aside, name, link)?;
    }
    fs::rename(&from, &to).map_err(failed(&to))
}

/// Keeps a file under its name in the folder for such files, once.
fn keep(
    path: &Path,
    aside: &Path,
    name: &str,
    give: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<(), ApplyError> {
    let folders = [aside.to_path_buf(), place(aside, name).parent().unwrap_or(aside).to_path_buf()];
    for folder in &folders {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(folder)(error));
            }
            _ => {}
        }
    }
    let others = (2..1_000).map(|number| place(aside, &format!("{name}.{number}")));
    for goal in std::iter::once(place(aside, name)).chain(others) {
        match fs::symlink_metadata(&goal) {
            Ok(kept) if is_same(&kept, path) => return Ok(()),
            Ok(_) => {}
            Err(_) => return give(path, &goal).map_err(failed(&goal)),
        }
    }
    Err(failed(aside)(io::Error::other("it is full of files")))
}

fn is_same(kept: &fs::Metadata, path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|file| (file.dev(), file.ino()) == (kept.dev(), kept.ino()))
}

fn sync(folder: &Path) -> Result<(), ApplyError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}
