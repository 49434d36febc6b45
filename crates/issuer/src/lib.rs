//! Signs: `license_issuer`, the vendor's tool; never shipped with the server.
//!
//! - [`cli`]: the command line; it alone reads the clock and chooses exit codes.
//! - [`keygen`], [`issue`], [`inspect`]: the three commands.
//! - [`license_file`]: `L.toml`; [`warnings`]: what a vendor should look at twice; [`show`]: documents
//!   for the eye.

pub mod cli;
pub mod exit;
pub mod inspect;
pub mod issue;
pub mod keygen;
pub mod license_file;
pub mod show;
pub mod warnings;

pub use cli::run;
