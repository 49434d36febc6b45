//! A server to tell stories about.

mod facts;
mod ledger;
mod license;
mod login;
mod registry;
mod server;

pub(crate) use facts::{FactsBuilder, facts};
pub(crate) use ledger::{Disk, fold};
pub(crate) use license::{LicenseBuilder, SectionBuilder, digest, license, section};
pub(crate) use login::{LoginBuilder, emulator, session_id};
pub(crate) use registry::RegistryFile;
pub(crate) use server::{HEARTBEAT_TIMEOUT_MS, Server, WALL_AT_START, machine, witness};

use ve_core::{
    grant::Grant,
    node::io::Answer,
    reason::{ReasonCode, Refusal},
    text::Name,
};

/// A name that is known to be one.
pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// What an answer says, for assertions.
pub(crate) trait Outcome {
    /// The grant; panics on anything else.
    fn granted(self) -> Grant;
    /// The refusal; panics on anything else.
    fn refused(self) -> Refusal;
    /// The refusal's code; panics on anything else.
    fn code(self) -> ReasonCode;
}

impl Outcome for Option<Answer> {
    #[track_caller]
    fn granted(self) -> Grant {
        match self {
            Some(Answer::Granted(grant)) => grant,
            other => panic!("expected a grant, got {other:?}"),
        }
    }

    #[track_caller]
    fn refused(self) -> Refusal {
        match self {
            Some(Answer::Refused(refusal)) => refusal,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[track_caller]
    fn code(self) -> ReasonCode {
        self.refused().code
    }
}
