//! The kind of machine: what it shows, and what the operator says it is.

use thiserror::Error;
use ve_core::fingerprint::{Component, Platform, Reading};

use crate::{
    Sources,
    detection::{self, Signs},
    digest, known,
};

/// The platform that a C2V names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The platform: the one the operator named, else the one that the machine shows.
    pub platform: Platform,
    /// Why it is taken to be that, as one sentence.
    pub evidence: String,
}

/// The operator named a platform that the machine plainly contradicts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlatformError {
    /// A virtual platform on a machine without a hypervisor.
    #[error(
        "the platform {named} is a virtual machine, but this machine shows no hypervisor: \
         {evidence}. Name no platform, or \"physical\"."
    )]
    NotVirtual {
        /// What the operator named.
        named: Platform,
        /// What the machine shows.
        evidence: String,
    },
    /// `physical` on a virtual machine.
    #[error(
        "the platform can't be \"physical\": this is a virtual machine ({evidence}). Name no \
         platform, or the one that it runs on."
    )]
    NotPhysical {
        /// What the machine shows.
        evidence: String,
    },
}

/// The platform for a C2V, and the reading that licenses are compared with.
///
/// So far nothing tells one hypervisor or cloud from another, so a virtual machine may be any of
/// the virtual platforms: the reading knows them all, the named one first, else `kvm`. Therefore a
/// license for a platform that was named once, for the C2V, stays valid on a server that is not
/// told the name. A license for `physical` is never valid on a virtual machine, nor the reverse.
pub(crate) fn read(
    sources: &Sources,
    named: Option<Platform>,
) -> Result<(Option<Detected>, Reading), PlatformError> {
    let signs = detection::signs(sources);
    let platform = match (&signs, named) {
        (Signs::Virtual(evidence), Some(Platform::Physical)) => {
            return Err(PlatformError::NotPhysical { evidence: evidence.clone() });
        }
        (Signs::Physical(evidence), Some(named)) if named != Platform::Physical => {
            return Err(PlatformError::NotVirtual { named, evidence: evidence.clone() });
        }
        (_, Some(named)) => named,
        (Signs::Virtual(_), None) => Platform::Kvm,
        (Signs::Physical(_), None) => Platform::Physical,
        (Signs::Unknown(why), None) => return Ok((None, unknown(why))),
    };
    Ok((Some(Detected { platform, evidence: sentence(&signs, named) }), reading(platform)))
}

fn unknown(why: &str) -> Reading {
    Reading::Unreadable(format!(
        "Whether this is a virtual machine is not known: {why}. Name the platform, if a license \
         should be bound to it."
    ))
}

fn sentence(signs: &Signs, named: Option<Platform>) -> String {
    let shown = match signs {
        Signs::Virtual(sign) => format!("This is a virtual machine: {sign}."),
        Signs::Physical(why) => format!("There is no sign of a hypervisor: {why}."),
        Signs::Unknown(why) => format!("The machine itself doesn't tell: {why}."),
    };
    named.map_or(shown.clone(), |named| format!("The operator named {named}. {shown}"))
}

fn reading(platform: Platform) -> Reading {
    if platform == Platform::Physical {
        return known(Component::Platform, platform.as_str());
    }
    let others =
        Platform::ALL.iter().filter(|&&other| other != platform && other != Platform::Physical);
    let platforms = std::iter::once(&platform).chain(others);
    Reading::Known(platforms.map(|name| digest(Component::Platform, name.as_str())).collect())
}
