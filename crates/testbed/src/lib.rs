//! Tries: real processes in a temporary folder, for tests only.
//!
//! - [`Vendor`]: a vendor's key, and licenses signed with it.
//! - [`Provider`]: a cloud that signs documents about its machines.
//! - [`install`], [`Server`]: a license server as an administrator runs it, to be killed and started
//!   again.
//! - [`programs`]: the programs of this workspace, as they were built for the tests.
//! - [`Network`]: hosts of their own, whose cables can be cut; [`Far`]: a server that is far away.
//! - [`guest`]: an operating system for QEMU's machines.
//! - [`skip`]: tests that a machine doesn't allow.
//! - [`wait`]: until another process has done something.
//!
//! Everything here panics when the machine refuses something: that is a test that can't be made.

mod far;
pub mod guest;
mod network;
pub mod programs;
mod provider;
mod server;
mod skip;
mod vendor;
pub mod wait;

pub use far::Far;
pub use network::{Host, Network};
pub use provider::{MachineDocument, Provider};
pub use server::{Server, install};
pub use skip::skip;
pub use vendor::{LicenseBuilder, Vendor, vendor};
