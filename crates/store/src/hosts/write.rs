//! One transaction: batches into tables.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use ve_core::{
    id::{HostKey, ServerKey, SpanId},
    registry::{Batch, HostEntry, KnownPeer, Position, changes::MAX_SPANS},
};

use super::body::{Body, Hex};
use crate::{
    rules::MAX_NUMBER,
    sqlite::write::{engine_failure, execute, failure},
    store::AppendFailure,
};

/// Writes all `batches` in one transaction, or nothing. `after` is the last number before this start;
/// `numbers` has those of all hosts.
pub(super) fn write(
    connection: &mut Connection,
    batches: &[&Batch],
    after: u64,
    numbers: &mut Numbers,
) -> Result<(), AppendFailure> {
    let mut staged = Staged::new(numbers);
    let written = staged.write(connection, batches, after);
    if written.is_err() {
        staged.take_back();
    }
    written
}

/// Says which rule a batch breaks. All engines share this one.
pub(super) fn admit(batch: &Batch, after: u64) -> Result<(), String> {
    for (number, _) in &batch.entries {
        if *number <= after {
            return Err(format!(
                "change {number} is not above {after}, the last before this start"
            ));
        }
        if *number > MAX_NUMBER {
            return Err(format!("change {number} is above {MAX_NUMBER}, the highest there can be"));
        }
    }
    match batch.pulled {
        Some(Position { number, .. }) if number > MAX_NUMBER => Err(format!(
            "the peer's change {number} is above {MAX_NUMBER}, the highest there can be"
        )),
        _ => Ok(()),
    }
}

/// The number of the last change of each host.
pub(super) type Numbers = HashMap<HostKey, u64>;

/// The numbers of a transaction that may still fail.
pub(super) struct Staged<'a> {
    numbers: &'a mut Numbers,
    /// What they were before it, the latest last.
    before: Vec<(HostKey, Option<u64>)>,
    /// The row that is being made.
    body: Vec<u8>,
}

impl<'a> Staged<'a> {
    pub(super) fn new(numbers: &'a mut Numbers) -> Self {
        Self { numbers, before: Vec::new(), body: Vec::new() }
    }

    fn write(
        &mut self,
        connection: &mut Connection,
        batches: &[&Batch],
        after: u64,
    ) -> Result<(), AppendFailure> {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| engine_failure(&error))?;
        for (index, batch) in batches.iter().enumerate() {
            admit(batch, after).map_err(|why| AppendFailure::Batch { index, why })?;
            self.put(&transaction, batch).map_err(|error| failure(index, &error))?;
        }
        transaction.commit().map_err(|error| engine_failure(&error))
    }

    /// The transaction came to nothing.
    fn take_back(self) {
        for (host, before) in self.before.into_iter().rev() {
            match before {
                Some(number) => self.numbers.insert(host, number),
                None => self.numbers.remove(&host),
            };
        }
    }

    fn put(&mut self, transaction: &Transaction<'_>, batch: &Batch) -> Result<(), rusqlite::Error> {
        self.put_entries(
            transaction,
            batch.entries.iter().map(|(number, entry)| (*number, entry)),
        )?;
        if let Some(Position { span, number }) = batch.pulled {
            let sql = "UPDATE copy SET pulled_span = ?1, pulled_number = ?2";
            execute(transaction, sql, params![span.to_string(), number])?;
        }
        if let Some(KnownPeer { license_id, instances }) = &batch.peer {
            let sql = "UPDATE copy SET peer = ?1, peer_instances = ?2";
            execute(transaction, sql, params![license_id.as_str(), instances])?;
        }
        Ok(())
    }

    /// Entries as they are after their changes. A change that comes after a later one of the same host
    /// is in that one already.
    pub(super) fn put_entries<'b>(
        &mut self,
        transaction: &Transaction<'_>,
        entries: impl Iterator<Item = (u64, &'b HostEntry)>,
    ) -> Result<(), rusqlite::Error> {
        let sql = "INSERT INTO hosts (number, host, body) VALUES (?1, ?2, ?3)";
        let mut insert = transaction.prepare_cached(sql)?;
        for (number, entry) in entries {
            let host = entry.host;
            let known = self.numbers.insert(host, number);
            self.before.push((host, known));
            if let Some(known) = known {
                if number <= known {
                    self.numbers.insert(host, known);
                    continue;
                }
                execute(transaction, "DELETE FROM hosts WHERE number = ?1", [known])?;
            }
            self.body.clear();
            serde_json::to_writer(&mut self.body, &Body::of(entry))
                .expect("an entry is plain data");
            let body = str::from_utf8(&self.body).expect("JSON is text");
            insert.execute(params![number, Hex::of(host).as_str(), body])?;
        }
        Ok(())
    }
}

/// Begins a span of numbers after `after`, and forgets the oldest beyond [`MAX_SPANS`].
pub(super) fn begin_span(
    transaction: &Transaction<'_>,
    id: SpanId,
    after: u64,
) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO spans (id, after) VALUES (?1, ?2)";
    execute(transaction, sql, params![id.to_string(), after])?;
    let sql = "DELETE FROM spans WHERE place <= (SELECT max(place) - ?1 FROM spans)";
    execute(transaction, sql, [MAX_SPANS as u64])
}

/// Another server had it: what its spans, cursor and peer say is that server's.
pub(super) fn take_from_other(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction.execute_batch(
        "DELETE FROM spans;
         UPDATE copy SET pulled_span = NULL, pulled_number = NULL, peer = NULL,
                         peer_instances = NULL, server_key = NULL",
    )
}

/// Notes whose it is, unless that is known.
pub(super) fn name(
    transaction: &Transaction<'_>,
    server_key: ServerKey,
) -> Result<(), rusqlite::Error> {
    let sql = "UPDATE copy SET server_key = ?1 WHERE server_key IS NULL";
    execute(transaction, sql, [server_key.to_string()])
}

/// From now on hosts may be missing, or not any more.
pub(super) fn doubt(
    transaction: &Transaction<'_>,
    may_lack_hosts: bool,
) -> Result<(), rusqlite::Error> {
    execute(transaction, "UPDATE copy SET may_lack_hosts = ?1", [may_lack_hosts])
}
