//! Proves: V2C, C2V and credentials as signed documents; keys.
//!
//! Everything here is a file or a text that crosses a trust boundary. A document is a compact JWS
//! (RFC 7515) with `alg` `EdDSA` and nothing else, so any JOSE library can check one; the formats are
//! written down in `docs/documents.md`. What passes a `verify` function comes out as
//! [`ve_core::license::Verified`] or, for a C2V, as the plain value: no other crate makes one.
//!
//! - [`keys`]: Ed25519 keys; [`key_files`]: the PEM files that hold them.
//! - [`v2c`], [`credential`], [`c2v`], [`receipt`]: the documents; [`jws`]: the envelope they share.
//! - [`identity`]: what cloud providers sign of their machines.
//! - [`files`]: reading with a limit, writing all or nothing.

pub mod c2v;
mod certificate;
pub mod credential;
pub mod files;
pub mod identity;
pub mod jws;
pub mod key_files;
pub mod keys;
pub mod receipt;
pub mod strict_json;
pub mod v2c;

mod fingerprint;
mod key_encryption;
mod license_json;

pub use fingerprint::license_fingerprint;
