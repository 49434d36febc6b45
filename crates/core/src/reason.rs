//! Reason codes: every refusal has one, the same in every log, list and metric.

use alloc::string::String;
use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Defines the closed list of codes once, with the text form that users' scripts know.
macro_rules! reason_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// Why something was refused; the texts are interface and never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ReasonCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl ReasonCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

reason_codes! {
    /// No license that could serve the request is installed and valid.
    LicenseNotAvailable = "license-not-available",
    /// No section covers the virtual hardware.
    HardwareNotLicensed = "hardware-not-licensed",
    /// A passphrase that no section has, or one that is needed and not given.
    PassphraseInvalid = "passphrase-invalid",
    /// Another major version, or a minor version above the licensed one.
    VersionNotLicensed = "version-not-licensed",
    /// More virtual CPUs than licensed.
    CpuLimit = "cpu-limit",
    /// More virtual memory than licensed.
    MemoryLimit = "memory-limit",
    /// The license's release date is more than 24 hours ahead.
    NotYetValid = "not-yet-valid",
    /// The license or the section has run out.
    LicenseExpired = "license-expired",
    /// A `COUNTDOWN` license has no hours left.
    HoursExhausted = "hours-exhausted",
    /// Every instance of the section is in use.
    InstanceLimit = "instance-limit",
    /// The free seats are reserved for other hosts.
    ReservedForOthers = "reserved-for-others",
    /// The same host runs an emulator of this name already.
    DuplicateInstance = "duplicate-instance",
    /// The peer that serves in place of the home has no seat free.
    NoFreeInstanceOnPeer = "no-free-instance-on-peer",
    /// The host was retired by the administrator.
    InstanceRetired = "instance-retired",
    /// The host is not registered.
    InstanceNotRegistered = "instance-not-registered",
    /// Client and server have no protocol version in common.
    ProtocolVersionInvalid = "protocol-version-invalid",
    /// The license is bound to another machine, or this one has changed.
    BindingChanged = "binding-changed",
    /// An older version of a license than this server has seen.
    LicenseVersionRolledBack = "license-version-rolled-back",
    /// The administrator released the session.
    ReleasedByAdministrator = "released-by-administrator",
    /// The server is about to stop.
    ServerDraining = "server-draining",
    /// The server can't answer now: a limit is reached or its ledger can't be written.
    ServerBusy = "server-busy",
    /// The request breaks the protocol.
    BadRequest = "bad-request",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no known reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown reason code")]
pub struct UnknownReason;

impl FromStr for ReasonCode {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(UnknownReason)
    }
}

/// A refusal: one code, and one sentence that names the rule and the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{code}: {sentence}")]
pub struct Refusal {
    /// The rule that refused.
    pub code: ReasonCode,
    /// What happened and why, for a person; ends with a full stop.
    pub sentence: String,
}

impl Refusal {
    /// A refusal by `code`, explained by `sentence`.
    pub fn new(code: ReasonCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_code_reads_back_from_its_text() {
        for &code in ReasonCode::ALL {
            assert_eq!(code.to_string().parse(), Ok(code));
        }
    }
}
