//! A server's start with its registry, also with one that is damaged or missing: the newest snapshot
//! takes its place, the damaged file is put aside, and whoever asked is told.
//!
//! The order keeps every kill harmless. What is to take the place is made whole beside it; then the
//! log goes aside before its file; then the new file gets the name. A start that finds nothing there
//! knows by the ledger, a snapshot or the file put aside that there was a registry, and does it again.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use ve_core::{
    id::{ServerKey, SpanId},
    node::event::Remembered,
    registry::{RememberedHosts, Span, changes::MAX_SPANS},
    time::Utc,
};

use super::{
    EmbeddedHosts, HostsReadOnly, REGISTRY, change, open_file,
    read::{self, Content},
    snapshots::snapshots,
    write,
};
use crate::{
    place::FileId,
    sqlite::{
        aside::{put_aside, put_aside_before, with_suffix},
        connection::{self, Access},
        format::Format,
    },
    store::LoadError,
};

/// The word in the names of damaged files.
const DAMAGED: &str = "damaged";

/// What a start of the server brings along.
#[derive(Debug, Clone, Copy)]
pub struct HostsStart<'a> {
    /// Whose registry it is; `None`: that doesn't matter.
    pub server_key: Option<ServerKey>,
    /// The random name of this start's numbers.
    pub span: SpanId,
    /// The folder of the snapshots; it need not exist.
    pub snapshots: &'a Path,
    /// What the ledger remembers: it shows whether there were hosts.
    pub ledger: &'a Remembered,
    /// The wall clock.
    pub now: Utc,
}

/// A registry that is open, and what was found in its place.
#[derive(Debug)]
pub struct OpenedHosts {
    /// The registry.
    pub store: EmbeddedHosts,
    /// What was found.
    pub finding: HostsFinding,
}

/// What a start found in the registry's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostsFinding {
    /// Nothing, and nothing was to be expected.
    FirstStart,
    /// The registry.
    Sound,
    /// A registry that another server had: a peer's, or this one's before it got a new key. The hosts
    /// stay; what it knew of its own peer was forgotten.
    OfOtherServer,
    /// No registry that can be used.
    Lost(HostsLost),
}

/// What took the place of a lost registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsLost {
    /// What is damaged; `None`: the registry is missing.
    pub damage: Option<String>,
    /// Where its file was put; `None`: there was none.
    pub aside: Option<PathBuf>,
    /// The snapshot that took its place; `None`: an empty registry did.
    pub snapshot: Option<PathBuf>,
    /// Newer snapshots that can't be used.
    pub unusable: Vec<PathBuf>,
    /// How many entries there are now.
    pub entries: usize,
}

impl EmbeddedHosts {
    /// Opens the registry at `path` for a server, and begins the span of this start, durably. Every page
    /// and every row is checked.
    ///
    /// One that is damaged is put aside, as `instances.db.damaged-…`. In its place, and in that of one
    /// that is missing where the ledger or a snapshot shows that there was one, comes the newest snapshot
    /// that is sound, or else an empty registry; both may lack hosts. Any other file, and one that a
    /// newer version wrote, is an error and stays as it is.
    pub fn open_for_service(path: &Path, start: HostsStart<'_>) -> Result<OpenedHosts, LoadError> {
        let log = Log::beside(path);
        let look = look(path)?;
        let is_expected = log.shows_a_registry(&look) || is_expected(path, start);
        let lost = match look {
            Look::Nothing if is_expected => Some(begin_anew(path, start, None)?),
            Look::Nothing => {
                connection::make_file(path)?;
                let (store, _) = begin(open_sound(path)?, path, start, false)?;
                return Ok(OpenedHosts { store, finding: HostsFinding::FirstStart });
            }
            Look::Noise if is_expected => {
                Some(begin_anew(path, start, Some("there is only noise in it".to_string()))?)
            }
            Look::Noise => return Err(LoadError::NoRegistry(path.to_path_buf())),
            Look::Registry => match open_sound(path) {
                Err(LoadError::Damaged { why, .. }) => Some(begin_anew(path, start, Some(why))?),
                Err(error) => return Err(error),
                Ok(sound) => {
                    let (store, is_of_other) = begin(sound, path, start, false)?;
                    let finding =
                        if is_of_other { HostsFinding::OfOtherServer } else { HostsFinding::Sound };
                    return Ok(OpenedHosts { store, finding });
                }
            },
        };
        let mut lost = lost.expect("all else has returned");
        let sound = open_sound(path)?;
        lost.entries = sound.1.hosts.entries.len();
        let (store, _) = begin(sound, path, start, true)?;
        Ok(OpenedHosts { store, finding: HostsFinding::Lost(lost) })
    }
}

/// The log beside the registry's file, as it is before anyone opens that.
struct Log {
    is_there: bool,
    file_is_begun: bool,
}

impl Log {
    fn beside(path: &Path) -> Self {
        let has_content = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() > 0);
        Self { is_there: has_content(&with_suffix(path, "-wal")), file_is_begun: has_content(path) }
    }

    /// A log without its file is what is left of a registry. In one beside a file that was begun and
    /// holds nothing, nothing was ever committed: the first start was killed.
    fn shows_a_registry(&self, look: &Look) -> bool {
        self.is_there && !(self.file_is_begun && matches!(look, Look::Nothing))
    }
}

