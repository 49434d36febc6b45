//! A server's start with a ledger that is damaged, missing or older than it was: what can be saved of
//! its marks is saved, the old file is put aside, and whoever asked is told.
//!
//! The order keeps every kill harmless. What was saved is made durable in the reserve before anything
//! is moved; then the log goes aside before its ledger, so that no ledger ever stands beside a log
//! that isn't its own; and the new ledger has all marks from its first commit on, which is when it
//! stops counting as missing.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::Transaction;
use ve_core::{id::ServerKey, time::Utc};

use super::{
    Embedded, change,
    read::Ledger,
    salvage::{hosts_left, salvage},
    schema::LEDGER,
    take_over, write,
};
use crate::{
    high_water::HighWater,
    host_marks::HostMarks,
    reserve::{self, Content, Reserve},
    rules::Limits,
    sqlite::{
        aside::{free_name, put_aside},
        connection::{self, Access},
        format::Format,
        words,
    },
    store::{Begun, BegunCause, LoadError},
};

/// The word in the names of damaged files.
pub(super) const DAMAGED: &str = "damaged";

/// A ledger that is open, and what was found in its place.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub store: Embedded,
    /// What was found.
    pub finding: Finding,
    /// What was found in the reserve's place.
    pub reserve: ReserveFinding,
}

/// What a start found in the reserve's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveFinding {
    /// A reserve, or none.
    Sound,
    /// One in which nothing could be read. It was made anew.
    Damaged,
    /// Another server's. A new one was made; the other is here.
    OfOtherServer(PathBuf),
}

/// What a start found in the ledger's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing, and nothing was to be expected.
    FirstStart,
    /// The ledger.
    Sound,
    /// The ledger, but an older one than the reserve knows of. Its marks were raised.
    Older {
        /// The ledger's last position.
        found: u64,
        /// The last position that the ledger had once.
        known: u64,
    },
    /// No ledger that can be used. A new one was begun.
    Lost(Lost),
}

/// What a lost ledger left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What is damaged; `None`: the ledger is missing, or another server's.
    pub damage: Option<String>,
    /// Whether it is another server's: then none of its marks are taken.
    pub is_of_other_server: bool,
    /// Where its file was put; `None`: there was none.
    pub aside: Option<PathBuf>,
    /// Whether marks could be read from the damaged file.
    pub from_ledger: bool,
    /// Whether there was a reserve with marks.
    pub from_reserve: bool,
    /// What was saved.
    pub saved: HighWater,
}

impl Embedded {
    /// Opens the ledger at `path` for a server. One that is damaged, another server's, or missing where
    /// one must have been (there is a reserve, or `is_expected`), is begun anew with the marks that
    /// could be saved, and may lack holders. Noise is a damaged ledger where the reserve has marks. Any
    /// other file that is no ledger, or a newer one, is an error as for [`Self::open`]. `server_key` is
    /// the server's; `None`: whose the ledger is doesn't matter. `now` is the wall clock.
    pub fn open_for_service(
        path: &Path,
        server_key: Option<ServerKey>,
        is_expected: bool,
        now: Utc,
    ) -> Result<Opened, LoadError> {
        let looked = look(path)?;
        let is_expected = is_expected || reserve::is_there(path);
        let in_reserve = look_at_reserve(path, server_key, now)?;
        let (mut store, finding) = open_or_begin(path, looked, server_key, is_expected, now)?;
        if let Some(server_key) = server_key {
            store.name_owner(server_key);
        }
        Ok(Opened { store, finding, reserve: in_reserve })
    }
}

fn open_or_begin(
    path: &Path,
    looked: Look,
    server_key: Option<ServerKey>,
    is_expected: bool,
    now: Utc,
) -> Result<(Embedded, Finding), LoadError> {
    let reserve = reserve::read(path);
    let anew = |what, reserve| begin_anew(path, what, reserve, now);
    match looked {
        Look::Nothing if !is_expected => {
            Embedded::open(path).map(|store| (store, Finding::FirstStart))
        }
        Look::Nothing => anew(Loss::Missing, reserve),
        Look::Noise if reserve.is_some() => {
            anew(Loss::Damaged("there is only noise in it".to_string()), reserve)
        }
        Look::Noise => Err(LoadError::Foreign(path.to_path_buf())),
        Look::Ledger if server_key.is_some_and(|key| is_of_other(path, key)) => {
            anew(Loss::OfOtherServer, reserve)
        }
        Look::Ledger => match Embedded::open(path) {
            Err(LoadError::Damaged { why, .. }) => anew(Loss::Damaged(why), reserve),
            Err(error) => Err(error),
            Ok(store) => {
                let finding = match store.older {
                    Some((found, known)) => Finding::Older { found, known },
                    None => Finding::Sound,
                };
                Ok((store, finding))
            }
        },
    }
}

