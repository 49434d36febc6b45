//! Speaks: the published protocol, its frames and limits, and the identities inside TLS.
//!
//! Server and client meet here and nowhere else.
//!
//! - [`proto`]: the messages, generated from `proto/ve_license.proto`.
//! - [`frame`]: messages on a byte stream; [`limits`]: how long anything may be.
//! - [`convert`]: between messages and the words of `ve-core`, with every limit checked; [`peer`]: the
//!   same for what two peers say to each other.
//! - [`statement`]: what a server signs; [`witness`]: grants that are shown to it again.
//! - [`tls`]: certificates that carry a key and nothing else.

use std::fmt;

pub mod convert;
mod facts;
pub mod frame;
pub mod limits;
pub mod peer;
pub mod statement;
pub mod tls;
pub mod witness;

/// The messages of the protocol.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the .proto documents them"
)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/ve.license.v1.rs"));
}

/// These messages hold secrets (passphrases, the names of sessions) or proofs (receipts), so that printing one for
/// debugging tells its kind and nothing more.
macro_rules! secret {
    ($($message:ty),*) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message)).finish_non_exhaustive()
            }
        })*
    };
}
secret!(
    proto::Login,
    proto::HostFacts,
    proto::IdentityDocument,
    proto::Answer,
    proto::Check,
    proto::Logout,
    proto::Ping,
    proto::Pong,
    proto::Signed,
    proto::Statement
);

impl fmt::Debug for proto::statement::Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(grant) => grant.fmt(f),
            Self::Refusal(refusal) => refusal.fmt(f),
            Self::LoggedOut(_) => f.write_str("LoggedOut"),
            Self::Revoked(refusal) => write!(f, "Revoked({refusal:?})"),
        }
    }
}

/// Fresh random bytes, fit for secrets: nonces, session and run names.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
