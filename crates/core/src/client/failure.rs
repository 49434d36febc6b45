//! Why an attempt was of no use.

use alloc::string::String;

use super::io::{ConnectError, ServerIndex, Told};
use crate::reason::{ReasonCode, Refusal};

/// Why one attempt has failed.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Connect(ConnectError),
    Refused(Refusal),
}

impl Failure {
    pub(super) fn unreachable(why: String) -> Self {
        Self::Connect(ConnectError::Unreachable(why))
    }

    /// The refusal in it, whoever pronounced it.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal.clone()),
            Self::Connect(ConnectError::Unverified { refusal, .. }) => refusal.clone(),
            Self::Connect(ConnectError::ProtocolVersion(why)) => {
                Some(Refusal::new(ReasonCode::ProtocolVersionInvalid, why.clone()))
            }
            Self::Connect(ConnectError::Unreachable(_)) => None,
        }
    }

    /// A sentence for a log.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Refused(refusal) => alloc::format!("{refusal}"),
            Self::Connect(ConnectError::Unreachable(why) | ConnectError::ProtocolVersion(why)) => {
                why.clone()
            }
            Self::Connect(ConnectError::Unverified { why, refusal: None }) => why.clone(),
            Self::Connect(ConnectError::Unverified { why, refusal: Some(refusal) }) => {
                alloc::format!("{why}; it says, unverified: {refusal}")
            }
        }
    }

    /// What the log hears of it.
    pub(super) fn told(&self, server: ServerIndex) -> Told {
        match self {
            Self::Refused(refusal) => {
                Told::Refused { server, refusal: refusal.clone(), verified: true }
            }
            Self::Connect(ConnectError::Unverified { refusal: Some(refusal), .. }) => {
                Told::Refused { server, refusal: refusal.clone(), verified: false }
            }
            Self::Connect(ConnectError::ProtocolVersion(why)) => {
                Told::ProtocolVersionInvalid { server, why: why.clone() }
            }
            Self::Connect(
                ConnectError::Unverified { why, refusal: None } | ConnectError::Unreachable(why),
            ) => Told::ConnectionFailed { server, why: why.clone() },
        }
    }
}
