//! Runs: ve-emulator, QEMU or any command under a license.
//!
//! - [`run`]: the wiring, in the order in which things happen; [`cli`]: the command line.
//! - [`vm_file`]: what the operator wrote; everything else takes its settings from there.
//! - [`engine`]: starts the guest, asks it to shut down, stops it.
//! - [`log`]: what the operator reads, in the forms that scripts know.

mod check;
pub mod cli;
pub mod engine;
pub mod exit;
mod hooks;
pub mod log;
pub mod run;
mod signals;
mod state;
mod told;
pub mod vm_file;
