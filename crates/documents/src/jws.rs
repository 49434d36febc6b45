//! The envelope of every document: a compact JWS, read to the letter.
//!
//! Exactly three parts of canonical base64url without padding; a header of exactly the expected
//! fields; `alg` `EdDSA` and nothing else. The algorithm is never taken from the document: it is
//! compared, and the key decides.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use thiserror::Error;
use ve_core::text::printable;

use crate::{
    keys::{BadSignature, KeyId, SigningKey},
    strict_json::{Malformed, Object},
};

/// The only algorithm (RFC 8037).
const ALGORITHM: &str = "EdDSA";

/// Why a text is not the signed document that was expected; each is the fault of whoever made or
/// carried it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JwsError {
    /// Nothing in it.
    #[error("it is empty; was it cut off on its way?")]
    Empty,
    /// More than any such document needs.
    #[error("it is larger than {limit} bytes, so it is no such document")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Not three parts of base64url.
    #[error("it is not a signed document (three parts of base64url, joined by dots)")]
    NotADocument,
    /// The header breaks the format.
    #[error("its header is malformed: {0}")]
    Header(Malformed),
    /// The header names an algorithm other than `EdDSA`.
    #[error("its header names the algorithm {found}; only {ALGORITHM} is accepted")]
    Algorithm {
        /// The algorithm, made printable.
        found: String,
    },
    /// The header asks for extensions.
    #[error("its header demands extensions (crit); none is known")]
    Extensions,
    /// A signed document of another kind.
    #[error("it is {found}, but {expected} is needed here")]
    WrongType {
        /// The kind that is needed.
        expected: &'static str,
        /// The kind that it is.
        found: String,
    },
    /// The signature does not fit: something was changed after signing, or the key is another.
    #[error("its signature does not hold: it was changed after it was signed")]
    BadSignature,
}

impl From<BadSignature> for JwsError {
    fn from(_: BadSignature) -> Self {
        Self::BadSignature
    }
}

/// The kinds of documents: `typ`, and the words for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentType {
    /// Vendor to customer.
    V2c,
    /// Customer to vendor.
    C2v,
    /// What a server shows before login.
    Credential,
    /// What a server gives a host that is registered.
    Receipt,
}

impl DocumentType {
    const ALL: [Self; 4] = [Self::V2c, Self::C2v, Self::Credential, Self::Receipt];

    /// The header's `typ`.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::V2c => "ve-license+jwt",
            Self::C2v => "ve-c2v+jwt",
            Self::Credential => "ve-credential+jwt",
            Self::Receipt => "ve-receipt+jwt",
        }
    }

    /// What a person calls it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::V2c => "a license (V2C)",
            Self::C2v => "a fingerprint file (C2V)",
            Self::Credential => "a server credential",
            Self::Receipt => "a host's receipt",
        }
    }
}

/// The kind of a document, from its header alone: nothing about it is verified.
pub fn document_type(text: &str, limit: usize) -> Result<DocumentType, JwsError> {
    let envelope = Envelope::open(text, limit)?;
    let known = DocumentType::ALL.into_iter().find(|kind| kind.typ() == envelope.typ);
    known.ok_or_else(|| envelope.wrong_type(DocumentType::V2c))
}

/// A document taken apart; nothing about it is verified yet.
pub(crate) struct Envelope<'a> {
    /// The text without a trailing newline.
    pub text: &'a str,
    /// What is signed.
    signed: &'a str,
    typ: String,
    /// The header's fields besides `alg` and `typ`.
    header: Object,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Envelope<'a> {
    /// Takes a text of at most `limit` bytes apart; one newline at its end is tolerated.
    pub(crate) fn open(text: &'a str, limit: usize) -> Result<Self, JwsError> {
        if text.len() > limit {
            return Err(JwsError::TooLarge { limit });
        }
        let text =
            text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if text.trim().is_empty() {
            return Err(JwsError::Empty);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JwsError::NotADocument)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::NotADocument)?;
        let (typ, header) = read_header(&decode(header)?)?;
        Ok(Self {
            text,
            signed,
            typ,
            header,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// Refuses any kind but `expected`.
    pub(crate) fn expect(self, expected: DocumentType) -> Result<Self, JwsError> {
        if self.typ == expected.typ() { Ok(self) } else { Err(self.wrong_type(expected)) }
    }

    /// The header's other fields, as `read` takes them; what it leaves is refused.
    pub(crate) fn header<T>(
        &mut self,
        read: impl FnOnce(&mut Object) -> Result<T, Malformed>,
    ) -> Result<T, JwsError> {
        let value = read(&mut self.header).map_err(JwsError::Header)?;
        let rest = std::mem::take(&mut self.header);
        rest.finish().map_err(JwsError::Header)?;
        Ok(value)
    }

    /// The header's one other field, `kid`.
    pub(crate) fn kid(&mut self) -> Result<KeyId, JwsError> {
        self.header(|header| header.required("kid")?.parsed())
    }

    /// Checks the signature with `verify(message, signature)`.
    pub(crate) fn verify(
        &self,
        verify: impl FnOnce(&[u8], &[u8]) -> Result<(), BadSignature>,
    ) -> Result<(), JwsError> {
        Ok(verify(self.signed.as_bytes(), &self.signature)?)
    }

    fn wrong_type(&self, expected: DocumentType) -> JwsError {
        let known = DocumentType::ALL.into_iter().find(|kind| kind.typ() == self.typ);
        let found = known.map_or_else(
            || format!("a document of type {}", printable(&self.typ, 40)),
            |kind| kind.title().to_string(),
        );
        JwsError::WrongType { expected: expected.title(), found }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, JwsError> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| JwsError::NotADocument)
}

/// Checks `alg` and `crit`, and takes `typ`; the other fields stay.
fn read_header(json: &[u8]) -> Result<(String, Object), JwsError> {
    let mut header = Object::parse(json).map_err(JwsError::Header)?;
    let mut text = |name| {
        let field = header.required(name)?;
        field.text().map(str::to_string)
    };
    let algorithm = text("alg").map_err(JwsError::Header)?;
    if algorithm != ALGORITHM {
        return Err(JwsError::Algorithm { found: printable(&algorithm, 40) });
    }
    let typ = text("typ").map_err(JwsError::Header)?;
    if header.optional("crit").is_some() {
        return Err(JwsError::Extensions);
    }
    Ok((typ, header))
}

/// Signs `payload` under a header of `alg`, `typ` and one more field.
pub(crate) fn sign(
    kind: DocumentType,
    field: (&str, Value),
    payload: &Value,
    key: &SigningKey,
) -> String {
    let mut header = serde_json::json!({ "alg": ALGORITHM, "typ": kind.typ() });
    header[field.0] = field.1;
    let encode = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let mut text = format!("{}.{}", encode(&header), encode(payload));
    let signature = BASE64URL_NOPAD.encode(&key.sign(text.as_bytes()));
    text.push('.');
    text.push_str(&signature);
    text
}
