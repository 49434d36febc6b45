//! Why a link ended before its time, and who is told.

use std::io;

use ve_core::{
    reason::{ReasonCode, Refusal},
    text::sentence,
};
use ve_wire::{
    frame::FrameError,
    limits::{HELLO_TIMEOUT_MS, VERSIONS},
};

use crate::driver::Stopped;

/// Why a link ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("no TLS 1.3 connection came about: {0}")]
    Tls(io::Error),
    #[error("no hello came within {} seconds", HELLO_TIMEOUT_MS / 1_000)]
    NoHello,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{}", .0.sentence)]
    Protocol(Refusal),
    #[error("the connection failed: {0}")]
    Write(io::Error),
    #[error("the client does not read what it is sent")]
    TooSlow,
    #[error("no common protocol version; the client speaks {0:?}, this server {VERSIONS:?}")]
    Version(Vec<u32>),
    #[error("the license service has stopped")]
    Stopped(#[from] Stopped),
}

impl LinkError {
    /// The client broke the protocol.
    pub(super) fn protocol(sentence: &str) -> Self {
        Self::Protocol(bad_request(sentence))
    }

    /// What the other side did wrong, if it did; for the log.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Protocol(refusal) => Some(refusal.clone()),
            Self::Version(_) => {
                Some(Refusal::new(ReasonCode::ProtocolVersionInvalid, sentence(self)))
            }
            Self::Tls(_) | Self::NoHello | Self::TooSlow => Some(bad_request(sentence(self))),
            Self::Frame(error) if error.is_their_fault() => Some(bad_request(sentence(error))),
            Self::Frame(_) | Self::Write(_) | Self::Stopped(_) => None,
        }
    }

    /// What the other side is told, if it can still be told anything.
    pub(super) fn last_words(&self) -> Option<Refusal> {
        if matches!(self, Self::TooSlow) { None } else { self.refusal() }
    }
}

fn bad_request(sentence: impl Into<String>) -> Refusal {
    Refusal::new(ReasonCode::BadRequest, sentence)
}
