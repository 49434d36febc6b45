//! What the ledger and the registry have in common: each is one SQLite file with one writer.

pub(crate) mod aside;
pub(crate) mod check;
pub(crate) mod connection;
pub(crate) mod copy;
pub(crate) mod format;
pub(crate) mod rows;
pub(crate) mod words;
pub(crate) mod write;
