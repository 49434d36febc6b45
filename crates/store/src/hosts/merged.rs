//! A registry that comes from a backup: merged into the one that is there, or put in its place.

use std::{collections::BTreeMap, path::Path};

use rusqlite::Connection;
use ve_core::{
    id::{HostKey, SpanId},
    registry::HostEntry,
};

use super::{
    HostsReadOnly, change, open_file, read,
    write::{self, Staged},
};
use crate::{sqlite::connection, store::LoadError};

/// What a merge of two registries comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// How many entries are news to the one that takes the other in.
    pub news: usize,
    /// How many entries there are afterwards.
    pub entries: usize,
}

/// What [`merge_hosts`] will come to. No one writes either file; neither is changed.
pub fn plan_merge(path: &Path, from: &Path) -> Result<Merge, LoadError> {
    let ours = HostsReadOnly::open_checked(path)?.entries()?;
    let theirs = HostsReadOnly::open_checked(from)?.entries()?;
    Ok(merged(ours, theirs).0)
}

/// Merges every entry of the registry at `from` into the one at `path`, both of which no one has open:
/// afterwards that has every entry of both, each as [`HostEntry::merge`] says, so that no registration
/// is lost and no retired host comes back. What is news gets numbers in a new span, so that a peer hears
/// of it. Doing it twice changes nothing more. `span` is random.
pub fn merge_hosts(path: &Path, from: &Path, span: SpanId) -> Result<Merge, LoadError> {
    let theirs = HostsReadOnly::open_checked(from)?.entries()?;
    let mut connection = open_file(path)?;
    let content = read::content(&mut connection, path)?;
    let last = content.last_number();
    let read::Content { hosts, mut numbers, .. } = content;
    let begins = hosts.spans.last().is_none_or(|newest| newest.id != span);
    let (merge, news) = merged(hosts.entries, theirs);
    if !news.is_empty() {
        change(&mut connection, path, |transaction| {
            if begins {
                write::begin_span(transaction, span, last)?;
            }
            Staged::new(&mut numbers).put_entries(transaction, (last + 1..).zip(&news))
        })?;
    }
    fold(connection, path)?;
    Ok(merge)
}

fn merged(ours: Vec<(u64, HostEntry)>, theirs: Vec<(u64, HostEntry)>) -> (Merge, Vec<HostEntry>) {
    let known: BTreeMap<HostKey, HostEntry> =
        ours.into_iter().map(|(_, entry)| (entry.host, entry)).collect();
    let of_both = theirs.into_iter().map(|(_, theirs)| match known.get(&theirs.host) {
        Some(ours) => ours.merge(&theirs),
        None => theirs,
    });
    let news: Vec<HostEntry> =
        of_both.filter(|entry| known.get(&entry.host) != Some(entry)).collect();
    let unknown = news.iter().filter(|entry| !known.contains_key(&entry.host)).count();
    (Merge { news: news.len(), entries: known.len() + unknown }, news)
}

/// Notes in a registry that no one has open that it may lack hosts: it comes from a backup, and what
/// stood in its place can't be read. It is whole in its file afterwards, with no log beside it.
pub fn adopt_hosts(path: &Path) -> Result<(), LoadError> {
    let mut connection = open_file(path)?;
    read::content(&mut connection, path)?;
    change(&mut connection, path, |transaction| write::doubt(transaction, true))?;
    fold(connection, path)
}

fn fold(connection: Connection, path: &Path) -> Result<(), LoadError> {
    connection::close(connection, true)
        .map_err(|error| LoadError::Unreadable { path: path.to_path_buf(), why: error.to_string() })
}
