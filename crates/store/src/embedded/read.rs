//! Tables back into values, each question in one transaction, so that all its answers belong together.

use std::{error::Error, path::PathBuf, str::FromStr};

use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, types::Type};
use serde::de::DeserializeOwned;
use ve_core::{
    node::event::{BlockedRun, Metered, Record, Remembered},
    time::Utc,
};

use super::words;
use crate::store::{Begun, Denied, LoadError};

/// An open file with a ledger in it.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Ledger {
    /// What all the records add up to.
    pub(super) fn remember(&mut self) -> Result<Remembered, LoadError> {
        self.read(remembered)
    }

    /// How the ledger began, when not by a first start.
    pub(super) fn begun(&mut self) -> Result<Option<Begun>, LoadError> {
        self.read(|transaction| {
            let sql = "SELECT begun FROM marks WHERE begun IS NOT NULL";
            transaction.query_row(sql, [], |row| json(row, 0)).optional()
        })
    }

    /// The audit trail, the newest first.
    pub(super) fn records(&mut self, limit: usize) -> Result<Vec<Record>, LoadError> {
        let sql = "SELECT position, at, body FROM records ORDER BY position DESC LIMIT ?1";
        let record = |row: &Row<'_>| {
            Ok(Record { position: row.get(0)?, at: Utc(row.get(1)?), event: json(row, 2)? })
        };
        self.read(|transaction| rows(transaction, sql, [sql_limit(limit)], record))
    }

    /// The denials, the newest first.
    pub(super) fn denials(&mut self, limit: usize) -> Result<Vec<Denied>, LoadError> {
        let sql = "SELECT position, at, body FROM denials ORDER BY position DESC LIMIT ?1";
        let denied = |row: &Row<'_>| {
            Ok(Denied { position: row.get(0)?, at: Utc(row.get(1)?), denial: json(row, 2)? })
        };
        self.read(|transaction| rows(transaction, sql, [sql_limit(limit)], denied))
    }

    fn read<T>(
        &mut self,
        question: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, LoadError> {
        self.connection
            .transaction()
            .and_then(|transaction| question(&transaction))
            .map_err(|error| words::load_error(&self.path, &error))
    }
}

fn remembered(transaction: &Transaction<'_>) -> Result<Remembered, rusqlite::Error> {
    let marks = "SELECT position, last_session, time_mark, may_lack_holders FROM marks";
    let sessions = "SELECT body FROM sessions ORDER BY number";
    let blocked = "SELECT host, emulator, run FROM blocked ORDER BY host, emulator";
    let versions = "SELECT license_id, version FROM versions";
    let meters = "SELECT license_id, version, used_ms, charged_to FROM meters";
    let (position, last_session, time_mark, may_lack_holders) =
        transaction.query_row(marks, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?, row.get(3)?))
        })?;
    Ok(Remembered {
        position,
        last_session,
        sessions: rows(transaction, sessions, [], |row| json(row, 0))?,
        blocked: rows(transaction, blocked, [], |row| {
            let (host, emulator, run) = (parsed(row, 0)?, parsed(row, 1)?, parsed(row, 2)?);
            Ok(BlockedRun { host, emulator, run })
        })?,
        versions: rows(transaction, versions, [], |row| Ok((parsed(row, 0)?, row.get(1)?)))?,
        meters: rows(transaction, meters, [], |row| {
            let metered = Metered { used_ms: row.get(2)?, charged_to: json(row, 3)? };
            Ok(((parsed(row, 0)?, row.get(1)?), metered))
        })?,
        time_mark: time_mark.map(Utc),
        may_lack_holders,
    })
}

/// How closely a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Every page.
    Quick,
    /// Every page and whether indexes agree with their tables.
    Whole,
}

/// What stands first where something is not as it should be; `None` when all is.
pub(super) fn damage(
    connection: &Connection,
    check: Check,
) -> Result<Option<String>, rusqlite::Error> {
    let sql = match check {
        Check::Quick => "PRAGMA quick_check(1)",
        Check::Whole => "PRAGMA integrity_check(1)",
    };
    let found: String = connection.query_row(sql, [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn rows<T, All: FromIterator<T>>(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<All, rusqlite::Error> {
    transaction.prepare_cached(sql)?.query_map(parameters, read)?.collect()
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, rusqlite::Error> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|why| misfit(column, why))
}

fn parsed<T: FromStr<Err: Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    column: usize,
) -> Result<T, rusqlite::Error> {
    row.get_ref(column)?.as_str()?.parse().map_err(|why| misfit(column, why))
}

fn misfit(column: usize, why: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why))
}
