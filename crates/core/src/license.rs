//! The license: its header, its product sections, and what makes one consistent.

use alloc::{collections::BTreeSet, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    fingerprint::{Component, Fingerprint, Platform},
    id::{Digest, LicenseId, ServerKey},
    names::closed_names,
    text::{Name, Passphrase},
    time::{HOUR_MS, MAX_DURATION_MS, Utc},
};

closed_names! {
    /// What an instance is.
    Mode {
        /// One running emulator.
        General = "general",
        /// One registered emulator host.
        AutoVe = "autove",
    }
}

impl Mode {
    /// The grace period of a license that names none, in milliseconds.
    pub const fn default_grace_ms(self) -> u64 {
        match self {
            Self::General => 2 * HOUR_MS,
            Self::AutoVe => 24 * HOUR_MS,
        }
    }
}

/// Until when a license runs; the field's word is *key type*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Until a date, or for ever (`None`).
    Normal {
        /// The first moment without a license.
        expires: Option<Utc>,
    },
    /// For a number of runtime hours.
    Countdown {
        /// The hours of this license version.
        hours: u32,
    },
}

impl KeyType {
    /// `NORMAL` or `COUNTDOWN`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal { .. } => "NORMAL",
            Self::Countdown { .. } => "COUNTDOWN",
        }
    }

    /// The licensed run time in milliseconds; `None` for `NORMAL`.
    pub const fn licensed_ms(self) -> Option<u64> {
        match self {
            Self::Normal { .. } => None,
            Self::Countdown { hours } => Some(hours as u64 * HOUR_MS),
        }
    }
}

/// How long a seat stays reserved when its connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// This many milliseconds.
    For(u64),
    /// Until its holder can't be running any more: heartbeat time-out and grace period, and 1 %.
    Grace,
}

/// The default of [`Lease::For`]: two minutes.
pub const DEFAULT_LEASE_MS: u64 = 120_000;
/// The default check interval: one hour.
pub const DEFAULT_CHECK_INTERVAL_MS: u64 = HOUR_MS;

/// The most product sections of one license.
pub const MAX_SECTIONS: usize = 256;
/// The most virtual hardware models of one section.
pub const MAX_HARDWARE: usize = 256;

/// A license, as its vendor wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// Which license; versions of one ID follow each other.
    pub id: LicenseId,
    /// 1, 2, 3 …; higher replaces lower.
    pub version: u32,
    /// Whose license.
    pub customer: Name,
    /// What it counts.
    pub mode: Mode,
    /// Until when it runs.
    pub key_type: KeyType,
    /// The platform of the server it is bound to.
    pub platform: Platform,
    /// When it was made.
    pub released: Utc,
    /// How long a client may run on after a loss, in milliseconds.
    pub grace_ms: u64,
    /// How often a client makes a full check, in milliseconds.
    pub check_interval_ms: u64,
    /// How long a left seat stays reserved.
    pub lease: Lease,
    /// The components that may change without invalidating it.
    pub tolerance: BTreeSet<Component>,
    /// The machine it is bound to.
    pub binding: Fingerprint,
    /// One digest over the binding and the server key, for the eye.
    pub fingerprint: Digest,
    /// The server key it is bound to.
    pub server_key: ServerKey,
    /// What it covers; at least one.
    pub sections: Vec<ProductSection>,
}

/// The part of a license that covers some virtual hardware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductSection {
    /// The vendor's product code.
    pub code: Name,
    /// The emulated models, at least one.
    pub virtual_hardware: Vec<Name>,
    /// The section's own end; `None`: with the license.
    pub expires: Option<Utc>,
    /// The one major version.
    pub major: u32,
    /// The highest minor version.
    pub minor: u32,
    /// The most virtual CPUs of one instance.
    pub max_cpu: u32,
    /// The most virtual memory of one instance, in MB.
    pub max_memory_mb: u64,
    /// How many seats.
    pub instances: u32,
    /// A secret that a client must know to get a seat here.
    pub passphrase: Option<Passphrase>,
}

impl ProductSection {
    /// Whether the section names this virtual hardware, in any case.
    pub fn covers(&self, hardware: &Name) -> bool {
        self.virtual_hardware.iter().any(|licensed| licensed.matches(hardware))
    }
}

/// Why a license is none: the vendor's mistake, whoever hands it in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LicenseError {
    /// A field's value is outside what it may hold.
    #[error("{field} must be {rule}")]
    OutOfRange {
        /// The field, as the license file names it.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// AutoVE counts hosts, whatever they emulate.
    #[error("all sections of an AutoVE license must have the same number of instances")]
    UnequalInstances,
    /// A model is named twice in one section.
    #[error("virtual hardware {0} is named twice in one section")]
    HardwareTwice(Name),
}

