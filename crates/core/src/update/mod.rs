//! What a newer version of an installed license may change, and what it does change.

use alloc::string::{String, ToString};

use thiserror::Error;

use crate::{
    id::LicenseId,
    license::{License, Mode},
    reason::{ReasonCode, Refusal},
};

mod fields;

pub use fields::{
    Change, Field, Value, changes, expiration, header_fields, section_fields, spoken_minutes,
};

/// What installing a license would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The first of its ID here.
    New,
    /// In place of an earlier version.
    Update {
        /// The version that is installed.
        from_version: u32,
    },
    /// The very license that is installed: nothing to do.
    Nothing,
}

/// Why a license can't be installed. Nothing but another file from the vendor helps.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpdateError {
    /// A lower version than one that was installed here before.
    #[error(
        "license {id} version {version} is older than version {seen}, which was installed here \
         before; ask the vendor for version {} or higher", seen.saturating_add(1)
    )]
    RolledBack {
        /// Which license.
        id: LicenseId,
        /// The file's version.
        version: u32,
        /// The highest version seen here.
        seen: u32,
    },
    /// The installed version with other contents.
    #[error(
        "license {id} version {version} is installed already with other contents; ask the vendor \
         for a file with a higher version"
    )]
    SameVersion {
        /// Which license.
        id: LicenseId,
        /// The version of both.
        version: u32,
    },
    /// A field that stays the same for all versions of one license ID.
    #[error(
        "an update of license {id} can't change its {field} from {before} to {after}; ask the \
         vendor for a file with a license ID of its own"
    )]
    Fixed {
        /// Which license.
        id: LicenseId,
        /// The field, in words.
        field: &'static str,
        /// The installed value.
        before: String,
        /// The file's value.
        after: String,
    },
    /// General and `AutoVE` licenses count different things.
    #[error(
        "license {id} is for {mode} mode, and license {other} for {other_mode} mode is installed; \
         one server serves one mode: remove {other} first, or use another server"
    )]
    OtherMode {
        /// The file's license.
        id: LicenseId,
        /// Its mode.
        mode: Mode,
        /// The installed one.
        other: LicenseId,
        /// Its mode.
        other_mode: Mode,
    },
    /// A server serves one AutoVE license.
    #[error(
        "license {id} is for AutoVE mode, and AutoVE license {other} is installed; one server \
         serves one AutoVE license: remove {other} first, and its hosts go over to {id}"
    )]
    SecondAutoVe {
        /// The file's license.
        id: LicenseId,
        /// The installed one.
        other: LicenseId,
    },
    /// It could never be valid here, whatever time brings.
    #[error("{0} Nothing was installed; ask the vendor for a license made from this server's C2V.")]
    NeverValid(Refusal),
}

impl UpdateError {
    /// The reason code, where there is one for the rule.
    pub const fn reason(&self) -> Option<ReasonCode> {
        match self {
            Self::RolledBack { .. } => Some(ReasonCode::LicenseVersionRolledBack),
            Self::NeverValid(refusal) => Some(refusal.code),
            Self::SameVersion { .. }
            | Self::Fixed { .. }
            | Self::OtherMode { .. }
            | Self::SecondAutoVe { .. } => None,
        }
    }
}

/// What is known of the server that a license is to be installed on.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// All licenses that are installed and trusted.
    pub installed: &'a [&'a License],
    /// The highest version of the new license's ID that was ever seen here.
    pub seen_version: Option<u32>,
    /// How the new license would stand here, by [`crate::node::Node`].
    pub standing: &'a Result<(), Refusal>,
}

/// Decides whether `new` may be installed, and what that would be.
///
/// An update may not change platform or customer and never lowers the version. A license that is
/// bound to another server or machine is refused here already; one that has merely expired is not,
/// because a clock may be wrong.
pub fn check(new: &License, site: &Site<'_>) -> Result<Step, UpdateError> {
    let installed = site.installed.iter().find(|license| license.id == new.id);
    if installed.is_some_and(|installed| **installed == *new) {
        return Ok(Step::Nothing);
    }
    never_valid(site.standing)?;
    let before = installed.map(|license| license.version);
    not_older(new, before.max(site.seen_version))?;
    one_mode(new, site.installed)?;
    let Some(installed) = installed else { return Ok(Step::New) };
    if installed.version == new.version {
        return Err(UpdateError::SameVersion { id: new.id.clone(), version: new.version });
    }
    same(new, "customer", &installed.customer, &new.customer)?;
    same(new, "platform", &installed.platform, &new.platform)?;
    Ok(Step::Update { from_version: installed.version })
}

fn never_valid(standing: &Result<(), Refusal>) -> Result<(), UpdateError> {
    match standing {
        Err(refusal) if refusal.code == ReasonCode::BindingChanged => {
            Err(UpdateError::NeverValid(refusal.clone()))
        }
        _ => Ok(()),
    }
}

fn not_older(new: &License, seen: Option<u32>) -> Result<(), UpdateError> {
    match seen {
        Some(seen) if new.version < seen => {
            Err(UpdateError::RolledBack { id: new.id.clone(), version: new.version, seen })
        }
        _ => Ok(()),
    }
}

fn one_mode(new: &License, installed: &[&License]) -> Result<(), UpdateError> {
    let other = installed.iter().find(|other| other.id != new.id && other.mode != new.mode);
    match other {
        Some(other) => Err(UpdateError::OtherMode {
            id: new.id.clone(),
            mode: new.mode,
            other: other.id.clone(),
            other_mode: other.mode,
        }),
        None => one_autove(new, installed),
    }
}

fn one_autove(new: &License, installed: &[&License]) -> Result<(), UpdateError> {
    let other = installed.iter().find(|other| other.id != new.id && other.mode == Mode::AutoVe);
    match other.filter(|_| new.mode == Mode::AutoVe) {
        Some(other) => {
            Err(UpdateError::SecondAutoVe { id: new.id.clone(), other: other.id.clone() })
        }
        None => Ok(()),
    }
}

fn same<T: PartialEq + ToString>(
    new: &License,
    field: &'static str,
    before: &T,
    after: &T,
) -> Result<(), UpdateError> {
    if before == after {
        return Ok(());
    }
    let (before, after) = (before.to_string(), after.to_string());
    Err(UpdateError::Fixed { id: new.id.clone(), field, before, after })
}

#[cfg(test)]
mod tests;
