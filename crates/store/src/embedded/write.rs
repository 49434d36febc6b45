//! One transaction: records into tables.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;
use ve_core::{
    id::{HostKey, ServerKey, SessionNumber},
    node::event::{BlockedRun, Event, Record, RetiredHost, SessionRecord},
    time::Utc,
};

use crate::{
    high_water::HighWater,
    host_marks::HostMarks,
    rules::{Limits, Marks, Shelf},
    sqlite::write::{engine_failure, execute, failure},
    store::{AppendFailure, Begun},
};

/// How many old rows a transaction removes at most beyond twice what it adds: a ledger that was
/// allowed more before shrinks by and by, and no commit waits for it.
const SPARE_ROWS_REMOVED: u64 = 64;

/// Appends all `batches` in one transaction, or nothing.
pub(super) fn append(
    connection: &mut Connection,
    batches: &[&[Record]],
    limits: Limits,
) -> Result<(), AppendFailure> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| engine_failure(&error))?;
    let mut tally = Tally::read(&transaction).map_err(|error| engine_failure(&error))?;
    for (index, batch) in batches.iter().enumerate() {
        for record in *batch {
            let refused = |why| AppendFailure::Batch { index, why };
            tally.marks.admit(record).map_err(refused)?;
            tally.store(&transaction, record).map_err(|error| failure(index, &error))?;
        }
    }
    tally
        .forget(&transaction, limits)
        .and_then(|()| tally.write(&transaction))
        .and_then(|()| transaction.commit())
        .map_err(|error| engine_failure(&error))
}

/// Raises a ledger to marks from elsewhere; lower ones change nothing.
pub(super) fn raise(
    transaction: &Transaction<'_>,
    marks: &HighWater,
) -> Result<(), rusqlite::Error> {
    for (license_id, version) in &marks.versions {
        let (license_id, version) = (license_id.clone(), *version);
        apply(transaction, &Event::LicenseSeen { license_id, version })?;
    }
    for ((license_id, version), metered) in &marks.meters {
        let sql = "INSERT INTO meters (license_id, version, used_ms, charged_to)
                   VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE
                   SET used_ms = excluded.used_ms, charged_to = excluded.charged_to
                   WHERE used_ms < excluded.used_ms";
        let row = params![license_id.as_str(), version, metered.used_ms, json(&metered.charged_to)];
        execute(transaction, sql, row)?;
    }
    let sql = "UPDATE marks SET position = MAX(position, ?1), last_session = MAX(last_session, ?2),
               time_mark = MAX(COALESCE(time_mark, ?3), COALESCE(?3, time_mark))";
    let time = marks.time.map(|time| time.0);
    execute(transaction, sql, params![marks.position, marks.last_session, time])
}

/// Joins marks of hosts from elsewhere with the ledger's.
pub(super) fn join_hosts(
    transaction: &Transaction<'_>,
    marks: &HostMarks,
) -> Result<(), rusqlite::Error> {
    for (host, retired) in &marks.retired {
        retire(transaction, *host, retired)?;
    }
    for (home, count) in &marks.homed {
        let sql = "INSERT INTO homed (home, count) VALUES (?1, ?2)
                   ON CONFLICT DO UPDATE SET count = MAX(count, excluded.count)";
        execute(transaction, sql, params![home.as_str(), count])?;
    }
    Ok(())
}

/// Retired is for ever: the first time stays.
fn retire(
    transaction: &Transaction<'_>,
    host: HostKey,
    RetiredHost { at, name, home, identity }: &RetiredHost,
) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO retired_hosts (host, at, name, home, identity)
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    let identity = identity.as_ref().map(json);
    let row = params![host.to_string(), at.0, name.as_str(), home.as_str(), identity];
    execute(transaction, sql, row)
}

/// From now on the ledger may lack holders, and this is how it came to be.
pub(super) fn doubt(
    transaction: &Transaction<'_>,
    begun: Option<Begun>,
) -> Result<(), rusqlite::Error> {
    execute(transaction, "UPDATE marks SET may_lack_holders = 1", [])?;
    let Some(begun) = begun else { return Ok(()) };
    execute(transaction, "UPDATE marks SET begun = ?1", [json(&begun)])
}

