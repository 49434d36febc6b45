//! The engine of a server: `ledger.db`, one SQLite file with one writer.

use std::{path::Path, time::Duration};

use rusqlite::Connection;
use ve_core::node::event::{Record, Remembered};

mod connection;
mod read;
mod read_only;
mod schema;
mod words;
mod write;

pub use self::read_only::ReadOnly;
use self::{connection::Access, read::Ledger, schema::Format};
use crate::{
    rules::Limits,
    store::{AppendFailure, CloseError, Denied, LoadError, Store},
};

/// An open ledger. Its owner sees to it that there is no second one: a home has one server.
#[derive(Debug)]
pub struct Embedded {
    ledger: Ledger,
    limits: Limits,
    is_new: bool,
}

impl Embedded {
    /// Opens the ledger at `path`, or makes an empty one (mode 0600) where there is none. The whole
    /// file is checked first; one that is damaged, newer or no ledger is left as it is.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        Self::open_with(path, Limits::default())
    }

    /// [`Self::open`] for a ledger that keeps more or less.
    pub fn open_with(path: &Path, limits: Limits) -> Result<Self, LoadError> {
        connection::make_file(path)?;
        let mut connection = connection::open(path, Access::Write)?;
        let format = schema::recognise(&connection, path)?;
        refuse_damaged(&connection, path)?;
        connection::close_to_others(path)?;
        connection::use_shared_log(&connection, path)?;
        take_over(&mut connection, format, limits)
            .map_err(|error| words::load_error(path, &error))?;
        let ledger = Ledger { connection, path: path.to_path_buf() };
        Ok(Self { ledger, limits, is_new: format == Format::Empty })
    }

    /// Whether [`Self::open`] found nothing and began a new ledger: what an earlier one knew of
    /// sessions, versions and hours is gone.
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

fn refuse_damaged(connection: &Connection, path: &Path) -> Result<(), LoadError> {
    match read::damage(connection).map_err(|error| words::load_error(path, &error))? {
        Some(why) => Err(LoadError::Damaged { path: path.to_path_buf(), why }),
        None => Ok(()),
    }
}

/// The file is ours and sound: from here on it may be written to.
fn take_over(
    connection: &mut Connection,
    format: Format,
    limits: Limits,
) -> Result<(), rusqlite::Error> {
    if let Some(pages) = limits.pages {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    connection::fold_at_close(connection)?;
    schema::bring_up_to_date(connection, format)
}

impl Store for Embedded {
    fn remember(&mut self) -> Result<Remembered, LoadError> {
        self.ledger.remember()
    }

    fn append(&mut self, batches: &[&[Record]]) -> Result<(), AppendFailure> {
        write::append(&mut self.ledger.connection, batches, self.limits)
    }

    fn records(&mut self, limit: usize) -> Result<Vec<Record>, LoadError> {
        self.ledger.records(limit)
    }

    fn denials(&mut self, limit: usize) -> Result<Vec<Denied>, LoadError> {
        self.ledger.denials(limit)
    }

    /// Folds the log into the file. A reader that is busy keeps it from that, and is not waited for.
    fn close(self) -> Result<(), CloseError> {
        let connection = self.ledger.connection;
        let folded = connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        let closed = connection.close().map_err(|(_, error)| error);
        folded.and(closed).map_err(|error| CloseError(words::of(&error)))
    }
}