/// Whether something else shows that there was a registry.
fn is_expected(path: &Path, HostsStart { snapshots: folder, ledger, .. }: HostsStart<'_>) -> bool {
    !ledger.homed.is_empty()
        || !ledger.retired_hosts.is_empty()
        || !put_aside_before(path, DAMAGED).is_empty()
        || snapshots(folder).is_ok_and(|found| !found.is_empty())
}

enum Look {
    Nothing,
    Noise,
    Registry,
}

/// A file in which nothing was ever committed is no registry yet.
fn look(path: &Path) -> Result<Look, LoadError> {
    if fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(Look::Nothing);
    }
    let opened = connection::open(path, Access::Read);
    match opened.and_then(|connection| REGISTRY.recognise(&connection, path)) {
        Ok(Format::Empty) => Ok(Look::Nothing),
        Ok(Format::Steps(_)) | Err(LoadError::Damaged { .. }) => Ok(Look::Registry),
        Err(LoadError::NoRegistry(_) | LoadError::Foreign(_)) if !connection::is_database(path) => {
            Ok(Look::Noise)
        }
        Err(error) => Err(REGISTRY.name_foreign(error)),
    }
}

type Sound = (Connection, Content);

fn open_sound(path: &Path) -> Result<Sound, LoadError> {
    let mut connection = open_file(path)?;
    let content = read::content(&mut connection, path)?;
    Ok((connection, content))
}

/// Begins this start's span; says whether the registry was another server's.
fn begin(
    (mut connection, content): Sound,
    path: &Path,
    start: HostsStart<'_>,
    is_new: bool,
) -> Result<(EmbeddedHosts, bool), LoadError> {
    let after = content.last_number();
    let Content { mut hosts, numbers, server_key } = content;
    let is_of_other =
        matches!((server_key, start.server_key), (Some(its), Some(own)) if its != own);
    // What put the doubt there may have been settled since; the next start need not repeat it.
    let doubts_on = is_new || is_of_other || hosts.may_lack_hosts && lacks(&hosts, start.ledger);
    change(&mut connection, path, |transaction| {
        if is_of_other {
            write::take_from_other(transaction)?;
        }
        if let Some(server_key) = start.server_key {
            write::name(transaction, server_key)?;
        }
        write::doubt(transaction, doubts_on)?;
        write::begin_span(transaction, start.span, after)
    })?;
    if is_of_other {
        hosts.spans.clear();
        (hosts.pulled, hosts.peer) = (None, None);
    }
    hosts.spans.push(Span { id: start.span, after });
    hosts.spans.drain(..hosts.spans.len().saturating_sub(MAX_SPANS));
    let store = EmbeddedHosts {
        connection,
        path: path.to_path_buf(),
        file: FileId::at(path),
        after,
        numbers,
        may_lack_hosts: hosts.may_lack_hosts || doubts_on,
        checked: Some(hosts),
    };
    Ok((store, is_of_other))
}

/// Whether the ledger knows of more hosts at home here than there are.
fn lacks(hosts: &RememberedHosts, ledger: &Remembered) -> bool {
    ledger.homed.iter().any(|(home, count)| {
        let is_homed =
            |entry: &ve_core::registry::HostEntry| entry.is_active() && entry.home == *home;
        let homed = hosts.entries.iter().filter(|(_, entry)| is_homed(entry)).count();
        (homed as u64) < *count
    })
}

/// Puts the newest sound snapshot, or an empty registry, in the place of one that is lost.
fn begin_anew(
    path: &Path,
    start: HostsStart<'_>,
    damage: Option<String>,
) -> Result<HostsLost, LoadError> {
    let new = with_suffix(path, ".new");
    remove(&new)?;
    let (snapshot, unusable) = newest_sound(start.snapshots);
    match &snapshot {
        Some(snapshot) => copy(snapshot, &new)?,
        None => drop(connection::make_file(&new)?),
    }
    let mut connection = open_file(&new)?;
    change(&mut connection, &new, |transaction| write::doubt(transaction, true))?;
    connection::close(connection, true)
        .map_err(|error| LoadError::Unreadable { path: new.clone(), why: error.to_string() })?;
    let aside = put_aside(path, DAMAGED, start.now)?;
    fs::rename(&new, path)
        .and_then(|()| connection::sync_folder(path))
        .map_err(|error| connection::unreadable(path, &error))?;
    Ok(HostsLost { damage, aside, snapshot, unusable, entries: 0 })
}

/// The newest snapshot that can be used, and the newer ones that can't.
fn newest_sound(folder: &Path) -> (Option<PathBuf>, Vec<PathBuf>) {
    let mut unusable = Vec::new();
    for snapshot in snapshots(folder).unwrap_or_default() {
        match HostsReadOnly::open_checked(&snapshot.path) {
            Ok(_) => return (Some(snapshot.path), unusable),
            Err(_) => unusable.push(snapshot.path),
        }
    }
    (None, unusable)
}

fn copy(from: &Path, to: &Path) -> Result<(), LoadError> {
    let copied = fs::copy(from, to).and_then(|_| File::open(to)?.sync_all());
    copied.map_err(|error| connection::unreadable(to, &error))?;
    connection::close_to_others(to)
}

/// What a start that was killed has left.
fn remove(new: &Path) -> Result<(), LoadError> {
    for suffix in connection::SUFFIXES {
        let file = with_suffix(new, suffix);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(connection::unreadable(&file, &error));
            }
            _ => {}
        }
    }
    Ok(())
}