/// Notes whose ledger it is, unless that is known.
pub(super) fn name(
    transaction: &Transaction<'_>,
    server_key: ServerKey,
) -> Result<(), rusqlite::Error> {
    let sql = "UPDATE marks SET server_key = ?1 WHERE server_key IS NULL";
    execute(transaction, sql, [server_key.to_string()])
}

/// The row of `marks`, read at the start of a transaction and written at its end.
struct Tally {
    marks: Marks,
    records: Shelved,
    denials: Shelved,
}

/// How many rows a table of limited length has.
struct Shelved {
    rows: u64,
    added: u64,
}

impl Shelved {
    fn new(rows: u64) -> Self {
        Self { rows, added: 0 }
    }

    fn add(&mut self) {
        self.rows += 1;
        self.added += 1;
    }

    /// How many of the oldest rows go.
    fn surplus(&self, limit: u64) -> u64 {
        self.rows.saturating_sub(limit).min(2 * self.added + SPARE_ROWS_REMOVED)
    }
}

impl Tally {
    fn read(transaction: &Transaction<'_>) -> Result<Self, rusqlite::Error> {
        let sql = "SELECT position, last_session, time_mark, records, denials FROM marks";
        transaction.prepare_cached(sql)?.query_row([], |row| {
            let time = row.get::<_, Option<i64>>(2)?.map(Utc);
            let marks = Marks { position: row.get(0)?, last_session: row.get(1)?, time };
            let [records, denials] = [row.get(3)?, row.get(4)?].map(Shelved::new);
            Ok(Self { marks, records, denials })
        })
    }

    fn write(&self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        let sql = "UPDATE marks
                   SET position = ?1, last_session = ?2, time_mark = ?3, records = ?4, denials = ?5";
        let Marks { position, last_session, time } = self.marks;
        let time = time.map(|mark| mark.0);
        let row = params![position, last_session, time, self.records.rows, self.denials.rows];
        transaction.prepare_cached(sql)?.execute(row).map(drop)
    }

    fn store(
        &mut self,
        transaction: &Transaction<'_>,
        record: &Record,
    ) -> Result<(), rusqlite::Error> {
        apply(transaction, &record.event)?;
        let Record { position, at, event } = record;
        match Shelf::of(event) {
            Shelf::Trail => {
                self.records.add();
                let sql = "INSERT INTO records (position, at, body) VALUES (?1, ?2, ?3)";
                execute(transaction, sql, params![position, at.0, json(event)])
            }
            Shelf::Denials(denial) => {
                self.denials.add();
                let sql = "INSERT INTO denials (position, at, body) VALUES (?1, ?2, ?3)";
                execute(transaction, sql, params![position, at.0, json(denial)])
            }
            Shelf::Mark => Ok(()),
        }
    }

    fn forget(
        &mut self,
        transaction: &Transaction<'_>,
        limits: Limits,
    ) -> Result<(), rusqlite::Error> {
        let shelves = [
            ("records", &mut self.records, limits.records),
            ("denials", &mut self.denials, limits.denials),
        ];
        for (table, shelved, limit) in shelves {
            let surplus = shelved.surplus(limit);
            if surplus > 0 {
                shelved.rows -= remove_oldest(transaction, table, surplus)?;
            }
        }
        Ok(())
    }
}

/// Removes the `count` oldest rows, and says how many there were.
fn remove_oldest(
    transaction: &Transaction<'_>,
    table: &'static str,
    count: u64,
) -> Result<u64, rusqlite::Error> {
    let last = format!("SELECT position FROM {table} ORDER BY position LIMIT 1 OFFSET ?1");
    let last: Option<u64> =
        transaction.prepare_cached(&last)?.query_row([count - 1], |row| row.get(0)).optional()?;
    let Some(last) = last else { return Ok(0) };
    let remove = format!("DELETE FROM {table} WHERE position <= ?1");
    transaction.prepare_cached(&remove)?.execute([last]).map(|removed| removed as u64)
}

