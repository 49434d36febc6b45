//! The registry of a server: `instances.db`, one SQLite file with one writer, and its snapshots.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use ve_core::registry::{Batch, RememberedHosts};

mod body;
mod lost;
mod memory;
mod merged;
mod read;
mod read_only;
mod snapshots;
mod write;

use self::write::Numbers;
pub use self::{
    lost::{HostsFinding, HostsLost, HostsStart, OpenedHosts},
    memory::MemoryHosts,
    merged::{Merge, adopt_hosts, merge_hosts, plan_merge},
    read_only::HostsReadOnly,
    snapshots::{Snapshot, snapshot, snapshots},
};
use crate::{
    host_store::HostStore,
    place::FileId,
    sqlite::{
        check::{Check, refuse_damaged},
        connection::{self, Access},
        format::{Format, Kind},
        words,
    },
    store::{AppendFailure, CloseError, LoadError},
};

/// What [`AppendFailure::Ledger`] says of a registry whose file was taken away under the open store.
pub const INSTANCES_GONE: &str =
    "instances.db was removed or replaced while the server runs: restart the server";

/// `instances.db`; its application id reads `VEHR`.
const REGISTRY: Kind = Kind {
    application_id: 0x5645_4852,
    steps: &[include_str!("hosts_1.sql")],
    foreign: LoadError::NoRegistry,
};

/// An open registry. Its owner sees to it that there is no second one: a home has one server.
#[derive(Debug)]
pub struct EmbeddedHosts {
    connection: Connection,
    path: PathBuf,
    /// The file that is open. Whatever else stands in its place is not this registry.
    file: Option<FileId>,
    /// The last number before this start.
    after: u64,
    /// The number of the last change of each host.
    numbers: Numbers,
    /// Whether the start reports that hosts may be missing, whatever the file says of the next one.
    may_lack_hosts: bool,
    /// What was read when the file was checked; given away once.
    checked: Option<RememberedHosts>,
}

impl EmbeddedHosts {
    /// Lets the file grow to so many pages of 4 KiB, for tests of a disk that is full.
    pub fn limit_pages(&self, pages: u32) -> Result<(), LoadError> {
        self.connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(|error| words::load_error(&self.path, &error))
    }

    /// Whether the path still leads to the file that is open. What is written to another one would be
    /// gone with this process.
    fn is_in_place(&self) -> bool {
        self.file.is_some() && FileId::at(&self.path) == self.file
    }
}

impl HostStore for EmbeddedHosts {
    fn remember(&mut self) -> Result<RememberedHosts, LoadError> {
        let mut hosts = match self.checked.take() {
            Some(hosts) => hosts,
            None => read::content(&mut self.connection, &self.path)?.hosts,
        };
        hosts.may_lack_hosts |= self.may_lack_hosts;
        Ok(hosts)
    }

    fn write(&mut self, batches: &[&Batch]) -> Result<(), AppendFailure> {
        if !self.is_in_place() {
            return Err(AppendFailure::Ledger(INSTANCES_GONE.to_string()));
        }
        self.checked = None;
        write::write(&mut self.connection, batches, self.after, &mut self.numbers)
    }

    fn close(self) -> Result<(), CloseError> {
        let is_in_place = self.is_in_place();
        connection::close(self.connection, is_in_place)
    }
}

/// Opens a file that is there, for writing: recognised, checked, and brought up to date.
fn open_file(path: &Path) -> Result<Connection, LoadError> {
    let opened = connection::open(path, Access::Write);
    let mut connection = opened.map_err(|error| REGISTRY.name_foreign(error))?;
    let format = REGISTRY.recognise(&connection, path)?;
    if format != Format::Empty {
        refuse_damaged(&connection, path, Check::Quick)?;
    }
    connection::close_to_others(path)?;
    connection::use_shared_log(&connection, path)?;
    connection::fold_at_close(&connection)
        .and_then(|()| REGISTRY.bring_up_to_date(&mut connection, format, |_| Ok(())))
        .map_err(|error| words::load_error(path, &error))?;
    Ok(connection)
}

/// Changes a registry in one transaction of its own.
fn change(
    connection: &mut Connection,
    path: &Path,
    change: impl FnOnce(&Transaction<'_>) -> Result<(), rusqlite::Error>,
) -> Result<(), LoadError> {
    connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(|transaction| {
            change(&transaction)?;
            transaction.commit()
        })
        .map_err(|error| words::load_error(path, &error))
}
