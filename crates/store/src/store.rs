//! What every engine does, and how it may fail.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use ve_core::{
    node::event::{Denial, Record, Remembered},
    time::Utc,
};

/// Keeps what the core appends.
///
/// A batch is what one `Append` effect carries: all of it is remembered, or nothing. Positions go up
/// over all batches for ever; gaps are fine. A failed call leaves the store as it was, and the next
/// one may succeed.
pub trait Store: Send {
    /// What all the records so far add up to; sessions in the order of their numbers.
    fn remember(&mut self) -> Result<Remembered, LoadError>;

    /// Makes all `batches` durable in one commit, or none of them.
    fn append(&mut self, batches: &[&[Record]]) -> Result<(), AppendFailure>;

    /// Keeps the marks of a batch in the reserve: room that is there already, for the time in which
    /// the ledger takes nothing. They count from then on as if the ledger had them. A batch with
    /// anything else in it is refused as a [`AppendFailure::Batch`]; so much that the reserve can't
    /// hold it is a [`AppendFailure::Ledger`].
    fn reserve(&mut self, batch: &[Record]) -> Result<(), AppendFailure>;

    /// The audit trail: at most `limit` records, the newest first. Denials and the ticks of meters
    /// and of the time mark are not in it.
    fn records(&mut self, limit: usize) -> Result<Vec<Record>, LoadError>;

    /// The refused logins: at most `limit`, the newest first.
    fn denials(&mut self, limit: usize) -> Result<Vec<Denied>, LoadError>;

    /// Puts everything in its place and lets go. What was appended is durable without it.
    fn close(self) -> Result<(), CloseError>
    where
        Self: Sized;
}

/// A refused login, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The record's position.
    pub position: u64,
    /// When, by the wall clock.
    pub at: Utc,
    /// Who was refused, and by which rule.
    pub denial: Denial,
}

/// How a ledger began, when it wasn't by a first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// When, by the wall clock.
    pub at: Utc,
    /// Why.
    pub cause: BegunCause,
}

/// Why a ledger began anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BegunCause {
    /// The one before was damaged or missing; some of its marks were saved.
    Lost,
    /// The one before was missing, and nothing of it was to be found.
    LostEntirely,
    /// The one before was another server's; none of its marks were taken.
    OfOtherServer,
    /// It comes from a backup.
    Restored,
    /// An older one was put in place of one that had got further.
    Older,
}

/// What [`AppendFailure::Ledger`] says of a ledger whose file was taken away under the open store.
pub const LEDGER_GONE: &str =
    "ledger.db was removed or replaced while the server runs: restart the server";

/// Nothing of an append was remembered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendFailure {
    /// One batch breaks a rule of the ledger and never can be stored; the others may be.
    #[error("{why}")]
    Batch {
        /// Which of the batches, from 0.
        index: usize,
        /// The rule.
        why: String,
    },
    /// The ledger takes nothing at the moment, such as `disk full (SQLITE_FULL)`.
    #[error("{0}")]
    Ledger(String),
}

/// A ledger or registry can't be opened or read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The system doesn't let us have it.
    #[error("{} can't be opened or read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Some other file.
    #[error(
        "{} is no ledger of a license server; it was left as it is: move it away, or name the right \
         home",
        .0.display()
    )]
    Foreign(PathBuf),
    /// Some other file where the registry of hosts should be.
    #[error(
        "{} is no registry of hosts; it was left as it is: move it away, or name the right home",
        .0.display()
    )]
    NoRegistry(PathBuf),
    /// Written by a later version.
    #[error(
        "{} has format {found}, and this version knows formats up to {known}; it was left as it is: \
         start the version that wrote it, or a newer one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this code reads.
        known: u32,
    },
    /// Written by an earlier version, and a reader changes nothing.
    #[error(
        "{} has the earlier format {found}; the server brings it up to date at its next start",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// There was one once.
    #[error(
        "{} is missing, but what {} beside it holds shows that there was one; the server's next \
         start makes a new one and takes that over",
        .0.display(), crate::reserve::RESERVE_NAME
    )]
    Missing(PathBuf),
    /// It was sound once.
    #[error(
        "{} is damaged ({why}); it was left as it is: the server's next start puts it aside and \
         saves what can be saved, or restore a backup with `licensectl restore`",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What doesn't fit.
        why: String,
    },
}

/// A ledger or registry can't be copied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the copy {} can't be written: {why}", copy.display())]
pub struct CopyError {
    /// The copy.
    pub copy: PathBuf,
    /// What is wrong.
    pub why: String,
    /// Whether its disk is full.
    pub is_full: bool,
}

/// A file couldn't be tidied up when it was closed. Nothing is lost: the next start does it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("all is durable, but the log couldn't be folded into its file: {0}")]
pub struct CloseError(pub String);
