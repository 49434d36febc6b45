//! `license_issuer` as a vendor uses it: in this process where only words matter, as a real process
//! where the system takes part.
#![allow(clippy::unwrap_used, reason = "a test that can't go on may panic")]

mod desk;
mod inspect;
mod issue;
mod keygen;
mod license_file;
mod usage;