/// Brings what the records add up to forward by one event.
fn apply(transaction: &Transaction<'_>, event: &Event) -> Result<(), rusqlite::Error> {
    match event {
        Event::SessionOpened(session) => open_session(transaction, session),
        Event::SessionClosed { number, .. } => close_session(transaction, *number),
        Event::RunBlocked(BlockedRun { host, emulator, run }) => {
            let sql = "INSERT OR REPLACE INTO blocked (host, emulator, run) VALUES (?1, ?2, ?3)";
            let row = params![host.to_string(), emulator.as_str(), run.to_string()];
            execute(transaction, sql, row)
        }
        Event::LicenseSeen { license_id, version } => {
            let sql = "INSERT INTO versions (license_id, version) VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET version = MAX(version, excluded.version)";
            execute(transaction, sql, params![license_id.as_str(), version])
        }
        Event::HoursUsed { license_id, version, used_ms, charged_to } => {
            let sql = "INSERT INTO meters (license_id, version, used_ms, charged_to)
                       VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT DO UPDATE
                       SET used_ms = excluded.used_ms, charged_to = excluded.charged_to
                       WHERE used_ms <= excluded.used_ms";
            let row = params![license_id.as_str(), version, used_ms, json(charged_to)];
            execute(transaction, sql, row)
        }
        Event::SessionPromised { number, lease_ms, through_grace } => {
            let sql = "UPDATE sessions SET body = json_set(body,
                           '$.promised_lease_ms', MAX(body ->> '$.promised_lease_ms', ?2),
                           '$.promised_grace',
                           json(iif(?3 OR (body ->> '$.promised_grace'), 'true', 'false')))
                       WHERE number = ?1";
            execute(transaction, sql, params![number.0, lease_ms, through_grace])
        }
        Event::SessionPlaced { number, section, product_code } => {
            let sql = "UPDATE sessions SET body = json_set(body,
                           '$.section', ?2, '$.product_code', ?3)
                       WHERE number = ?1";
            execute(transaction, sql, params![number.0, section, product_code.as_str()])
        }
        Event::HoldersUnknown { unknown } => {
            execute(transaction, "UPDATE marks SET may_lack_holders = ?1", params![unknown])
        }
        Event::HostRetired { host, name, home, at, identity, .. } => {
            let retired = RetiredHost {
                at: *at,
                name: name.clone(),
                home: home.clone(),
                identity: identity.clone(),
            };
            retire(transaction, *host, &retired)
        }
        Event::HostsHomed { home, count } => {
            let sql = "INSERT OR REPLACE INTO homed (home, count) VALUES (?1, ?2)";
            execute(transaction, sql, params![home.as_str(), count])
        }
        Event::HostRegistered { .. } | Event::TimeMarked { .. } | Event::Denied(_) => Ok(()),
    }
}

fn open_session(
    transaction: &Transaction<'_>,
    session: &SessionRecord,
) -> Result<(), rusqlite::Error> {
    if let Some(predecessor) = session.replaces {
        close_session(transaction, predecessor)?;
    }
    let sql = "DELETE FROM blocked WHERE host = ?1 AND emulator = ?2";
    execute(transaction, sql, params![session.host.to_string(), session.emulator.as_str()])?;
    let sql = "INSERT INTO sessions (number, body) VALUES (?1, ?2)";
    execute(transaction, sql, params![session.number.0, json(session)])
}

fn close_session(
    transaction: &Transaction<'_>,
    number: SessionNumber,
) -> Result<(), rusqlite::Error> {
    // A number above every session's is nobody's, even one that a row can't hold.
    let Ok(number) = i64::try_from(number.0) else { return Ok(()) };
    execute(transaction, "DELETE FROM sessions WHERE number = ?1", [number])
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("events are plain data with text keys")
}
