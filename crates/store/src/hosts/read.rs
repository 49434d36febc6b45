//! Tables back into values, in one transaction, so that all of it belongs together.

use std::path::Path;

use rusqlite::{Connection, Row, Transaction};
use ve_core::{
    id::ServerKey,
    registry::{HostEntry, KnownPeer, MAX_HOSTS, Position, RememberedHosts, Span},
};

use super::{body::Body, write::Numbers};
use crate::{
    rules::MAX_NUMBER,
    sqlite::{
        rows::{json, misfit, parsed, rows},
        words,
    },
    store::LoadError,
};

/// All that a file holds.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// As the file has it; the spans may be none.
    pub(super) hosts: RememberedHosts,
    /// The number of the last change of each host.
    pub(super) numbers: Numbers,
    /// Whose it is.
    pub(super) server_key: Option<ServerKey>,
}

impl Content {
    /// The last number that was ever given here.
    pub(super) fn last_number(&self) -> u64 {
        let numbers = self.hosts.entries.iter().map(|(number, _)| *number);
        numbers.chain(self.hosts.spans.iter().map(|span| span.after)).max().unwrap_or(0)
    }
}

/// Reads and checks every row.
pub(super) fn content(connection: &mut Connection, path: &Path) -> Result<Content, LoadError> {
    let content = connection
        .transaction()
        .and_then(|transaction| read(&transaction))
        .map_err(|error| words::load_error(path, &error))?;
    let damaged = |why: &str| Err(words::damaged(path.to_path_buf(), why));
    if content.hosts.entries.len() > MAX_HOSTS {
        return damaged("it has more hosts than there can be");
    }
    if content.last_number() > MAX_NUMBER {
        return damaged("it has numbers that are too high to be true");
    }
    if content.numbers.len() < content.hosts.entries.len() {
        return damaged("it has a host twice");
    }
    if !content.hosts.spans.is_sorted_by_key(|span| span.after) {
        return damaged("its spans are not in order");
    }
    Ok(content)
}

fn read(transaction: &Transaction<'_>) -> Result<Content, rusqlite::Error> {
    let hosts = "SELECT number, host, body FROM hosts ORDER BY number LIMIT ?1";
    let spans = "SELECT id, after FROM spans ORDER BY place";
    let copy = "SELECT pulled_span, pulled_number, peer, peer_instances, may_lack_hosts, server_key
                FROM copy";
    let (pulled, peer, may_lack_hosts, server_key) = transaction.query_row(copy, [], |row| {
        Ok((pulled(row)?, peer(row)?, row.get(4)?, optional(row, 5)?))
    })?;
    let hosts = RememberedHosts {
        entries: rows(transaction, hosts, [MAX_HOSTS as u64 + 1], entry)?,
        spans: rows(transaction, spans, [], |row| {
            Ok(Span { id: parsed(row, 0)?, after: row.get(1)? })
        })?,
        pulled,
        peer,
        may_lack_hosts,
    };
    let numbers = hosts.entries.iter().map(|(number, entry)| (entry.host, *number)).collect();
    Ok(Content { hosts, numbers, server_key })
}

/// A row of `number, host, body`.
pub(super) fn entry(row: &Row<'_>) -> Result<(u64, HostEntry), rusqlite::Error> {
    let body: Body<'static> = json(row, 2)?;
    Ok((row.get(0)?, body.into_entry(parsed(row, 1)?)))
}

fn pulled(row: &Row<'_>) -> Result<Option<Position>, rusqlite::Error> {
    match (optional(row, 0)?, row.get(1)?) {
        (Some(span), Some(number)) => Ok(Some(Position { span, number })),
        _ => Ok(None),
    }
}

fn peer(row: &Row<'_>) -> Result<Option<KnownPeer>, rusqlite::Error> {
    match (optional(row, 2)?, row.get(3)?) {
        (Some(license_id), Some(instances)) => Ok(Some(KnownPeer { license_id, instances })),
        _ => Ok(None),
    }
}

fn optional<T>(row: &Row<'_>, column: usize) -> Result<Option<T>, rusqlite::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: Option<&str> = row.get_ref(column)?.as_str_or_null()?;
    text.map(|text| text.parse().map_err(|why| misfit(column, why))).transpose()
}
