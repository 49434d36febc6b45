//! Documents and keys as others see them: round trips, every kind of bad input, other tools.
#![allow(clippy::unwrap_used, reason = "a test that can't go on may panic")]

mod c2v;
mod credential;
mod files;
mod forge;
mod identity;
mod key_files;
mod other_tools;
mod receipt;
mod samples;
mod v2c;
