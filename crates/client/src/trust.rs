//! Whether the server behind a connection is a trusted vendor's customer's, or anybody's.

use ve_core::{id::ServerKey, license::Verified, text::Name};
use ve_documents::{
    credential::{self, CredentialError},
    keys::VerifyingKey,
};
use ve_wire::limits::{MAX_CREDENTIAL_BYTES, MAX_CREDENTIALS};

/// Why a server's credentials prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Distrust {
    /// Its certificate's key is of another kind.
    #[error("the key of the server's certificate is none of a license server (Ed25519)")]
    Key,
    /// It has none.
    #[error("the server shows no credential of a trusted vendor: it has none at all")]
    NoCredential,
    /// It has copied one.
    #[error(
        "the server shows no credential of a trusted vendor: the one that it has is another server's"
    )]
    OtherKey,
    /// None holds.
    #[error("the server shows no credential of a trusted vendor: {0}")]
    Credential(CredentialError),
}

/// The customers that a trusted vendor names in credentials for the very key of the server's
/// certificate; at least one.
///
/// A credential for another key proves nothing: it can be copied from any server.
pub(crate) fn customers(
    shown: &[String],
    server_key: Option<ServerKey>,
    vendor_keys: &[VerifyingKey],
) -> Result<Vec<Name>, Distrust> {
    let server_key = server_key.ok_or(Distrust::Key)?;
    let mut customers = Vec::new();
    let mut why = Distrust::NoCredential;
    for jws in shown.iter().take(MAX_CREDENTIALS).filter(|jws| jws.len() <= MAX_CREDENTIAL_BYTES) {
        match credential::verify(jws, vendor_keys).map(Verified::into_inner) {
            Ok(credential) if credential.server_key == server_key => {
                if !customers.contains(&credential.customer) {
                    customers.push(credential.customer);
                }
            }
            Ok(_) => why = Distrust::OtherKey,
            Err(error) => why = Distrust::Credential(error),
        }
    }
    if customers.is_empty() { Err(why) } else { Ok(customers) }
}
