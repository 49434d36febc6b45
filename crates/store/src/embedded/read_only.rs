//! The ledger for tools: beside a server that writes, after one that was killed, and before the first.

use std::path::Path;

use ve_core::node::event::{Record, Remembered};

use super::{
    connection::{self, Access},
    read::Ledger,
    schema::{self, Format},
};
use crate::store::{Denied, LoadError};

/// A ledger that is only read; its server may be writing it.
#[derive(Debug)]
pub struct ReadOnly {
    /// `None` where nothing was ever appended.
    ledger: Option<Ledger>,
}

impl ReadOnly {
    /// Opens the ledger at `path`. A home that has none yet reads as an empty one, and none is made.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        if is_missing(path) {
            return Ok(Self { ledger: None });
        }
        let connection = connection::open(path, Access::Read)?;
        let ledger = match schema::recognise(&connection, path)? {
            Format::Empty => None,
            Format::Steps(found) => {
                schema::refuse_older(path, found)?;
                Some(Ledger { connection, path: path.to_path_buf() })
            }
        };
        Ok(Self { ledger })
    }

    /// What all the records add up to at this moment.
    pub fn remember(&mut self) -> Result<Remembered, LoadError> {
        self.ledger.as_mut().map_or_else(|| Ok(Remembered::default()), Ledger::remember)
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

/// No file in a folder that is there; without the folder, the path is probably wrong.
fn is_missing(path: &Path) -> bool {
    path.try_exists().is_ok_and(|exists| !exists) && connection::folder_of(path).is_dir()
}
