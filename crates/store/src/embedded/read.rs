//! Tables back into values, each question in one transaction, so that all its answers belong together.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, types::ValueRef};
use ve_core::{
    node::event::{BlockedRun, Metered, Record, Remembered, RetiredHost},
    time::Utc,
};

use crate::{
    sqlite::{
        rows::{json, parsed, rows},
        words,
    },
    store::{Begun, Denied, LoadError},
};

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
    let retired = "SELECT host, at, name, home, identity FROM retired_hosts";
    let homed = "SELECT home, count FROM homed";
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
        retired_hosts: rows(transaction, retired, [], |row| {
            let (at, name) = (Utc(row.get(1)?), parsed(row, 2)?);
            let is_known = row.get_ref(4)? != ValueRef::Null;
            let identity = is_known.then(|| json(row, 4)).transpose()?;
            let home = parsed(row, 3)?;
            Ok((parsed(row, 0)?, RetiredHost { at, name, home, identity }))
        })?,
        homed: rows(transaction, homed, [], |row| Ok((parsed(row, 0)?, row.get(1)?)))?,
    })
}

fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