/// Whether a ledger is known to be another server's. Where that can't be read, it isn't.
fn is_of_other(path: &Path, server_key: ServerKey) -> bool {
    let Ok(connection) = connection::open(path, Access::Read) else { return false };
    let owner: Result<String, _> =
        connection.query_row("SELECT server_key FROM marks", [], |row| row.get(0));
    owner.is_ok_and(|owner| owner.parse().is_ok_and(|owner: ServerKey| owner != server_key))
}

/// A reserve of another server is put aside before anything reads its marks.
fn look_at_reserve(
    path: &Path,
    server_key: Option<ServerKey>,
    now: Utc,
) -> Result<ReserveFinding, LoadError> {
    if reserve::is_damaged(path) {
        return Ok(ReserveFinding::Damaged);
    }
    let is_of_other =
        |content: Content| server_key.is_some_and(|server_key| content.is_of_other(server_key));
    if !reserve::read(path).is_some_and(is_of_other) {
        return Ok(ReserveFinding::Sound);
    }
    let from = reserve::path_beside(path);
    let goal = free_name(&from, "foreign", now);
    fs::rename(&from, &goal)
        .and_then(|()| connection::sync_folder(path))
        .map_err(|error| connection::unreadable(&from, &error))?;
    Ok(ReserveFinding::OfOtherServer(goal))
}

/// Why a ledger is begun anew.
enum Loss {
    Missing,
    Damaged(String),
    OfOtherServer,
}

#[derive(Debug, Clone, Copy)]
enum Look {
    Nothing,
    Noise,
    Ledger,
}

/// A file in which nothing was ever committed is no ledger yet.
fn look(path: &Path) -> Result<Look, LoadError> {
    if fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(Look::Nothing);
    }
    let opened = connection::open(path, Access::Read);
    match opened.and_then(|connection| LEDGER.recognise(&connection, path)) {
        Ok(Format::Empty) => Ok(Look::Nothing),
        Ok(Format::Steps(_)) | Err(LoadError::Damaged { .. }) => Ok(Look::Ledger),
        Err(LoadError::Foreign(_)) if !connection::is_database(path) => Ok(Look::Noise),
        Err(error) => Err(error),
    }
}

/// An older ledger was put in the place of a newer one: whoever got a seat in between is not in it.
/// Its marks are raised, and it is noted that it may lack holders, by whoever opens it first.
pub(super) fn note_older(ledger: &mut Ledger, marks: &HighWater) -> Result<(), LoadError> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = Utc(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX));
    let noted = change(ledger, |transaction| {
        write::doubt(transaction, Some(Begun { at, cause: BegunCause::Older }))?;
        write::raise(transaction, marks)
    });
    noted.map_err(|error| words::load_error(&ledger.path, &error))
}

/// Raises a ledger to marks from elsewhere, durably.
pub(super) fn raise(ledger: &mut Ledger, marks: &HighWater) -> Result<(), rusqlite::Error> {
    change(ledger, |transaction| write::raise(transaction, marks))
}

