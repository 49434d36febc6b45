//! What a host can show of its registration, and what it says of itself.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::entry::PlatformIdentity;
use crate::{
    fingerprint::Platform,
    id::{BootId, HostKey, LicenseId},
    license::Verified,
    text::Name,
    time::Utc,
};

/// What a server signs for a host that is registered. The host keeps it and shows it again: it
/// brings a registration back that both servers have lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The host.
    pub host: HostKey,
    /// Whose license it is.
    pub customer: Name,
    /// The license of the server that signed.
    pub issuer: LicenseId,
    /// The license whose instance the host takes: the issuer's, or its peer's.
    pub home: LicenseId,
    /// See [`super::HostEntry::revision`].
    pub revision: u64,
    /// When the host was registered.
    pub registered: Utc,
}

impl Receipt {
    /// What of it tells it from others of its host.
    pub fn mark(&self) -> ReceiptMark {
        ReceiptMark {
            home: self.home.clone(),
            revision: self.revision,
            registered: self.registered,
        }
    }
}

/// What tells the receipts of one host apart: one that has the same is as good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptMark {
    /// See [`Receipt::home`].
    pub home: LicenseId,
    /// See [`Receipt::revision`].
    pub revision: u64,
    /// See [`Receipt::registered`].
    pub registered: Utc,
}

/// What a host says of itself at a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Its name; information.
    pub name: Name,
    /// The kind of machine; information.
    pub platform: Option<Platform>,
    /// The boot that it runs in. Two machines never have the same, so one key alive in two boots is
    /// a clone.
    pub boot: BootId,
    /// Who its provider says that it is, if that is signed and the signature holds.
    pub identity: Option<Verified<PlatformIdentity>>,
    /// What it was given by servers of this customer.
    pub receipts: Vec<Verified<Receipt>>,
}
