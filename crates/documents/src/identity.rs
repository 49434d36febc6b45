//! What cloud providers sign of their machines: proof of which machine a host is.
//!
//! It is no proof of who shows it: everyone on the machine can read its document.

use data_encoding::{BASE64, Encoding};
use thiserror::Error;
use ve_core::{fingerprint::Platform, license::Verified, registry::PlatformIdentity, text::Name};

pub use crate::certificate::{
    Certificate, CertificateError, CertificatesError, MAX_CERTIFICATE_FILE_BYTES, MAX_CERTIFICATES,
    load_certificates,
};
use crate::strict_json::{Malformed, Object};

/// The largest document that is read, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 8_192;

/// The longest signature that is read, in bytes as the provider gives it.
pub const MAX_SIGNATURE_BYTES: usize = 4_096;

/// Why a provider's document proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// This provider signs nothing that is known here.
    #[error("the documents of {platform} can't be checked")]
    Unsupported {
        /// Whose document it is said to be.
        platform: Platform,
    },
    /// The document or its signature is longer than any.
    #[error("the identity document or its signature is too long")]
    TooLarge,
    /// The signature is not even base64.
    #[error("the signature of the identity document is not base64")]
    Encoding,
    /// No certificate of the provider fits: the document was changed, is of a region whose certificate is
    /// missing, or there is no certificate at all.
    #[error(
        "no certificate of the provider fits the identity document's signature ({count} tried); is \
         its region's certificate in the folder providers?"
    )]
    Signature {
        /// How many certificates there are.
        count: usize,
    },
    /// The provider has signed something else.
    #[error("the identity document is malformed: {0}")]
    Malformed(#[from] Malformed),
}

/// Checks a document of `platform` against the providers' certificates.
pub fn verify(
    platform: Platform,
    document: &[u8],
    signature: &[u8],
    certificates: &[Certificate],
) -> Result<Verified<PlatformIdentity>, IdentityError> {
    match platform {
        Platform::AmazonAws => verify_aws(document, signature, certificates),
        _ => Err(IdentityError::Unsupported { platform }),
    }
}

/// Checks an EC2 instance identity document: `signature` is what the metadata service says under
/// `instance-identity/signature`, base64 of an RSA signature (PKCS #1 v1.5, SHA-256) over the bytes of
/// the document.
pub fn verify_aws(
    document: &[u8],
    signature: &[u8],
    certificates: &[Certificate],
) -> Result<Verified<PlatformIdentity>, IdentityError> {
    if document.len() > MAX_DOCUMENT_BYTES || signature.len() > MAX_SIGNATURE_BYTES {
        return Err(IdentityError::TooLarge);
    }
    let signature = decode_lines(&BASE64, signature).ok_or(IdentityError::Encoding)?;
    let fits = |certificate: &Certificate| certificate.verify(document, &signature).is_ok();
    if !certificates.iter().any(fits) {
        return Err(IdentityError::Signature { count: certificates.len() });
    }
    Ok(Verified::vouch(read_aws(document)?))
}

/// Base64 in lines, as tools print it.
fn decode_lines(encoding: &Encoding, text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    encoding.decode(&digits).ok()
}

/// The machine that an EC2 document names. Its other fields (addresses, images, times) may change, and
/// Amazon adds new ones, so they are passed over.
fn read_aws(document: &[u8]) -> Result<PlatformIdentity, Malformed> {
    let mut fields = Object::parse(document)?;
    let mut part = |name| fields.required(name)?.parsed_with(identifier);
    let id = format!("{}/{}/{}", part("accountId")?, part("region")?, part("instanceId")?);
    let id = id.parse().map_err(Malformed::new)?;
    Ok(PlatformIdentity { platform: Platform::AmazonAws, id })
}

/// An identifier of the provider's, without the character that joins them.
fn identifier(text: &str) -> Result<Name, &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let name = text.parse().ok().filter(|_| text.bytes().all(is_plain));
    name.ok_or("expected letters, digits and hyphens")
}
