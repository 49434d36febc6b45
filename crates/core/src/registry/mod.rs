//! The registry: which emulator hosts an AutoVE license covers, and where each of them is at home.
//!
//! Two peers keep one registry, and either may be cut off, lost or put back to an old copy at any
//! time. So nothing here depends on the order in which news arrives: two versions of an entry are
//! merged by a rule that is the same on both sides ([`HostEntry::merge`]), a retired host stays
//! retired, and what travels is only what the other side doesn't have ([`changes`]).
//!
//! - [`entry`]: what is known of a host, and how two versions of it become one.
//! - [`receipt`]: what a host can show of its registration, and what it says of itself.
//! - [`changes`]: the order in which this copy learned things, so that a peer can go on from there.
//! - [`hosts`]: the registry itself, found by every key that a rule asks for; `homed`: which of a
//!   license's hosts have its instances.

pub mod changes;
pub mod entry;
mod homed;
pub mod hosts;
pub mod receipt;

pub use changes::{Batch, KnownPeer, Position, RememberedHosts, Span};
pub use entry::{HostEntry, HostState, PlatformIdentity, Seen};
pub use hosts::{MAX_HOSTS, Registry};
pub use receipt::{HostFacts, Receipt, ReceiptMark};
