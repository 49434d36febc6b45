//! Identifies: what machine is this.
//!
//! [`read`] looks at what an unprivileged user can see of the machine and gives a
//! [`Machine`]: for every component that a license may be bound to, the digests of its value, or
//! why there is none. Raw serial numbers never leave this crate, neither in a value nor in a
//! message nor in `Debug` output.
//!
//! One rule shapes every source: **a reading must not depend on who reads or on how hardened the
//! service is.** What one process can see and another can't is [`Reading::Unreadable`], never
//! another value and never [`Reading::Absent`], because those two count as a changed machine.
//!
//! - [`Sources`]: where to look, and on whose behalf.
//! - [`digest`]: how a value becomes a digest.
//! - [`Detected`]: the platform, and the sign that gave it away.
//! - [`container`], [`advice`]: information for people; no license depends on it.
//! - [`facts`]: what an emulator host says of itself; [`clock`]: its clocks.

mod advice;
pub mod clock;
mod container;
mod cpu;
mod detection;
mod digest;
pub mod facts;
mod file;
mod machine_id;
mod metadata;
mod mounts;
mod platform;
mod product_uuid;
mod provider;
mod root_filesystem;
mod sources;

use std::collections::BTreeMap;

use ve_core::fingerprint::{Component, Machine, Platform, Reading};

pub use advice::advice;
pub use container::{Container, container};
pub use digest::digest;
pub use metadata::MetadataError;
pub use platform::{Detected, PlatformError};
pub use product_uuid::HANDED_IN_PRODUCT_UUID;
pub use sources::Sources;

/// What was learned of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// One reading for every [`Component`].
    pub machine: Machine,
    /// The platform to write into a C2V; `None` when nothing readable tells, and nobody named one.
    pub detected: Option<Detected>,
}

/// Reads the machine, as it is now.
///
/// `named` is the platform that the operator named (`c2v --platform`, the configuration), if any;
/// one that the machine plainly contradicts is an error. Everything else that goes wrong is a
/// [`Reading`], so an odd machine still has an identity.
pub fn read(sources: &Sources, named: Option<Platform>) -> Result<Host, PlatformError> {
    let (detected, platform) = platform::read(sources, named)?;
    let readings = BTreeMap::from([
        (Component::ProductUuid, product_uuid::read(sources)),
        (Component::RootFilesystem, root_filesystem::read(sources)),
        (Component::MachineId, machine_id::read(sources)),
        (Component::CpuCores, cpu::read(sources)),
        (Component::Platform, platform),
    ]);
    Ok(Host { machine: Machine { readings }, detected })
}

/// The reading of a component with one value in one form.
fn known(component: Component, value: &str) -> Reading {
    Reading::Known(vec![digest(component, value)])
}
