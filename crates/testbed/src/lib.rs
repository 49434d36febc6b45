//! Tries: real processes in a temporary folder, for tests only.
//!
//! - [`Vendor`]: a vendor's key, and licenses signed with it.
//! - [`install`], [`Server`]: a license server as an administrator runs it, to be killed and started
//!   again.
//! - [`programs`]: the programs of this workspace, as they were built for the tests.
//! - [`guest`]: an operating system for QEMU's machines.
//! - [`wait`]: until another process has done something.
//!
//! Everything here panics when the machine refuses something: that is a test that can't be made.

pub mod guest;
pub mod programs;
mod server;
mod vendor;
pub mod wait;

pub use server::{Server, install};
pub use vendor::{LicenseBuilder, Vendor, vendor};
