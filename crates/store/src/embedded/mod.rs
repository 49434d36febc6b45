//! The engine of a server: `ledger.db`, one SQLite file with one writer, and `marks.reserve` beside it.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use ve_core::{
    id::ServerKey,
    node::event::{Record, Remembered},
};

mod adopted;
mod lost;
mod read;
mod read_only;
mod salvage;
mod schema;
mod write;

pub use self::{
    adopted::{adopt, check_copy},
    lost::{Finding, Lost, Opened, ReserveFinding},
    read_only::ReadOnly,
    salvage::{hosts_left, marks_left},
};
use self::{read::Ledger, schema::LEDGER};
use crate::{
    high_water::HighWater,
    host_marks::HostMarks,
    place::FileId,
    reserve::{self, Content, Reserve},
    rules::{Limits, only_marks},
    sqlite::{
        check::{Check, refuse_damaged},
        connection::{self, Access},
        format::Format,
        words,
    },
    store::{AppendFailure, Begun, CloseError, Denied, LEDGER_GONE, LoadError, Store},
};

/// An open ledger. Its owner sees to it that there is no second one: a home has one server.
#[derive(Debug)]
pub struct Embedded {
    ledger: Ledger,
    /// The file that is open. Whatever else stands in its place is not this ledger.
    file: Option<FileId>,
    limits: Limits,
    is_new: bool,
    /// The ledger's last position and the one that it had once, when it is an older one.
    older: Option<(u64, u64)>,
    reserve: Reserve,
    /// What the ledger and the reserve hold together.
    content: Content,
}

impl Embedded {
    /// Opens the ledger at `path`, or makes an empty one (mode 0600) where there never was one. The
    /// whole file is checked first; one that is damaged, newer or no ledger is left as it is.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        Self::open_with(path, Limits::default())
    }

    /// [`Self::open`] for a ledger that keeps more or less.
    pub fn open_with(path: &Path, limits: Limits) -> Result<Self, LoadError> {
        let refuse_lost = || match reserve::read(path) {
            Some(_) => Err(LoadError::Missing(path.to_path_buf())),
            None => Ok(()),
        };
        if !path.exists() {
            refuse_lost()?;
        }
        connection::make_file(path)?;
        let (connection, format) = open_file(path, limits, |format| match format {
            Format::Empty => refuse_lost(),
            Format::Steps(_) => Ok(()),
        })?;
        Self::over(connection, path, limits, format == Format::Empty)
    }

    /// Over a ledger that is open, brought up to date, and whole.
    fn over(
        connection: Connection,
        path: &Path,
        limits: Limits,
        is_new: bool,
    ) -> Result<Self, LoadError> {
        let mut ledger = Ledger { connection, path: path.to_path_buf() };
        let file = FileId::at(path);
        let mut own = HighWater::of(&ledger.remember()?);
        refuse_beyond_belief(&own, path)?;
        let (reserve, found) = Reserve::open(path);
        let found = found.unwrap_or_default();
        let marks = own.clone().joined(&found.marks);
        let older =
            (own.position < found.ledger_position).then_some((own.position, found.ledger_position));
        if older.is_some() {
            // Before anything else: the next record's position hides it.
            lost::note_older(&mut ledger, &marks)?;
        } else if !own.covers(&marks) && lost::raise(&mut ledger, &marks).is_ok() {
            // What the reserve took while the disk was full. While it still is, that stays there.
            own.clone_from(&marks);
        }
        let ledger_position = if older.is_some() { marks.position } else { own.position };
        let mut content = Content { ledger_position, marks, server_key: found.server_key };
        content.marks.prune();
        let mut store = Self { ledger, file, limits, is_new, older, reserve, content };
        if store.content != found {
            // Its trouble can be asked for.
            let _ = store.reserve.write(&store.content);
        }
        Ok(store)
    }

    /// Notes whose ledger and reserve these are. Where there is no room for it, the next start does it.
    fn name_owner(&mut self, server_key: ServerKey) {
        let named = change(&mut self.ledger, |transaction| write::name(transaction, server_key));
        if named.is_ok() && self.content.server_key != Some(server_key) {
            self.content.server_key = Some(server_key);
            // Its trouble can be asked for.
            let _ = self.reserve.write(&self.content);
        }
    }

    /// Whether [`Self::open`] found nothing and began a new ledger.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// How the ledger began, when it wasn't by a first start.
    pub fn begun(&mut self) -> Result<Option<Begun>, LoadError> {
        self.ledger.begun()
    }

    /// Why the reserve can't be used at the moment, if so. The ledger works without; but then hours
    /// can't be written when the disk is full, and a lost ledger has no second copy of its marks.
    pub fn reserve_trouble(&self) -> Option<&str> {
        self.reserve.trouble()
    }

    /// Whether the path still leads to the file that is open. What is written to another one would be
    /// gone with this process.
    fn is_in_place(&self) -> bool {
        self.file.is_some() && FileId::at(&self.ledger.path) == self.file
    }

    /// Raises the ledger to marks from elsewhere, durably; lower ones change nothing.
    pub fn raise(&mut self, marks: &HighWater) -> Result<(), AppendFailure> {
        lost::raise(&mut self.ledger, marks)
            .map_err(|error| AppendFailure::Ledger(words::of(&error)))?;
        self.content.marks.join(marks);
        self.content.marks.prune();
        self.content.ledger_position = self.content.marks.position;
        // Its trouble can be asked for.
        let _ = self.reserve.write(&self.content);
        Ok(())
    }

    /// Joins marks of hosts from elsewhere with the ledger's, durably.
    pub fn join_hosts(&mut self, marks: &HostMarks) -> Result<(), AppendFailure> {
        change(&mut self.ledger, |transaction| write::join_hosts(transaction, marks))
            .map_err(|error| AppendFailure::Ledger(words::of(&error)))
    }
}

