//! What SQLite's errors mean to the people who read them.

use std::path::{Path, PathBuf};

use rusqlite::{Error, ErrorCode, ffi::SQLITE_IOERR_SHMSIZE};
use ve_core::text::printable;

use crate::store::LoadError;

/// The longest part of what a damaged file says that a message repeats, in characters.
const MAX_QUOTED: usize = 200;

/// Why nothing was written or read, with SQLite's own name for it.
pub(crate) fn of(error: &Error) -> String {
    let Error::SqliteFailure(failure, text) = error else { return error.to_string() };
    let sentence = match failure.code {
        ErrorCode::DiskFull => "disk full (SQLITE_FULL)",
        ErrorCode::ReadOnly => "the file or its file system is read-only (SQLITE_READONLY)",
        ErrorCode::SystemIoFailure if is_full(error) => "disk full (SQLITE_IOERR)",
        ErrorCode::SystemIoFailure => {
            return format!(
                "input/output error of the disk (SQLITE_IOERR {})",
                failure.extended_code >> 8
            );
        }
        ErrorCode::DatabaseBusy => "another process is writing it (SQLITE_BUSY)",
        ErrorCode::CannotOpen => "a file can't be opened or made (SQLITE_CANTOPEN)",
        ErrorCode::PermissionDenied => "access denied (SQLITE_PERM)",
        ErrorCode::DatabaseCorrupt => "the file is damaged (SQLITE_CORRUPT)",
        ErrorCode::OutOfMemory => "out of memory (SQLITE_NOMEM)",
        _ => return text.clone().unwrap_or_else(|| failure.to_string()),
    };
    sentence.to_string()
}

/// An error of opening or reading the file at `path`.
pub(crate) fn load_error(path: &Path, error: &Error) -> LoadError {
    let path = path.to_path_buf();
    match error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::NotADatabase => LoadError::Foreign(path),
            ErrorCode::DatabaseCorrupt => damaged(path, &of(error)),
            _ => LoadError::Unreadable { path, why: format!("{}{}", of(error), advice(error)) },
        },
        // What is there is not what was written: a type, a number or a JSON text doesn't fit.
        _ => damaged(path, &of(error)),
    }
}

/// A file in which something doesn't fit. What it says of itself is repeated in bounds: it may
/// have been made to drive a terminal.
pub(crate) fn damaged(path: PathBuf, why: &str) -> LoadError {
    LoadError::Damaged { path, why: printable(why, MAX_QUOTED) }
}

/// Whether the disk has no room. The log's shared memory is a file, too, and says so in its own way.
pub(crate) fn is_full(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(failure, _)
        if failure.code == ErrorCode::DiskFull || failure.extended_code == SQLITE_IOERR_SHMSIZE)
}

/// What to do about a file that the system doesn't let us have.
fn advice(error: &Error) -> &'static str {
    let Error::SqliteFailure(failure, _) = error else { return "" };
    match failure.code {
        _ if is_full(error) => "; make room on its file system",
        ErrorCode::ReadOnly | ErrorCode::CannotOpen => {
            "; its folder must be on a file system that can be written, and belong to the license \
             server's user"
        }
        _ => "",
    }
}

/// Whether the rows themselves were refused, not the disk.
pub(crate) fn is_constraint(error: &Error) -> bool {
    use Error::{InvalidParameterCount, SqliteFailure, ToSqlConversionFailure};
    match error {
        SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig
        ),
        ToSqlConversionFailure(_) | InvalidParameterCount(..) => true,
        _ => false,
    }
}
