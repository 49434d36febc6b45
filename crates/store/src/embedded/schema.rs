//! The file's format: whose it is, how old it is, and how it is brought up to date.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::words;
use crate::store::LoadError;

/// `PRAGMA application_id` of a ledger: `VELG`.
const APPLICATION_ID: i64 = 0x5645_4c47;

/// What leads from each format to the next; `PRAGMA user_version` counts the steps taken.
const STEPS: &[&str] = &[include_str!("schema_1.sql")];

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Nothing was ever written to it.
    Empty,
    /// A ledger, so many steps old.
    Steps(u32),
}

/// The newest format.
pub(super) fn newest() -> u32 {
    u32::try_from(STEPS.len()).expect("a handful of steps")
}

/// Whose file it is; newer formats are refused here, before anything else is read.
pub(super) fn recognise(connection: &Connection, path: &Path) -> Result<Format, LoadError> {
    let read = |sql: &str| {
        let number = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        number.map_err(|error| words::load_error(path, &error))
    };
    let application_id = read("PRAGMA application_id")?;
    // A ledger never counts below 0 here.
    let found = read("PRAGMA user_version")?.try_into().unwrap_or(0);
    let tables = read("SELECT count(*) FROM sqlite_schema")?;
    match (application_id, found, tables) {
        (0, 0, 0) => Ok(Format::Empty),
        (APPLICATION_ID, 1.., _) if found > newest() => {
            Err(LoadError::Newer { path: path.to_path_buf(), found, known: newest() })
        }
        (APPLICATION_ID, 1.., _) => Ok(Format::Steps(found)),
        _ => Err(LoadError::Foreign(path.to_path_buf())),
    }
}

/// Takes the steps that are missing, if any, and does `then` with them, all in one transaction.
pub(super) fn bring_up_to_date(
    connection: &mut Connection,
    format: Format,
    then: impl FnOnce(&Transaction<'_>) -> Result<(), rusqlite::Error>,
) -> Result<(), rusqlite::Error> {
    let taken = match format {
        Format::Empty => 0,
        Format::Steps(taken) => taken,
    };
    if taken == newest() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(taken as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", newest())?;
    then(&transaction)?;
    transaction.commit()
}

/// Refuses a format that only a server may bring up to date.
pub(super) fn refuse_older(path: &Path, found: u32) -> Result<(), LoadError> {
    if found < newest() {
        return Err(LoadError::Older { path: path.to_path_buf(), found });
    }
    Ok(())
}
