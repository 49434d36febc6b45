//! One way to open a file, for writers and readers: every setting on every connection.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::ErrorKind,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::words;
use crate::store::{CloseError, LoadError};

/// The ledger names sessions by their secret ids: nobody but the owner reads such a file.
const FILE_MODE: u32 = 0o600;

/// The length of the smallest SQLite file.
const SHORTEST_BYTES: u64 = 512;

/// How long to wait for another connection's lock. There is one writer, so only a recovery or the
/// last reader's end can hold one, and neither for long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// After how many pages of 4 KiB the log is folded into the file.
const CHECKPOINT_PAGES: u32 = 1_000;

/// What the log file is cut back to when a large transaction or a long reader made it grow, in bytes.
pub(crate) const LOG_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Room for every statement of this crate.
const STATEMENTS_KEPT: usize = 32;

/// A file and those that can stand beside it, the file itself last: it is moved after its logs.
pub(crate) const SUFFIXES: [&str; 4] = ["-journal", "-wal", "-shm", ""];

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everything.
    Write,
    /// Nothing but read.
    Read,
}

/// Opens the database that is at `path`, by SQLite and by nothing else: closing a file that a process
/// opened on its own would end the locks of all the process's connections to it. Nothing of it is changed, not even when the connection is
/// closed again, before [`fold_at_close`].
pub(crate) fn open(path: &Path, access: Access) -> Result<Connection, LoadError> {
    refuse_short(path)?;
    if access == Access::Read {
        roll_back(path);
    }
    connect(path, access).map_err(|error| words::load_error(path, &error))
}

fn connect(path: &Path, access: Access) -> Result<Connection, rusqlite::Error> {
    let mode = match access {
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    set_up(&connection).map(|()| connection)
}

/// Whether SQLite can make something of the file at all.
pub(crate) fn is_database(path: &Path) -> bool {
    let read =
        |connection: Connection| connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
    let is_noise = |error: &rusqlite::Error| {
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase)
    };
    refuse_short(path).is_ok()
        && !connect(path, Access::Read).and_then(read).is_err_and(|error| is_noise(&error))
}

/// A first start that was killed while it chose the kind of log may leave a journal, and only who
/// may write can roll it back. A journal that a process works with has its lock, and is left to it.
fn roll_back(path: &Path) {
    let mut journal = path.as_os_str().to_os_string();
    journal.push("-journal");
    if Path::new(&journal).exists() {
        // Where that fails, reading fails as well, and says why.
        let _ = connect(path, Access::Write)
            .and_then(|writer| writer.query_row("PRAGMA user_version", [], |_| Ok(())));
    }
}

fn set_up(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Sorting spills into no file beside the home.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_LIMIT_BYTES)
}

/// From here on the log is folded into the file when the last connection closes: the file has been
/// checked, and is ours.
pub(crate) fn fold_at_close(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}

/// The log is left alone when the connection closes: it may be another file's by now.
fn leave_log(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Closes for good, the log folded into the file. A reader that is busy keeps it from that, and is
/// not waited for. `is_in_place`: whether the path still
/// leads to this file; what stands there else has a log of its own, which must not be taken away.
pub(crate) fn close(connection: Connection, is_in_place: bool) -> Result<(), CloseError> {
    let folded = if is_in_place {
        connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
    } else {
        leave_log(&connection)
    };
    let closed = connection.close().map_err(|(_, error)| error);
    folded.and(closed).map_err(|error| CloseError(words::of(&error)))
}

/// Makes appends go to a log beside the file, which readers don't wait for.
pub(crate) fn use_shared_log(connection: &Connection, path: &Path) -> Result<(), LoadError> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(|error| words::load_error(path, &error))?;
    if mode == "wal" {
        return Ok(());
    }
    let why = "its file system has no shared memory, which its log needs".to_string();
    Err(LoadError::Unreadable { path: path.to_path_buf(), why })
}

/// SQLite takes a file that is too short to be a database for an empty one, and writes over it.
fn refuse_short(path: &Path) -> Result<(), LoadError> {
    let length = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if (1..SHORTEST_BYTES).contains(&length) {
        return Err(LoadError::Foreign(path.to_path_buf()));
    }
    Ok(())
}

/// Makes an empty file that only its owner reads, durably; says whether there was none. SQLite gives
/// the files beside it the same mode and owner.
pub(crate) fn make_file(path: &Path) -> Result<bool, LoadError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    match made {
        Ok(_) => sync_folder(path).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
    .map_err(|error| unreadable(path, &error))
}

/// Takes the rights to read from everyone but the owner, should somebody have given them.
pub(crate) fn close_to_others(path: &Path) -> Result<(), LoadError> {
    for suffix in SUFFIXES {
        let mut file = path.as_os_str().to_os_string();
        file.push(suffix);
        match take_rights(Path::new(&file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(unreadable(Path::new(&file), &error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn take_rights(file: &Path) -> std::io::Result<()> {
    let mode = std::fs::metadata(file)?.permissions().mode();
    if mode & 0o777 & !FILE_MODE == 0 {
        return Ok(());
    }
    std::fs::set_permissions(file, Permissions::from_mode(FILE_MODE))
}

pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// No file in a folder that is there; without the folder, the path is probably wrong.
pub(crate) fn is_missing(path: &Path) -> bool {
    path.try_exists().is_ok_and(|exists| !exists) && folder_of(path).is_dir()
}

/// Where the file is, or would be.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> LoadError {
    LoadError::Unreadable { path: path.to_path_buf(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_has_every_setting() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger.db");
        assert_eq!(make_file(&path), Ok(true));
        for access in [Access::Write, Access::Read] {
            let connection = open(&path, access).expect("a connection");
            for (pragma, expected) in [
                ("synchronous", 2),
                ("foreign_keys", 1),
                ("trusted_schema", 0),
                ("cell_size_check", 1),
                ("busy_timeout", 5_000),
                ("wal_autocheckpoint", 1_000),
                ("journal_size_limit", 16 * 1024 * 1024),
                ("temp_store", 2),
            ] {
                let value: i64 = connection
                    .pragma_query_value(None, pragma, |row| row.get(0))
                    .expect("a setting");
                assert_eq!(value, expected, "{pragma} of {access:?}");
            }
        }
    }

    #[test]
    fn a_reader_can_not_write() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger.db");
        make_file(&path).expect("a file");
        let reader = open(&path, Access::Read).expect("a connection");
        let error = reader.execute_batch("CREATE TABLE t (a)").expect_err("read-only");
        assert!(words::of(&error).ends_with("(SQLITE_READONLY)"), "{error}");
    }
}
