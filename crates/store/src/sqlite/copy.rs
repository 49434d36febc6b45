//! Copies of a file that may be written meanwhile.

use std::path::Path;

use rusqlite::Connection;

use super::words;
use crate::store::CopyError;

/// Copies a database, as it is at one moment, into the empty file at `copy`, which nothing else has
/// open. The copy is durable when its caller has flushed it.
pub(crate) fn copy_to(connection: &Connection, copy: &Path) -> Result<(), CopyError> {
    let failed = |why, is_full| CopyError { copy: copy.to_path_buf(), why, is_full };
    let name = copy.to_str().ok_or_else(|| failed("its name is not UTF-8 text".into(), false))?;
    connection
        .execute("VACUUM INTO ?1", [name])
        .map(drop)
        .map_err(|error| failed(words::of(&error), words::is_full(&error)))
}