impl License {
    /// Checks what no single field can: ranges, and rules between fields.
    pub fn check(&self) -> Result<(), LicenseError> {
        let in_range = |field, rule, holds: bool| {
            if holds { Ok(()) } else { Err(LicenseError::OutOfRange { field, rule }) }
        };
        in_range("version", "at least 1", self.version >= 1)?;
        let duration = "between 1s and 3650d";
        let is_duration = |duration_ms| (1_000..=MAX_DURATION_MS).contains(&duration_ms);
        in_range("grace", duration, is_duration(self.grace_ms))?;
        in_range("check_interval", duration, is_duration(self.check_interval_ms))?;
        if let Lease::For(lease_ms) = self.lease {
            in_range("lease", duration, is_duration(lease_ms))?;
        }
        if let KeyType::Countdown { hours } = self.key_type {
            in_range("hours", "between 1 and 1000000", (1..=1_000_000).contains(&hours))?;
        }
        in_range(
            "product",
            "given 1 to 256 times",
            (1..=MAX_SECTIONS).contains(&self.sections.len()),
        )?;
        self.sections.iter().try_for_each(ProductSection::check)?;
        let instances: BTreeSet<u32> =
            self.sections.iter().map(|section| section.instances).collect();
        if self.mode == Mode::AutoVe && instances.len() > 1 {
            return Err(LicenseError::UnequalInstances);
        }
        Ok(())
    }

    /// How long a seat stays reserved after its holder's last proof of life, in milliseconds.
    ///
    /// `heartbeat_timeout_ms` is how long the holder may take to notice the loss itself.
    pub fn lease_ms(&self, heartbeat_timeout_ms: u64) -> u64 {
        match self.lease {
            Lease::For(lease_ms) => lease_ms,
            Lease::Grace => (heartbeat_timeout_ms + self.grace_ms).saturating_mul(101) / 100,
        }
    }
}

impl ProductSection {
    fn check(&self) -> Result<(), LicenseError> {
        let in_range = |field, rule, holds: bool| {
            if holds { Ok(()) } else { Err(LicenseError::OutOfRange { field, rule }) }
        };
        let models = self.virtual_hardware.len();
        in_range(
            "virtual_hardware",
            "a list of 1 to 256 models",
            (1..=MAX_HARDWARE).contains(&models),
        )?;
        in_range("max_cpu", "between 1 and 65536", (1..=65_536).contains(&self.max_cpu))?;
        in_range(
            "max_memory_mb",
            "between 1 and 1099511627776",
            (1..=1 << 40).contains(&self.max_memory_mb),
        )?;
        in_range("instances", "between 1 and 1000000", (1..=1_000_000).contains(&self.instances))?;
        let mut seen = BTreeSet::new();
        match self.virtual_hardware.iter().find(|name| !seen.insert(name.as_str().to_lowercase())) {
            Some(twice) => Err(LicenseError::HardwareTwice(twice.clone())),
            None => Ok(()),
        }
    }
}

/// A license whose signature was checked against a vendor key that is trusted here.
///
/// `core` can't check signatures, so it takes the word of whoever makes one: [`Verified::vouch`]
/// is called by the `documents` crate after a successful verification, and by tests. The `tidy`
/// test holds that line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Promises that `value` came out of a successful verification.
    pub const fn vouch(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> core::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What a vendor says of a server, and all that goes over the wire before login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Whose server.
    pub customer: Name,
    /// By which license.
    pub license_id: LicenseId,
    /// What that license counts.
    pub mode: Mode,
    /// The key that the server must show in its TLS certificate.
    pub server_key: ServerKey,
}

/// A version of an emulator product, `major.minor` and whatever follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Name", into = "Name")]
pub struct ProductVersion {
    text: Name,
    major: u32,
    minor: u32,
}

/// The text is no product version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a version starts with two numbers, such as 4.1.32")]
pub struct VersionError;

impl ProductVersion {
    /// The number before the first dot.
    pub const fn major(&self) -> u32 {
        self.major
    }

    /// The number after the first dot; 0 when there is none.
    pub const fn minor(&self) -> u32 {
        self.minor
    }
}

impl TryFrom<Name> for ProductVersion {
    type Error = VersionError;

    fn try_from(text: Name) -> Result<Self, Self::Error> {
        let mut numbers = text.as_str().split('.');
        let major = number(numbers.next().unwrap_or_default())?;
        let minor = numbers.next().map_or(Ok(0), number)?;
        Ok(Self { text, major, minor })
    }
}

/// Digits only: the standard parser would take a sign as well.
fn number(text: &str) -> Result<u32, VersionError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(VersionError);
    }
    text.parse().map_err(|_| VersionError)
}

impl From<ProductVersion> for Name {
    fn from(version: ProductVersion) -> Self {
        version.text
    }
}

impl fmt::Display for ProductVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// A section named for the eye: product code and models, `Charon-SSP/ALL (Charon-SSP/4M,…)`.
pub fn section_title(section: &ProductSection) -> String {
    let models: Vec<&str> = section.virtual_hardware.iter().map(Name::as_str).collect();
    alloc::format!("{} ({})", section.code, models.join(","))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn versions_start_with_two_numbers() {
        let parse = |text: &str| ProductVersion::try_from(text.parse::<Name>().expect("a name"));
        let version = parse("4.1.32").expect("a version");
        assert_eq!(
            (version.major(), version.minor(), version.to_string()),
            (4, 1, "4.1.32".to_string())
        );
        assert_eq!(parse("5").map(|v| v.minor()), Ok(0));
        for wrong in ["v4.1", "4.x", ".1", "4.", "-1.2", "+4.1", "99999999999.1"] {
            assert_eq!(parse(wrong), Err(VersionError), "{wrong}");
        }
    }
}
