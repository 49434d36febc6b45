//! A receipt: what a server signs for an emulator host that is registered.
//!
//! It carries its issuer's credential, so either of two peers can check the other's receipts without
//! having met it.

use serde_json::json;
use thiserror::Error;
use ve_core::{
    license::{Credential, Mode, Verified},
    registry::{Receipt, entry::MAX_REVISION},
};

use crate::{
    credential::{self, CredentialError},
    jws::{self, DocumentType, Envelope, JwsError},
    keys::{self, KeyId, SigningKey, VerifyingKey},
    license_json::read_date,
    strict_json::{Malformed, Object},
};

/// The largest receipt that is read, in bytes. One with the longest customer name fits.
pub const MAX_RECEIPT_BYTES: usize = 2_048;

/// Why a receipt is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// The document itself is broken, changed or of another kind.
    #[error("the receipt is not accepted: {0}")]
    Document(#[from] JwsError),
    /// A field is missing, unknown, doubled or wrong.
    #[error("the receipt is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// No trusted vendor vouches for the server that signed it.
    #[error("the receipt's issuer is not trusted: {0}")]
    Issuer(#[from] CredentialError),
    /// The credential inside is another server's, customer's or license's.
    #[error("the receipt and the credential inside speak of different servers ({field})")]
    ForeignCredential {
        /// The field in which they differ.
        field: &'static str,
    },
}

/// A receipt that nobody has checked: what it claims, and which server it says has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// What it claims.
    pub receipt: Receipt,
    /// What the credential inside claims of the issuer.
    pub issuer: Credential,
}

/// Signs a receipt with the issuer's server key. `credential` is the issuer's own, a compact JWS.
pub fn sign(receipt: &Receipt, credential: &str, key: &SigningKey) -> String {
    let payload = json!({
        "host": receipt.host,
        "customer": receipt.customer,
        "issuer": receipt.issuer,
        "home": receipt.home,
        "revision": receipt.revision,
        "registered": receipt.registered.to_string(),
        "credential": credential,
    });
    let kid = key.verifying_key().kid().as_str().into();
    jws::sign(DocumentType::Receipt, ("kid", kid), &payload, key)
}

/// Checks a receipt: that the server which its credential names has signed it, and that a vendor who
/// is trusted here has signed that credential, for this customer and issuer. Whether the receipt is
/// this host's, and the issuer one that counts here, is for the caller.
pub fn verify(jws: &str, trusted: &[VerifyingKey]) -> Result<Verified<Receipt>, ReceiptError> {
    let (envelope, kid) = open(jws)?;
    let (receipt, credential) = read_payload(&envelope.payload)?;
    let issuer = credential::verify(&credential, trusted)?.into_inner();
    belongs(&receipt, &issuer, &kid)?;
    envelope.verify(|message, signature| keys::verify(&issuer.server_key, message, signature))?;
    Ok(Verified::vouch(receipt))
}

/// What a receipt claims, with no signature checked: for a host that looks for its own receipt among
/// its files, never to act on it.
pub fn read_unverified(jws: &str) -> Result<Unverified, ReceiptError> {
    let (envelope, kid) = open(jws)?;
    let (receipt, credential) = read_payload(&envelope.payload)?;
    let (issuer, _) = credential::read_unverified(&credential)?;
    belongs(&receipt, &issuer, &kid)?;
    Ok(Unverified { receipt, issuer })
}

fn open(jws: &str) -> Result<(Envelope<'_>, KeyId), JwsError> {
    let mut envelope = Envelope::open(jws, MAX_RECEIPT_BYTES)?.expect(DocumentType::Receipt)?;
    let kid = envelope.kid()?;
    Ok((envelope, kid))
}

/// The claims, and the issuer's credential.
fn read_payload(payload: &[u8]) -> Result<(Receipt, String), Malformed> {
    let mut fields = Object::parse(payload)?;
    let revision = fields.required("revision")?;
    let receipt = Receipt {
        host: fields.required("host")?.parsed()?,
        customer: fields.required("customer")?.parsed()?,
        issuer: fields.required("issuer")?.parsed()?,
        home: fields.required("home")?.parsed()?,
        revision: revision.number()?,
        registered: read_date(&fields.required("registered")?)?,
    };
    if !(1..=MAX_REVISION).contains(&receipt.revision) {
        return Err(revision.malformed("expected a whole number in range"));
    }
    let credential = fields.required("credential")?.text()?.to_string();
    fields.finish()?;
    Ok((receipt, credential))
}

/// Whether the credential inside is the issuer's.
fn belongs(receipt: &Receipt, issuer: &Credential, kid: &KeyId) -> Result<(), ReceiptError> {
    for (field, same) in [
        ("kid", *kid == KeyId::of(&issuer.server_key)),
        ("customer", receipt.customer == issuer.customer),
        ("issuer", receipt.issuer == issuer.license_id),
        ("mode", issuer.mode == Mode::AutoVe),
    ] {
        if !same {
            return Err(ReceiptError::ForeignCredential { field });
        }
    }
    Ok(())
}
