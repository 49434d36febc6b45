//! A server credential: what a vendor says of a server, and all that goes over the wire before login.

use serde_json::json;
use thiserror::Error;
use ve_core::license::{Credential, License, Verified};

use crate::{
    jws::{self, DocumentType, Envelope, JwsError},
    keys::{KeyId, SigningKey, VerifyingKey},
    strict_json::{Malformed, Object},
};

/// The largest credential that is read, in bytes (4 KiB).
pub const MAX_CREDENTIAL_BYTES: usize = 4096;

/// Why a server credential is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// The document itself is broken, changed or of another kind: the server's or the network's fault.
    #[error("the server's credential is not accepted: {0}")]
    Document(#[from] JwsError),
    /// Signed by a vendor that is not trusted here.
    #[error(
        "the server's credential is signed with vendor key {kid}, which is not trusted here; \
         add that vendor's public key to the trusted keys if it should be"
    )]
    UntrustedSigner {
        /// The key that it names.
        kid: KeyId,
    },
    /// The signature holds, but the vendor signed something that is no credential.
    #[error("the server's credential is malformed: {0}")]
    Malformed(#[from] Malformed),
}

/// Makes the credential of the server that `license` is bound to.
pub fn sign(credential: &Credential, key: &SigningKey) -> String {
    let payload = json!({
        "customer": credential.customer,
        "license_id": credential.license_id,
        "mode": credential.mode,
        "server_key": credential.server_key,
    });
    let kid = key.verifying_key().kid().as_str().into();
    jws::sign(DocumentType::Credential, ("kid", kid), &payload, key)
}

/// The credential that belongs to a license.
pub fn of_license(license: &License) -> Credential {
    Credential {
        customer: license.customer.clone(),
        license_id: license.id.clone(),
        mode: license.mode,
        server_key: license.server_key,
    }
}

/// Checks a credential against the vendor keys that are trusted here. That the server has the key
/// which the credential names is for the caller to check, with TLS.
pub fn verify(
    jws: &str,
    trusted: &[VerifyingKey],
) -> Result<Verified<Credential>, CredentialError> {
    let mut envelope = open(jws)?;
    let kid = envelope.kid()?;
    let Some(key) = trusted.iter().find(|key| *key.kid() == kid) else {
        return Err(CredentialError::UntrustedSigner { kid });
    };
    envelope.verify(|message, signature| key.verify(message, signature))?;
    Ok(Verified::vouch(read_payload(&envelope.payload)?))
}

/// What a credential says and which key it names, with nothing verified.
pub(crate) fn read_unverified(jws: &str) -> Result<(Credential, KeyId), CredentialError> {
    let mut envelope = open(jws)?;
    let kid = envelope.kid()?;
    Ok((read_payload(&envelope.payload)?, kid))
}

fn open(jws: &str) -> Result<Envelope<'_>, JwsError> {
    Envelope::open(jws, MAX_CREDENTIAL_BYTES)?.expect(DocumentType::Credential)
}

fn read_payload(payload: &[u8]) -> Result<Credential, Malformed> {
    let mut fields = Object::parse(payload)?;
    let credential = Credential {
        customer: fields.required("customer")?.parsed()?,
        license_id: fields.required("license_id")?.parsed()?,
        mode: fields.required("mode")?.parsed()?,
        server_key: fields.required("server_key")?.parsed()?,
    };
    fields.finish()?;
    Ok(credential)
}
