//! Values into rows, and why that fails: a batch that breaks a rule is its maker's fault, anything else
//! the file's or the disk's.

use rusqlite::{Params, Transaction};

use super::words;
use crate::store::AppendFailure;

pub(crate) fn execute(
    transaction: &Transaction<'_>,
    sql: &str,
    row: impl Params,
) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached(sql)?.execute(row).map(drop)
}

/// Why the batch with this index was not taken.
pub(crate) fn failure(index: usize, error: &rusqlite::Error) -> AppendFailure {
    if words::is_constraint(error) {
        AppendFailure::Batch { index, why: words::of(error) }
    } else {
        engine_failure(error)
    }
}

/// Why nothing is taken at the moment.
pub(crate) fn engine_failure(error: &rusqlite::Error) -> AppendFailure {
    AppendFailure::Ledger(words::of(error))
}
