//! What the ledger remembers: the events that a node appends, and the state they add up to.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    id::{HostKey, LicenseId, RunId, SessionId, SessionNumber},
    license::ProductVersion,
    reason::{ReasonCode, Refusal},
    registry::PlatformIdentity,
    select::Wanted,
    text::Name,
    time::{Moment, Utc},
};

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counted up by one for every record; a failed append leaves a gap.
    pub position: u64,
    /// When it happened, by the wall clock.
    pub at: Utc,
    /// What happened.
    pub event: Event,
}

/// What happened. Stored events are the audit trail, so a variant is never changed, only added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A seat was taken.
    SessionOpened(SessionRecord),
    /// A seat became free.
    SessionClosed {
        /// Whose.
        number: SessionNumber,
        /// Why.
        cause: CloseCause,
    },
    /// The administrator released a live session: this run of that emulator gets no other.
    RunBlocked(BlockedRun),
    /// A license version was installed here; no lower one of its ID counts from now on.
    LicenseSeen {
        /// Which license.
        license_id: LicenseId,
        /// Its version.
        version: u32,
    },
    /// The time mark was at least here.
    TimeMarked {
        /// The mark.
        mark: Utc,
    },
    /// A license version had this much run time on its meter.
    HoursUsed {
        /// Which license.
        license_id: LicenseId,
        /// Its version.
        version: u32,
        /// Milliseconds, in all.
        used_ms: u64,
        /// Up to when they were charged.
        charged_to: Moment,
    },
    /// A grant promised a session's seat for longer than any before.
    SessionPromised {
        /// Whose.
        number: SessionNumber,
        /// The longest promise, in milliseconds; see [`SessionRecord::promised_lease_ms`].
        lease_ms: u64,
        /// See [`SessionRecord::promised_grace`].
        through_grace: bool,
    },
    /// An update of the license moved a session's seat to another of its sections.
    SessionPlaced {
        /// Whose.
        number: SessionNumber,
        /// The product section, counted from 0 in the license version that moved it.
        section: usize,
        /// The section's product code.
        product_code: Name,
    },
    /// Whether there may be holders of seats that the ledger does not name, from here on: a client
    /// has proven that records are missing, or every holder that was forgotten must have ended.
    HoldersUnknown {
        /// Becomes [`Remembered::may_lack_holders`].
        unknown: bool,
    },
    /// A host got its instance.
    HostRegistered {
        /// Which host.
        host: HostKey,
        /// Its name.
        name: Name,
        /// The license whose instance it takes.
        home: LicenseId,
        /// From where, `address:port`; for an import, who imported it.
        address: Name,
        /// How it came to it.
        by: RegisteredBy,
    },
    /// A host was retired, here or at the peer: it never gets an instance again.
    HostRetired {
        /// Which host.
        host: HostKey,
        /// Its name.
        name: Name,
        /// The license whose instance became free.
        home: LicenseId,
        /// Whether an administrator of this server did it; else the peer's.
        here: bool,
        /// When, by the wall clock of the server that heard of it.
        at: Utc,
        /// Its machine, as far as a provider has said which one that is: a new key of it gets no
        /// instance either.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<PlatformIdentity>,
    },
    /// So many hosts are at home with a license of this server.
    HostsHomed {
        /// Which license.
        home: LicenseId,
        /// How many.
        count: u64,
    },
    /// Someone was refused.
    Denied(Denial),
}

/// How a host came to its instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisteredBy {
    /// By its first login.
    Login,
    /// By its receipt: the registry had lost it.
    Receipt,
    /// Its machine had an instance by another key, which has none any more.
    NewKey {
        /// The other key.
        before: HostKey,
    },
    /// An administrator imported it.
    Import,
    /// The license that it was at home with was replaced by another of this server.
    NewLicense {
        /// The license before.
        before: LicenseId,
    },
}

