#![no_std]
//! Decides: the rules of a license server and of its clients, as plain values.
//!
//! Nothing here reads a clock, a file or a socket, starts a thread or draws a random number. Time
//! and randomness come in as arguments, what is to be done goes out as values, and the shell around
//! ([`ve-server`], [`ve-client`]) does it. So the same code runs in production, in a test that says
//! "the disk is full", and in a simulation of a thousand days.
//!
//! The words, in the order a newcomer needs them:
//!
//! - [`id`], [`text`], [`time`], [`reason`]: identifiers, bounded names, the two clocks, reason codes.
//! - [`license`]: a license and its product sections; [`fingerprint`]: the machine it is bound to.
//! - [`registry`]: the hosts that an AutoVE license covers.

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod fingerprint;
pub mod grant;
pub mod id;
pub mod license;
pub mod mark;
pub mod meter;
pub(crate) mod names;
pub mod network;
pub mod node;
pub mod reason;
pub mod registry;
pub mod select;
pub mod text;
pub mod time;
pub mod update;

pub use names::UnknownName;
