//! The ledger's format.

use crate::{sqlite::format::Kind, store::LoadError};

/// `ledger.db`; its application id reads `VELG`.
pub(super) const LEDGER: Kind = Kind {
    application_id: 0x5645_4c47,
    steps: &[include_str!("schema_1.sql")],
    foreign: LoadError::Foreign,
};
