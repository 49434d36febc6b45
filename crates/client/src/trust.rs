//! Whether the server behind a connection is a trusted vendor's customer's, or anybody's.

use ve_core::{
    id::{LicenseId, ServerKey},
    license::{Credential, Mode, Verified},
    text::Name,
};
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

/// What a trusted vendor says of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trusted {
    /// Whose server it is; at least one.
    pub(crate) customers: Vec<Name>,
    /// Its licenses.
    pub(crate) licenses: Vec<LicenseId>,
    /// Whether one of them counts hosts (AutoVE).
    pub(crate) counts_hosts: bool,
}

impl Trusted {
    fn add(&mut self, credential: Credential) {
        if !self.customers.contains(&credential.customer) {
            self.customers.push(credential.customer);
        }
        self.licenses.push(credential.license_id);
        self.counts_hosts |= credential.mode == Mode::AutoVe;
    }
}

/// What a trusted vendor says in credentials for the very key of the server's certificate.
///
/// A credential for another key proves nothing: it can be copied from any server.
pub(crate) fn judge(
    shown: &[String],
    server_key: Option<ServerKey>,
    vendor_keys: &[VerifyingKey],
) -> Result<Trusted, Distrust> {
    let server_key = server_key.ok_or(Distrust::Key)?;
    let mut trusted = Trusted::default();
    let mut why = Distrust::NoCredential;
    for jws in shown.iter().take(MAX_CREDENTIALS).filter(|jws| jws.len() <= MAX_CREDENTIAL_BYTES) {
        match credential::verify(jws, vendor_keys).map(Verified::into_inner) {
            Ok(credential) if credential.server_key == server_key => trusted.add(credential),
            Ok(_) => why = Distrust::OtherKey,
            Err(error) => why = Distrust::Credential(error),
        }
    }
    if trusted.customers.is_empty() { Err(why) } else { Ok(trusted) }
}
