//! What two peers say to each other. Each side asks for what the other has changed, and is sent it,
//! a window at a time and from then on as it happens.

use alloc::{string::String, vec::Vec};

use thiserror::Error;

use crate::{
    id::{BootId, HostKey, LicenseId},
    reason::{ReasonCode, Refusal},
    registry::{HostEntry, Position, Span},
    text::Name,
    time::Utc,
};

/// The most entries of one [`PeerMessage::Changes`].
pub const MAX_CHANGES: usize = 256;

/// The most changes messages that are on their way at the same time, each way.
pub const WINDOW: usize = 32;

/// The most hosts of one [`PeerMessage::Presence`], present and gone together.
pub const MAX_PRESENCES: usize = 256;

/// A message between peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerMessage {
    /// How the sender stands: first of all, and whenever that has changed.
    Status(PeerStatus),
    /// Send me what you have changed since `after`, and go on sending. A new pull ends the one before.
    Pull {
        /// Up to where the sender has the receiver's changes; `None`: nothing.
        after: Option<Position>,
        /// The sender's own spans, so that nothing comes back to where it is from.
        spans: Vec<Span>,
        /// The number of the sender's last change.
        last: u64,
    },
    /// The next changes for a pull.
    Changes {
        /// At most [`MAX_CHANGES`], in the order of their numbers.
        entries: Vec<HostEntry>,
        /// Up to where the receiver has everything, with these.
        upto: Position,
        /// The number of the sender's last durable change: how far there is to go.
        last: u64,
    },
    /// Everything up to here is durable with the sender; makes room in the window.
    Taken {
        /// Up to where, in the receiver's positions.
        upto: Position,
    },
    /// Which hosts have emulators at the sender.
    Presence {
        /// Whether this begins anew: who is not named after it is not there.
        reset: bool,
        /// Who is there.
        present: Vec<Presence>,
        /// Who is not there any more.
        gone: Vec<HostKey>,
    },
}

/// How a peer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its license.
    pub license_id: LicenseId,
    /// How many instances that has.
    pub instances: u32,
    /// Whether the license is valid and the server serves; or the reason why not.
    pub serves: Result<(), ReasonCode>,
    /// How many hosts are at home there, as it sees it.
    pub homed: u64,
    /// How many guests it has.
    pub guests: u64,
    /// Its wall clock. It is compared, and nothing is decided by it.
    pub wall: Utc,
}

/// A host that has emulators at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The host.
    pub host: HostKey,
    /// The boot that it runs in, if it has said so.
    pub boot: Option<BootId>,
    /// When the oldest of its emulators there was let in, by the sender's clock; `None`: a sender that
    /// doesn't say so.
    pub since: Option<Utc>,
    /// The other boot, at the receiver, beside which it is proven to be alive: there are two machines
    /// with one key.
    pub beside: Option<BootId>,
    /// From where, `address:port`.
    pub address: Name,
    /// How many emulators; at least one.
    pub emulators: u32,
}

/// Why there is no peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeerFailure {
    /// Nobody answers at the configured address, or not as a license server.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// It answers, and is none: the words are this server's or the other's.
    #[error("{0}")]
    Refused(Refusal),
}