/// Changes a ledger in one transaction of its own.
fn change(
    ledger: &mut Ledger,
    change: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<(), rusqlite::Error>,
) -> Result<(), rusqlite::Error> {
    let connection = &mut ledger.connection;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change(&transaction)?;
    transaction.commit()
}

/// Opens a file that is there, for writing: recognised, approved, checked, and brought up to date.
fn open_file(
    path: &Path,
    limits: Limits,
    approve: impl FnOnce(Format) -> Result<(), LoadError>,
) -> Result<(Connection, Format), LoadError> {
    let mut connection = connection::open(path, Access::Write)?;
    let format = LEDGER.recognise(&connection, path)?;
    approve(format)?;
    refuse_damaged(&connection, path, Check::Quick)?;
    connection::close_to_others(path)?;
    connection::use_shared_log(&connection, path)?;
    take_over(&mut connection, format, limits).map_err(|error| words::load_error(path, &error))?;
    Ok((connection, format))
}

/// Nothing could ever be appended above a number that no server gives.
fn refuse_beyond_belief(marks: &HighWater, path: &Path) -> Result<(), LoadError> {
    if marks.fits() {
        return Ok(());
    }
    Err(words::damaged(path.to_path_buf(), "it has numbers that are too high to be true"))
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
    LEDGER.bring_up_to_date(connection, format, |_| Ok(()))
}

impl Store for Embedded {
    fn remember(&mut self) -> Result<Remembered, LoadError> {
        let mut remembered = self.ledger.remember()?;
        self.content.marks.raise(&mut remembered);
        Ok(remembered)
    }

    fn append(&mut self, batches: &[&[Record]]) -> Result<(), AppendFailure> {
        if !self.is_in_place() {
            return Err(AppendFailure::Ledger(LEDGER_GONE.to_string()));
        }
        write::append(&mut self.ledger.connection, batches, self.limits)?;
        let mut has_marks = false;
        for record in batches.iter().copied().flatten() {
            has_marks |= self.content.marks.take(record);
            self.content.ledger_position = record.position;
        }
        if has_marks {
            self.content.marks.prune();
            // The ledger has it; a second copy that fails is tried again with the next mark.
            let _ = self.reserve.write(&self.content);
        }
        Ok(())
    }

    fn reserve(&mut self, batch: &[Record]) -> Result<(), AppendFailure> {
        let mut content = self.content.clone();
        only_marks(&mut content.marks, batch)
            .map_err(|why| AppendFailure::Batch { index: 0, why })?;
        self.reserve.write(&content).map_err(AppendFailure::Ledger)?;
        self.content = content;
        Ok(())
    }

    fn records(&mut self, limit: usize) -> Result<Vec<Record>, LoadError> {
        self.ledger.records(limit)
    }

    fn denials(&mut self, limit: usize) -> Result<Vec<Denied>, LoadError> {
        self.ledger.denials(limit)
    }

    fn close(mut self) -> Result<(), CloseError> {
        // The position and the last session's number, which lag behind.
        let _ = self.reserve.write(&self.content);
        let is_in_place = self.is_in_place();
        connection::close(self.ledger.connection, is_in_place)
    }
}
