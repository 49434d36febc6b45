//! The file's format: whose it is, how old it is, and how it is brought up to date.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::words;
use crate::store::LoadError;

/// A kind of file.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its `PRAGMA application_id`.
    pub(crate) application_id: i64,
    /// What leads from each format to the next; `PRAGMA user_version` counts the steps taken.
    pub(crate) steps: &'static [&'static str],
    /// The error for a file of another kind.
    pub(crate) foreign: fn(PathBuf) -> LoadError,
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Nothing was ever written to it.
    Empty,
    /// A file of ours, so many steps old.
    Steps(u32),
}

impl Kind {
    /// The newest format.
    pub(crate) fn newest(&self) -> u32 {
        u32::try_from(self.steps.len()).expect("a handful of steps")
    }

    /// Whose file it is; newer formats are refused here, before anything else is read.
    pub(crate) fn recognise(
        &self,
        connection: &Connection,
        path: &Path,
    ) -> Result<Format, LoadError> {
        let path_buf = || path.to_path_buf();
        let read = |sql: &str| {
            let number = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            number.map_err(|error| self.name_foreign(words::load_error(path, &error)))
        };
        let application_id = read("PRAGMA application_id")?;
        // A file of ours never counts below 0 here.
        let found = read("PRAGMA user_version")?.try_into().unwrap_or(0);
        let tables = read("SELECT count(*) FROM sqlite_schema")?;
        let known = self.newest();
        match (application_id, found, tables) {
            (0, 0, 0) => Ok(Format::Empty),
            (id, 1.., _) if id == self.application_id && found > known => {
                Err(LoadError::Newer { path: path_buf(), found, known })
            }
            (id, 1.., _) if id == self.application_id => Ok(Format::Steps(found)),
            _ => Err((self.foreign)(path_buf())),
        }
    }

    /// Who opens a file doesn't know what it should have been.
    pub(crate) fn name_foreign(&self, error: LoadError) -> LoadError {
        match error {
            LoadError::Foreign(path) => (self.foreign)(path),
            error => error,
        }
    }

    /// Takes the steps that are missing, if any, and does `then` with them, all in one transaction.
    pub(crate) fn bring_up_to_date(
        &self,
        connection: &mut Connection,
        format: Format,
        then: impl FnOnce(&Transaction<'_>) -> Result<(), rusqlite::Error>,
    ) -> Result<(), rusqlite::Error> {
        let taken = match format {
            Format::Empty => 0,
            Format::Steps(taken) => taken,
        };
        if taken == self.newest() {
            return Ok(());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in self.steps.iter().skip(taken as usize) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", self.application_id)?;
        transaction.pragma_update(None, "user_version", self.newest())?;
        then(&transaction)?;
        transaction.commit()
    }

    /// Refuses a format that only a server may bring up to date.
    pub(crate) fn refuse_older(&self, path: &Path, found: u32) -> Result<(), LoadError> {
        if found < self.newest() {
            return Err(LoadError::Older { path: path.to_path_buf(), found });
        }
        Ok(())
    }
}
