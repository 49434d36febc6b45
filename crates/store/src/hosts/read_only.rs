//! The registry for tools: beside a server that writes, after one that was killed, and before the first.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use ve_core::registry::{HostEntry, RememberedHosts};

use super::{REGISTRY, read};
use crate::{
    sqlite::{
        check::{Check, refuse_damaged},
        connection::{self, Access},
        copy::copy_to,
        format::Format,
    },
    store::{CopyError, LoadError},
};

/// A registry that is only read; its server may be writing it.
#[derive(Debug)]
pub struct HostsReadOnly {
    /// `None` where no server ever made one.
    connection: Option<Connection>,
    path: PathBuf,
}

impl HostsReadOnly {
    /// Opens the registry at `path`. A home that has none reads as an empty one, and none is made.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let mut found = Self { connection: None, path: path.to_path_buf() };
        if connection::is_missing(path) {
            return Ok(found);
        }
        let opened = connection::open(path, Access::Read);
        let connection = opened.map_err(|error| REGISTRY.name_foreign(error))?;
        match REGISTRY.recognise(&connection, path)? {
            Format::Empty => {}
            Format::Steps(format) => {
                REGISTRY.refuse_older(path, format)?;
                found.connection = Some(connection);
            }
        }
        Ok(found)
    }

    /// [`Self::open`] for a file that no one has open: every page and every row is checked.
    pub fn open_checked(path: &Path) -> Result<Self, LoadError> {
        let mut found = Self::open(path)?;
        let Some(connection) = &mut found.connection else {
            return Err(LoadError::NoRegistry(path.to_path_buf()));
        };
        refuse_damaged(connection, path, Check::Whole)?;
        read::content(connection, path)?;
        Ok(found)
    }

    /// Whether there is a registry.
    pub fn has_registry(&self) -> bool {
        self.connection.is_some()
    }

    /// All that it holds at this moment; `None` where there is no registry.
    pub fn remember(&mut self) -> Result<Option<RememberedHosts>, LoadError> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        read::content(connection, &self.path).map(|content| Some(content.hosts))
    }

    /// The entries at this moment, the latest change last, each with the number of that change.
    pub fn entries(&mut self) -> Result<Vec<(u64, HostEntry)>, LoadError> {
        Ok(self.remember()?.map(|hosts| hosts.entries).unwrap_or_default())
    }

    /// Copies the registry, as it is at one moment, into the empty file at `copy`, which nothing else
    /// has open; a server may go on writing meanwhile. Says whether there is a registry at all. The copy
    /// is durable when its caller has flushed it.
    pub fn copy_to(&mut self, copy: &Path) -> Result<bool, CopyError> {
        let Some(connection) = &self.connection else { return Ok(false) };
        copy_to(connection, copy).map(|()| true)
    }

    /// Whether both hold the same entries with the same numbers, and can be read.
    pub(super) fn has_entries_of(&self, other: &Self) -> bool {
        self.is_same_as(other).unwrap_or(false)
    }

    fn is_same_as(&self, other: &Self) -> Result<bool, rusqlite::Error> {
        let (Some(one), Some(other)) = (&self.connection, &other.connection) else {
            return Ok(self.connection.is_none() && other.connection.is_none());
        };
        let sql = "SELECT number, host, body FROM hosts ORDER BY number";
        let (mut one, mut other) = (one.prepare(sql)?, other.prepare(sql)?);
        let (mut one, mut other) = (one.query([])?, other.query([])?);
        loop {
            let same = match (one.next()?, other.next()?) {
                (None, None) => return Ok(true),
                (Some(one), Some(other)) => {
                    one.get_ref(0)? == other.get_ref(0)?
                        && one.get_ref(1)? == other.get_ref(1)?
                        && one.get_ref(2)? == other.get_ref(2)?
                }
                _ => false,
            };
            if !same {
                return Ok(false);
            }
        }
    }
}
