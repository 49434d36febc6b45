//! The emulator's log: what the operator reads and scripts watch, to the letter.
//!
//! The license client tells [`LogEvent`]s; a style turns each into lines ([`ssp`], [`par`], [`json`]:
//! pure functions); [`LogWriter`] puts the time in front and writes them where [`LogPlace`] says.

mod event;
mod json;
mod par;
mod place;
mod rotate;
mod ssp;
mod writer;

pub use event::{Level, LicenseFacts, Line, LogEvent, LossReason, ServerRole, ShutdownReason};
pub use place::LogPlace;
pub use rotate::OpenError;
pub use writer::{Clock, LogWriter};
