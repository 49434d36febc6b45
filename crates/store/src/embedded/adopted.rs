//! A ledger that comes from a backup: checked, and raised to the marks of where it is put.

use std::path::Path;

use rusqlite::TransactionBehavior;
use ve_core::node::event::Remembered;

use super::{open_file, read::Ledger, refuse_beyond_belief, schema::LEDGER, write};
use crate::{
    high_water::HighWater,
    host_marks::HostMarks,
    rules::Limits,
    sqlite::{
        check::{Check, refuse_damaged},
        connection::{self, Access},
        format::Format,
        words,
    },
    store::{Begun, LoadError},
};

/// Checks every page and index of a ledger that no one has open, and reads what it adds up to, without
/// any reserve. The file is not changed.
pub fn check_copy(path: &Path) -> Result<Remembered, LoadError> {
    let connection = connection::open(path, Access::Read)?;
    if LEDGER.recognise(&connection, path)? == Format::Empty {
        return Err(LoadError::Foreign(path.to_path_buf()));
    }
    refuse_damaged(&connection, path, Check::Whole)?;
    let remembered = Ledger { connection, path: path.to_path_buf() }.remember()?;
    refuse_beyond_belief(&HighWater::of(&remembered), path)?;
    Ok(remembered)
}

/// Raises a ledger that no one has open to `marks` and joins its `hosts`, and notes that it may lack holders and how it
/// began. It is whole in its file afterwards, with no log beside it.
pub fn adopt(
    path: &Path,
    marks: &HighWater,
    hosts: &HostMarks,
    begun: Begun,
) -> Result<(), LoadError> {
    let (mut connection, _) = open_file(path, Limits::default(), |_| Ok(()))?;
    let adopted = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(|transaction| {
            write::raise(&transaction, marks)?;
            write::join_hosts(&transaction, hosts)?;
            write::doubt(&transaction, Some(begun))?;
            transaction.commit()
        })
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
        .and_then(|()| connection.close().map_err(|(_, error)| error));
    adopted.map_err(|error| words::load_error(path, &error))
}