fn begin_anew(
    path: &Path,
    why: Loss,
    reserve: Option<Content>,
    now: Utc,
) -> Result<(Embedded, Finding), LoadError> {
    let is_of_other_server = matches!(why, Loss::OfOtherServer);
    let word = if is_of_other_server { "foreign" } else { DAMAGED };
    let damage = if let Loss::Damaged(damage) = why { Some(damage) } else { None };
    let salvaged = if damage.is_some() { salvage(path, now) } else { HighWater::default() };
    let from_reserve = reserve.as_ref().is_some_and(|content| !content.marks.is_empty());
    let from_ledger = !salvaged.is_empty();
    // Another server's hosts are none of this one's.
    let hosts = if is_of_other_server { HostMarks::default() } else { hosts_left(path) };
    let saved = save(path, reserve, &salvaged)?;
    let aside = put_aside(path, word, now)?;
    let cause = match (is_of_other_server, saved.is_empty()) {
        (true, _) => BegunCause::OfOtherServer,
        (false, true) => BegunCause::LostEntirely,
        (false, false) => BegunCause::Lost,
    };
    make(path, &saved, &hosts, Begun { at: now, cause })?;
    let limits = Limits::default();
    let (connection, _) = super::open_file(path, limits, |_| Ok(()))?;
    let store = Embedded::over(connection, path, limits, true)?;
    let lost = Lost { damage, is_of_other_server, aside, from_ledger, from_reserve, saved };
    Ok((store, Finding::Lost(lost)))
}

/// Makes what was read of a damaged ledger durable in the reserve, and gives all marks that there are.
fn save(
    path: &Path,
    reserve: Option<Content>,
    salvaged: &HighWater,
) -> Result<HighWater, LoadError> {
    let mut content = reserve.unwrap_or_default();
    content.marks.join(salvaged);
    if !salvaged.is_empty() {
        // Without its log, which goes aside first, the ledger may be sound again, and an older one.
        content.ledger_position = content.ledger_position.max(salvaged.position);
        let (mut copy, _) = Reserve::open(path);
        copy.write(&content).map_err(|why| LoadError::Unreadable {
            path: path.to_path_buf(),
            why: format!("it is damaged, and what can be saved of it can't be written: {why}"),
        })?;
    }
    Ok(content.marks)
}

/// Makes a new ledger that has these marks from its first moment on.
fn make(path: &Path, marks: &HighWater, hosts: &HostMarks, begun: Begun) -> Result<(), LoadError> {
    connection::make_file(path)?;
    let mut connection = connection::open(path, Access::Write)?;
    connection::close_to_others(path)?;
    connection::use_shared_log(&connection, path)?;
    let mark = |transaction: &Transaction<'_>| {
        write::raise(transaction, marks)?;
        write::join_hosts(transaction, hosts)?;
        write::doubt(transaction, Some(begun))
    };
    LEDGER
        .bring_up_to_date(&mut connection, Format::Empty, mark)
        .and_then(|()| {
            take_over(&mut connection, Format::Steps(LEDGER.newest()), Limits::default())
        })
        .map_err(|error| words::load_error(path, &error))
}

#[cfg(test)]
mod tests {
    use ve_core::node::event::{Event, Record};

    use super::*;
    use crate::Store;

    /// The newest records are in the log alone, and the damage as well; the machine fails when the log
    /// is aside and the ledger is not.
    #[test]
    fn a_ledger_that_is_sound_without_its_log_is_known_to_be_older() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger.db");
        let seen = |position, version| {
            let license_id = "01.00000001.002.044".parse().expect("a license ID");
            let event = Event::LicenseSeen { license_id, version };
            [Record { position, at: Utc(0), event }]
        };
        let mut store = Embedded::open(&path).expect("a ledger");
        store.append(&[&seen(1, 1)]).expect("durable");
        store.close().expect("a tidy end");
        let mut store = Embedded::open(&path).expect("a ledger");
        let holders = Event::HoldersUnknown { unknown: false };
        // No mark, so the reserve doesn't hear of it.
        store.append(&[&[Record { position: 9, at: Utc(0), event: holders }]]).expect("durable");
        let saved = save(&path, reserve::read(&path), &salvage(&path, Utc(0)));
        assert_eq!(saved.map(|marks| marks.position), Ok(9));
        // As if killed: no log is folded into the file.
        let copy = folder.path().join("copy").join("ledger.db");
        fs::create_dir(connection::folder_of(&copy)).expect("a folder");
        fs::copy(&path, &copy).expect("a ledger");
        fs::copy(reserve::path_beside(&path), reserve::path_beside(&copy)).expect("a reserve");
        let opened = Embedded::open_for_service(&copy, None, true, Utc(0)).expect("a ledger");
        assert_eq!(opened.finding, Finding::Older { found: 1, known: 9 });
    }
}
