//! The link to the other server of an AutoVE pair, whichever side has dialed.
//!
//! Here is proven who the other side is: its vendor's signature names the very key of its TLS
//! certificate. Whether that server is a peer of this one is the node's to decide, and so is all
//! that the two say to each other.
//!
//! - [`dial`]: the way to the configured peer, tried again for as long as it takes; `reach`, `hello`:
//!   its steps.
//! - [`accept`]: a peer that comes in by the port that clients come in by.
//! - `talk`: the talk once both know each other; `wire`: its messages as bytes, each way.
//! - `papers`: what makes a license server a peer's.

pub mod accept;
pub mod dial;
mod hello;
mod papers;
mod reach;
mod talk;
mod wire;

use std::net::SocketAddr;

use ve_core::{
    reason::{ReasonCode, Refusal},
    text::Name,
};

fn no_peer(sentence: impl Into<String>) -> Refusal {
    Refusal::new(ReasonCode::LicenseNotAvailable, sentence)
}

fn bad_request(sentence: impl Into<String>) -> Refusal {
    Refusal::new(ReasonCode::BadRequest, sentence)
}

/// A refusal that the other server has spoken, so that its "here" is not taken for this server's.
fn answered(refusal: &Refusal) -> Refusal {
    Refusal::new(refusal.code, format!("it answers: {}", refusal.sentence))
}

/// An address as the node knows it.
fn name_of(address: SocketAddr) -> Name {
    address.to_string().parse().expect("an address is a short name without control characters")
}
