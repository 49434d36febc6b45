//! What the log should know.

use alloc::string::String;

use super::{event::RegisteredBy, peer::PeerFailure};
use crate::{
    id::{HostKey, LicenseId, SessionNumber},
    license::ProductVersion,
    reason::Refusal,
    text::Name,
    time::Utc,
};

/// Who a note is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The emulated model.
    pub hardware: Name,
    /// The product's version.
    pub version: ProductVersion,
    /// From where, `address:port`.
    pub address: Name,
    /// The emulator's name.
    pub emulator: Name,
    /// The session, when there is one.
    pub session: Option<SessionNumber>,
}

/// Something that the log should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A client got a seat, or came back to its own.
    LoggedIn(Who),
    /// A client logged out or its link is gone.
    Disconnected(Who),
    /// A client was refused.
    Refused(Who, Refusal),
    /// A session was taken back.
    Revoked(Who, Refusal),
    /// A left seat was not claimed within its lease and is free again.
    LeaseEnded(Who),
    /// No installed license is valid; the reason of the first, if there is any.
    NoLicense(Refusal),
    /// A license is valid now.
    LicenseValid {
        /// Which.
        id: LicenseId,
        /// Its version.
        version: u32,
    },
    /// A license is not valid, and why.
    LicenseInvalid {
        /// Which, as far as it is known.
        id: Option<LicenseId>,
        /// Why.
        refusal: Refusal,
    },
    /// The wall clock is this many seconds behind what the server is sure of.
    ClockBehind(u64),
    /// The wall clock is this many seconds ahead, more than a day.
    ClockAhead(u64),
    /// The wall clock is fine again.
    ClockSound,
    /// A client has shown a grant that says more than the ledger knew: an older ledger was put in
    /// place. What it says counts now.
    MarkRaised(RaisedMark),
    /// A `COUNTDOWN` license has only this much run time left, in milliseconds; said once for each
    /// of a few thresholds.
    HoursLow {
        /// Which.
        id: LicenseId,
        /// Milliseconds left.
        remaining_ms: u64,
    },
    /// The ledger may have forgotten who holds seats of `lease = "grace"` licenses, so newcomers get
    /// none for this long, in milliseconds.
    HoldersUnknown {
        /// Milliseconds from now.
        for_ms: u64,
    },
    /// A host got its instance.
    HostRegistered {
        /// Which host.
        host: HostKey,
        /// Its name.
        name: Name,
        /// From where, `address:port`; for an import, who imported it.
        address: Name,
        /// The license whose instance it takes.
        home: LicenseId,
        /// How it came to it.
        by: RegisteredBy,
    },
    /// An import brought more hosts than the log has room for: so many got their instances, and so many
    /// were retired.
    HostsImported {
        /// How many got an instance.
        registered: usize,
        /// How many were retired.
        retired: usize,
    },
    /// A host was retired.
    HostRetired {
        /// Which host.
        host: HostKey,
        /// Its name.
        name: Name,
        /// Whether an administrator of this server did it; else the peer's.
        here: bool,
    },
    /// One host's key is alive on two machines; the second was refused.
    HostCloned {
        /// Which host.
        host: HostKey,
        /// Where the first is, `address:port`.
        first: Name,
        /// Where the second is, `address:port`.
        second: Name,
        /// Whether the first is at the peer.
        at_peer: bool,
    },
    /// A host claims the provider-signed identity of another, which is alive.
    IdentityClaimed {
        /// Who claims it.
        host: HostKey,
        /// From where, `address:port`.
        address: Name,
        /// Whose it is.
        owner: HostKey,
        /// Where that is, `address:port`.
        owner_address: Name,
    },
    /// Registrations come too fast from one address; said once until they don't.
    RegistrationsFlood {
        /// The address.
        address: Name,
    },
    /// The peer is there, and the registries are being brought in step.
    PeerInContact {
        /// Its license.
        license_id: LicenseId,
        /// Where, `address:port`.
        address: Name,
    },
    /// This registry has everything that the peer had.
    PeerInStep {
        /// Its license.
        license_id: LicenseId,
        /// How many changes came since contact.
        changes: u64,
    },
    /// The peer is gone.
    PeerLost {
        /// Its license.
        license_id: LicenseId,
    },
    /// The configured peer can't be reached or is none; said once until it changes.
    PeerFailed(PeerFailure),
    /// Another server wanted to be the peer and is none.
    PeerRefused {
        /// From where, `address:port`.
        address: Name,
        /// Why.
        refusal: Refusal,
    },
    /// The peer's wall clock is so many seconds off ours, more than a minute; said once until it isn't.
    PeerClockOff(i64),
    /// The peer's wall clock is right again.
    PeerClockRight,
    /// If one server fails, the other can't carry its hosts; said once until it changes.
    PeersTooSmall {
        /// How many hosts would have no instance.
        missing: u64,
        /// Whether it is this server that is too small; else the peer.
        here: bool,
    },
    /// Each server can carry the other's hosts again.
    PeersSuffice,
    /// More hosts are at home here than the license has instances: the newest are not served.
    TooManyHosts {
        /// How many hosts.
        homed: u64,
        /// How many instances.
        instances: u32,
    },
    /// The registry may lack hosts: newcomers get only what is certainly free.
    HostsUnknown {
        /// How many instances are kept for those that are missing.
        kept: u64,
    },
    /// The registry has all its hosts again.
    HostsKnown,
    /// The registry can't be written, and why; said once until it can.
    RegistryFailed(String),
    /// The registry can be written again.
    RegistryRecovered,
    /// The ledger can't be written, and why; said once until it can.
    LedgerFailed(String),
    /// The ledger can be written again.
    LedgerRecovered,
}

/// A high-water mark that a client's grant has raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RaisedMark {
    /// A higher version of a license was installed here once.
    LicenseVersion {
        /// Which license.
        id: LicenseId,
        /// What the ledger knew; 0: nothing.
        from: u32,
        /// What was shown.
        to: u32,
    },
    /// More run time of a license version was used.
    HoursUsed {
        /// Which license.
        id: LicenseId,
        /// Which version of it.
        version: u32,
        /// What the ledger knew, in milliseconds.
        from_ms: u64,
        /// What was shown, in milliseconds.
        to_ms: u64,
    },
    /// It was later than the time mark says.
    Time {
        /// The mark.
        from: Utc,
        /// What was shown.
        to: Utc,
    },
    /// The ledger had more records.
    LedgerPosition {
        /// What the ledger has.
        from: u64,
        /// What was shown.
        to: u64,
    },
}
