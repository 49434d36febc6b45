//! Whether a file is sound.

use std::path::Path;

use rusqlite::Connection;

use super::words;
use crate::store::LoadError;

/// How closely a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Every page.
    Quick,
    /// Every page and whether indexes agree with their tables.
    Whole,
}

/// Refuses a file in which something is not as it should be, and says what stands first.
pub(crate) fn refuse_damaged(
    connection: &Connection,
    path: &Path,
    check: Check,
) -> Result<(), LoadError> {
    let sql = match check {
        Check::Quick => "PRAGMA quick_check(1)",
        Check::Whole => "PRAGMA integrity_check(1)",
    };
    let found: Result<String, _> = connection.query_row(sql, [], |row| row.get(0));
    match found.map_err(|error| words::load_error(path, &error))?.as_str() {
        "ok" => Ok(()),
        why => Err(words::damaged(path.to_path_buf(), why)),
    }
}
