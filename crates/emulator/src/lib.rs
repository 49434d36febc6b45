//! Runs: ve-emulator, QEMU or any command under a license.
//!
//! - [`vm_file`]: what the operator wrote; everything else takes its settings from there.
//! - [`engine`]: starts the guest, asks it to shut down, stops it.
//! - [`log`]: what the operator reads, in the forms that scripts know.

pub mod engine;
pub mod log;
pub mod vm_file;
