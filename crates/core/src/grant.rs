//! The grant: what a server tells a client that it may do, and the marks it has reached.

use alloc::boxed::Box;

use crate::{
    id::{LicenseId, SessionId},
    registry::Receipt,
    text::Name,
    time::Utc,
};

/// A seat, granted. The shell signs it together with the client's nonce and the server's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The session that holds the seat; the client's to keep secret.
    pub session: SessionId,
    /// The license that the seat is from.
    pub license_id: LicenseId,
    /// Whose license.
    pub customer: Name,
    /// The section's product code.
    pub product_code: Name,
    /// The licensed model, as the license spells it.
    pub virtual_hardware: Name,
    /// The section's number of seats.
    pub instances: u32,
    /// The section's limit of virtual CPUs.
    pub max_cpu: u32,
    /// The section's limit of virtual memory, in MB.
    pub max_memory_mb: u64,
    /// The section's major version.
    pub major: u32,
    /// The section's highest minor version.
    pub minor: u32,
    /// When section or license ends; `None`: never, or by hours.
    pub expires: Option<Utc>,
    /// Run time left, in milliseconds; `None` for `NORMAL`.
    pub remaining_ms: Option<u64>,
    /// How long the client may run on after a loss, in milliseconds.
    pub grace_ms: u64,
    /// How often the client makes a full check, in milliseconds.
    pub check_interval_ms: u64,
    /// How long the seat stays reserved without a connection, in milliseconds.
    pub lease_ms: u64,
    /// The high-water marks.
    pub marks: Marks,
    /// In AutoVE mode, the license that the client's host is at home with; its server is preferred.
    pub home: Option<LicenseId>,
    /// What the client's host keeps as proof of its registration, when what it has shown is not as
    /// good. The shell signs it for itself.
    pub receipt: Option<Box<Receipt>>,
}

/// A grant that a server signed earlier for this very host, shown to it again: proof of how far it
/// had come then. A server whose ledger is behind that was restored from an old backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The session that held the seat; zeros in a probe's grant.
    pub session: SessionId,
    /// The license that the seat was from.
    pub license_id: LicenseId,
    /// How long the seat was promised to stay reserved, in milliseconds.
    pub lease_ms: u64,
    /// What the server had reached.
    pub marks: Marks,
}

/// How far a server has come: none of these ever goes back, so a client that has seen higher ones
/// knows that the server was restored from an old backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// The version of the license.
    pub license_version: u32,
    /// The server's time mark.
    pub time: Utc,
    /// How many records the server's ledger has had.
    pub ledger_position: u64,
    /// The run time used of this license version, in milliseconds.
    pub hours_used_ms: u64,
}
