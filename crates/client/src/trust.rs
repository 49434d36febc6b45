//! Whether the server behind a connection is the vendor's customer's, or anybody.

use ve_core::{id::ServerKey, license::Credential};
use ve_documents::{credential, keys::VerifyingKey};
use ve_wire::limits::{MAX_CREDENTIAL_BYTES, MAX_CREDENTIALS};

/// The credential that a trusted vendor gave to the very key of the server's certificate.
///
/// A credential for another key proves nothing: it can be copied from any server.
pub(crate) fn find_credential(
    shown: &[String],
    server_key: ServerKey,
    vendor_keys: &[VerifyingKey],
) -> Option<Credential> {
    let readable = shown.iter().take(MAX_CREDENTIALS).filter(|jws| jws.len() <= MAX_CREDENTIAL_BYTES);
    let verified = readable.filter_map(|jws| credential::verify(jws, vendor_keys).ok());
    verified.map(ve_core::license::Verified::into_inner).find(|credential| credential.server_key == server_key)
}
