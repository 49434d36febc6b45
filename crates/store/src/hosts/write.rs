//! One transaction: batches into tables.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use ve_core::{
    id::{HostKey, ServerKey, SpanId},
    registry::{Batch, HostEntry, KnownPeer, Position, changes::MAX_SPANS},
};

use super::body::{Body, hex};
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
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| engine_failure(&error))?;
    let mut staged = Staged { known: numbers, changed: Numbers::default() };
    for (index, batch) in batches.iter().enumerate() {
        admit(batch, after).map_err(|why| AppendFailure::Batch { index, why })?;
        staged.put(&transaction, batch).map_err(|error| failure(index, &error))?;
    }
    let changed = staged.changed;
    transaction.commit().map_err(|error| engine_failure(&error))?;
    numbers.extend(changed);
    Ok(())
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
    pub(super) known: &'a Numbers,
    pub(super) changed: Numbers,
}

impl Staged<'_> {
    fn put(&mut self, transaction: &Transaction<'_>, batch: &Batch) -> Result<(), rusqlite::Error> {
        for (number, entry) in &batch.entries {
            self.put_entry(transaction, *number, entry)?;
        }
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

    /// An entry as it is after its change. A change that comes after a later one of the same host is
    /// in that one already.
    pub(super) fn put_entry(
        &mut self,
        transaction: &Transaction<'_>,
        number: u64,
        entry: &HostEntry,
    ) -> Result<(), rusqlite::Error> {
        let host = entry.host;
        let known = self.changed.get(&host).or_else(|| self.known.get(&host)).copied();
        if known.is_some_and(|known| number <= known) {
            return Ok(());
        }
        if let Some(known) = known {
            execute(transaction, "DELETE FROM hosts WHERE number = ?1", [known])?;
        }
        let body = serde_json::to_string(&Body::of(entry)).expect("an entry is plain data");
        let sql = "INSERT INTO hosts (number, host, body) VALUES (?1, ?2, ?3)";
        execute(transaction, sql, params![number, hex(host), body])?;
        self.changed.insert(host, number);
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
