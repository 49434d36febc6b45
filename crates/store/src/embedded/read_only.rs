//! The ledger for tools: beside a server that writes, after one that was killed, and before the first.

use std::path::{Path, PathBuf};

use ve_core::node::event::{Record, Remembered};

use super::{read::Ledger, schema::LEDGER};
use crate::{
    reserve,
    sqlite::{
        connection::{self, Access},
        copy::copy_to,
        format::Format,
    },
    store::{Begun, CopyError, Denied, LoadError},
};

/// A ledger that is only read; its server may be writing it.
#[derive(Debug)]
pub struct ReadOnly {
    /// `None` where nothing was ever appended.
    ledger: Option<Ledger>,
    path: PathBuf,
}

impl ReadOnly {
    /// Opens the ledger at `path`. A home that has none yet reads as an empty one, and none is made.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        if connection::is_missing(path) {
            return Ok(Self { ledger: None, path: path.to_path_buf() });
        }
        let connection = connection::open(path, Access::Read)?;
        let ledger = match LEDGER.recognise(&connection, path)? {
            Format::Empty => None,
            Format::Steps(found) => {
                LEDGER.refuse_older(path, found)?;
                Some(Ledger { connection, path: path.to_path_buf() })
            }
        };
        Ok(Self { ledger, path: path.to_path_buf() })
    }

    /// Whether there is a ledger; where something was ever appended and there is none, it was lost.
    pub fn has_ledger(&self) -> bool {
        self.ledger.is_some()
    }

    /// What all the records add up to at this moment, with the marks of the reserve.
    pub fn remember(&mut self) -> Result<Remembered, LoadError> {
        let ledger = self.ledger.as_mut();
        let mut remembered = ledger.map_or_else(|| Ok(Remembered::default()), Ledger::remember)?;
        if let Some(content) = reserve::read(&self.path) {
            content.marks.raise(&mut remembered);
        }
        Ok(remembered)
    }

    /// How the ledger began, when it wasn't by a first start.
    pub fn begun(&mut self) -> Result<Option<Begun>, LoadError> {
        self.ledger.as_mut().map_or(Ok(None), Ledger::begun)
    }

    /// Copies the ledger, as it is at one moment, into the empty file at `copy`, which nothing else
    /// has open; a server may go on writing meanwhile. Says whether there is a ledger at all. The copy
    /// is durable when its caller has flushed it.
    pub fn copy_to(&mut self, copy: &Path) -> Result<bool, CopyError> {
        let Some(ledger) = &self.ledger else { return Ok(false) };
        copy_to(&ledger.connection, copy).map(|()| true)
    }

    /// The audit trail: at most `limit` records, the newest first.
    pub fn records(&mut self, limit: usize) -> Result<Vec<Record>, LoadError> {
        self.ledger.as_mut().map_or_else(|| Ok(Vec::new()), |ledger| ledger.records(limit))
    }

    /// The refused logins: at most `limit`, the newest first.
    pub fn denials(&mut self, limit: usize) -> Result<Vec<Denied>, LoadError> {
        self.ledger.as_mut().map_or_else(|| Ok(Vec::new()), |ledger| ledger.denials(limit))
    }
}