/// A session as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The public number.
    pub number: SessionNumber,
    /// The secret name.
    pub id: SessionId,
    /// The client host that logged in; no other may use the session.
    pub host: HostKey,
    /// The run of the client program.
    pub run: RunId,
    /// The emulator's name, unique on its host.
    pub emulator: Name,
    /// The emulator product.
    pub product: Name,
    /// Its version.
    pub version: ProductVersion,
    /// The emulated model.
    pub hardware: Name,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Virtual memory in MB.
    pub memory_mb: u64,
    /// The license that the seat is from.
    pub license_id: LicenseId,
    /// The product section, counted from 0 in the license version that placed the session there.
    pub section: usize,
    /// The section's product code; finds the section again when a newer version orders them anew.
    pub product_code: Name,
    /// From where the client logged in, `address:port`.
    pub address: Name,
    /// Since when.
    pub since: Utc,
    /// The predecessor whose seat this session took over, closed by the same act. The ledger may know
    /// its end already, when both were written at almost the same time.
    pub replaces: Option<SessionNumber>,
    /// How long the seat was promised to stay reserved without a connection, in milliseconds: the
    /// longest of all grants. No update of the license shortens it.
    pub promised_lease_ms: u64,
    /// Whether it was promised until the holder can't be running any more: then nothing but the
    /// holder's logout frees the seat sooner.
    pub promised_grace: bool,
}

impl SessionRecord {
    /// What the seat was asked for; the passphrase that opened it is not kept.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            hardware: self.hardware.clone(),
            version: self.version.clone(),
            cpus: self.cpus,
            memory_mb: self.memory_mb,
            passphrase: None,
        }
    }
}

/// Why a seat became free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseCause {
    /// The client logged out.
    LoggedOut,
    /// The client was gone for longer than the lease.
    LeaseEnded,
    /// The server took the seat back, for this reason.
    Revoked(ReasonCode),
}

/// A run of an emulator that was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedRun {
    /// The host.
    pub host: HostKey,
    /// The emulator's name.
    pub emulator: Name,
    /// The run; a new start of the emulator has another and is let in.
    pub run: RunId,
}

/// A refused login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Which host.
    pub host: HostKey,
    /// From where, `address:port`.
    pub address: Name,
    /// Which emulator.
    pub emulator: Name,
    /// Which product.
    pub product: Name,
    /// Which version of it.
    pub version: ProductVersion,
    /// Which model.
    pub hardware: Name,
    /// By which rule, in words.
    pub refusal: Refusal,
}

/// What all the records add up to: what a node needs to know at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The last record's position; 0 for an empty ledger.
    pub position: u64,
    /// The highest session number ever given.
    pub last_session: u64,
    /// The sessions that hold a seat.
    pub sessions: Vec<SessionRecord>,
    /// The runs that were released.
    pub blocked: Vec<BlockedRun>,
    /// The highest version seen of each license.
    pub versions: BTreeMap<LicenseId, u32>,
    /// The run time used of each license version.
    pub meters: BTreeMap<(LicenseId, u32), Metered>,
    /// The time mark.
    pub time_mark: Option<Utc>,
    /// Whether there may be holders of seats that this does not name: it comes from a backup, or
    /// what was there before is lost. Stays set until an [`Event::HoldersUnknown`] takes it back.
    pub may_lack_holders: bool,
    /// The hosts that were retired: the second copy of what the registry knows of them.
    pub retired_hosts: BTreeMap<HostKey, RetiredHost>,
    /// How many hosts were at home with each license of this server when that changed last.
    pub homed: BTreeMap<LicenseId, u64>,
}

/// What the ledger remembers of a retired host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredHost {
    /// When it was retired.
    pub at: Utc,
    /// Its name.
    pub name: Name,
    /// The license whose instance it had.
    pub home: LicenseId,
    /// Its machine, if a provider has said which one that is.
    pub identity: Option<PlatformIdentity>,
}

/// What is remembered of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metered {
    /// Run time used, in milliseconds.
    pub used_ms: u64,
    /// Up to when it was charged; `None`: not known.
    pub charged_to: Option<Moment>,
}

/// An append did not become durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger can't be written: {0}")]
pub struct AppendError(pub String);
