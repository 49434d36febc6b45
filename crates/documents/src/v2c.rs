//! A V2C: a license on its way from vendor to customer.

use std::fmt;

use thiserror::Error;
use ve_core::{
    id::LicenseId,
    license::{License, LicenseError, Verified},
};

use crate::{
    credential::{self, CredentialError},
    files::MAX_DOCUMENT_BYTES,
    fingerprint::license_fingerprint,
    jws::{self, DocumentType, Envelope, JwsError},
    keys::{KeyId, SigningKey, VerifyingKey},
    license_json,
    strict_json::Malformed,
};

pub use crate::license_json::{Passphrases, to_json};

/// A V2C whose signature, contents and embedded credential were checked.
#[derive(Clone)]
pub struct V2c {
    /// The license.
    pub license: Verified<License>,
    /// The server credential that it carries, to be shown to clients.
    pub credential_jws: String,
    /// The vendor key that signed it.
    pub kid: KeyId,
    /// The document as it was signed, without a newline at its end.
    pub text: String,
}

/// The document's text holds its passphrases, so it is not printed.
impl fmt::Debug for V2c {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("V2c");
        fields.field("license", &self.license).field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// What a V2C says, when no one vouches for it: for showing only.
#[derive(Debug, Clone)]
pub struct UnverifiedV2c {
    /// The license, as claimed.
    pub license: License,
    /// The vendor key that is said to have signed it.
    pub kid: KeyId,
}

/// Why a V2C is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum V2cError {
    /// The document itself is broken, changed after signing or of another kind.
    #[error("this license file is not accepted: {0}")]
    Document(#[from] JwsError),
    /// Signed by a vendor that is not trusted here.
    #[error(
        "license {id} version {version} is signed with vendor key {kid}, and vendor key {kid} is \
         not trusted here; add that vendor's public key to vendor.pub if it should be"
    )]
    UntrustedSigner {
        /// The key that it names.
        kid: KeyId,
        /// The license that it claims to be.
        id: LicenseId,
        /// The version that it claims to be.
        version: u32,
    },
    /// A field is missing, unknown, doubled or wrong: the vendor's tool is at fault.
    #[error("this license file is malformed: {0}; ask the vendor for a new one")]
    Malformed(#[from] Malformed),
    /// The license breaks a rule: the vendor is at fault.
    #[error("this license is invalid: {0}; ask the vendor for a new one")]
    License(#[from] LicenseError),
    /// The license's fingerprint is not that of its binding and server key.
    #[error("this license's fingerprint is not that of its binding; ask the vendor for a new one")]
    Fingerprint,
    /// The embedded credential can't be accepted.
    #[error("this license carries no valid credential ({0}); ask the vendor for a new one")]
    Credential(CredentialError),
    /// The embedded credential is signed with another key, or speaks of another license.
    #[error("this license carries the credential of another license; ask the vendor for a new one")]
    ForeignCredential,
}

/// Why a license can't be signed: the vendor's input is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// The license breaks a rule.
    #[error(transparent)]
    License(#[from] LicenseError),
    /// The license's fingerprint is not that of its binding and server key.
    #[error("the fingerprint is not that of the binding and the server key")]
    Fingerprint,
    /// The document would be larger than any server reads.
    #[error(
        "the license would be larger than {MAX_DOCUMENT_BYTES} bytes; name fewer models or split it"
    )]
    TooLarge,
}

/// Signs a license, with its credential, as a V2C (without a newline at its end).
pub fn sign(license: &License, key: &SigningKey) -> Result<String, SignError> {
    license.check()?;
    if license.fingerprint != license_fingerprint(&license.binding, &license.server_key) {
        return Err(SignError::Fingerprint);
    }
    let credential = credential::sign(&credential::of_license(license), key);
    let kid = key.verifying_key().kid().as_str().into();
    let payload = license_json::write(license, &credential);
    let text = jws::sign(DocumentType::V2c, ("kid", kid), &payload, key);
    // One byte is left for the newline that ends a file.
    if text.len() < MAX_DOCUMENT_BYTES { Ok(text) } else { Err(SignError::TooLarge) }
}

/// Checks a V2C against the vendor keys that are trusted here: signature, form, rules, fingerprint
/// and embedded credential. Whether it fits this server is not looked at.
pub fn verify(text: &str, trusted: &[VerifyingKey]) -> Result<V2c, V2cError> {
    let mut envelope = open(text)?;
    let kid = envelope.kid()?;
    let Some(key) = trusted.iter().find(|key| *key.kid() == kid) else {
        let (license, _) = license_json::read(&envelope.payload)?;
        return Err(V2cError::UntrustedSigner { kid, id: license.id, version: license.version });
    };
    envelope.verify(|message, signature| key.verify(message, signature))?;
    let (license, credential_jws) = license_json::read(&envelope.payload)?;
    check(&license)?;
    let credential = credential::verify(&credential_jws, std::slice::from_ref(key))
        .map_err(V2cError::Credential)?;
    if *credential != credential::of_license(&license) {
        return Err(V2cError::ForeignCredential);
    }
    let text = envelope.text.to_string();
    Ok(V2c { license: Verified::vouch(license), credential_jws, kid, text })
}

/// Reads a V2C without checking its signature: to show what a file claims, never to act on it. Form
/// and rules are checked all the same.
pub fn read_unverified(text: &str) -> Result<UnverifiedV2c, V2cError> {
    let mut envelope = open(text)?;
    let kid = envelope.kid()?;
    let (license, credential_jws) = license_json::read(&envelope.payload)?;
    check(&license)?;
    let (credential, credential_kid) =
        credential::read_unverified(&credential_jws).map_err(V2cError::Credential)?;
    if credential != credential::of_license(&license) || credential_kid != kid {
        return Err(V2cError::ForeignCredential);
    }
    Ok(UnverifiedV2c { license, kid })
}

fn open(text: &str) -> Result<Envelope<'_>, JwsError> {
    Envelope::open(text, MAX_DOCUMENT_BYTES)?.expect(DocumentType::V2c)
}

fn check(license: &License) -> Result<(), V2cError> {
    license.check()?;
    if license.fingerprint == license_fingerprint(&license.binding, &license.server_key) {
        Ok(())
    } else {
        Err(V2cError::Fingerprint)
    }
}
