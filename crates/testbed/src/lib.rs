//! Tries: real processes in a temporary folder, for tests only.
//!
//! - [`Vendor`]: a vendor's key, and licenses signed with it.
//! - [`programs`]: the programs of this workspace, as they were built for the tests.
//!
//! Everything here panics when the machine refuses something: that is a test that can't be made.

pub mod programs;
mod vendor;

pub use vendor::{LicenseBuilder, Vendor, vendor};
