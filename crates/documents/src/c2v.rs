//! A C2V: a server's fingerprint on its way from customer to vendor.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use thiserror::Error;
use ve_core::{
    fingerprint::{Component, Fingerprint, Platform},
    id::{LicenseId, ServerKey},
    text::Name,
    time::Utc,
};

use crate::{
    files::MAX_DOCUMENT_BYTES,
    jws::{self, DocumentType, Envelope, JwsError},
    key_files::MAX_VENDOR_KEYS,
    keys::{self, KeyId, SigningKey},
    license_json::{read_components, read_date, read_digests, write_digests},
    strict_json::{Field, Malformed, Object},
};

/// The most licenses that one C2V reports.
pub const MAX_INSTALLED: usize = 4096;

/// What a server tells its vendor. It holds digests, never the serial numbers themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct C2v {
    /// The kind of machine or cloud.
    pub platform: Platform,
    /// The digest of every component that is known.
    pub components: Fingerprint,
    /// The components that the machine has but the server may not read.
    pub unreadable: BTreeSet<Component>,
    /// The server's own key; it signed this.
    pub server_key: ServerKey,
    /// The licenses that are installed, one entry for each ID.
    pub licenses: Vec<InstalledLicense>,
    /// The vendor keys that the server trusts.
    pub trusted_vendor_keys: Vec<KeyId>,
    /// The version of the server software.
    pub software_version: Name,
    /// When it was made, by the server's clock.
    pub created: Utc,
}

/// What a C2V says of an installed license.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledLicense {
    /// Which license.
    pub id: LicenseId,
    /// Its current version.
    pub version: u32,
    /// The run time that this version has used, in seconds.
    pub used_seconds: u64,
    /// The run time that is left, in seconds; `None` for `NORMAL`.
    pub remaining_seconds: Option<u64>,
}

/// Why a C2V is not accepted: the file was damaged, or is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum C2vError {
    /// The document itself is broken, changed after signing or of another kind.
    #[error("this fingerprint file is not accepted: {0}")]
    Document(#[from] JwsError),
    /// A field is missing, unknown, doubled or wrong.
    #[error("this fingerprint file is malformed: {0}; make a new one with the c2v command")]
    Malformed(#[from] Malformed),
    /// It is signed with another key than the one it speaks of.
    #[error(
        "this fingerprint file names another server key than the one that signed it; make a new \
         one with the c2v command"
    )]
    ForeignKey,
}

/// Signs a C2V (without a newline at its end). `key` must be the key that `c2v.server_key` names.
pub fn sign(c2v: &C2v, key: &SigningKey) -> String {
    debug_assert_eq!(c2v.server_key, key.public(), "a server signs its own fingerprint only");
    jws::sign(DocumentType::C2v, ("jwk", write_jwk(&key.public())), &to_json(c2v), key)
}

/// Checks a C2V: that its form is right and that the server whose key it names has signed it. It
/// proves that file and server belong together, not that the server is honest.
pub fn verify(text: &str) -> Result<C2v, C2vError> {
    let (envelope, key) = open(text)?;
    envelope.verify(|message, signature| keys::verify(&key, message, signature))?;
    read_payload(&envelope.payload, &key)
}

/// Reads a C2V without checking its signature: to show what a file claims, never to act on it.
pub fn read_unverified(text: &str) -> Result<C2v, C2vError> {
    let (envelope, key) = open(text)?;
    read_payload(&envelope.payload, &key)
}

fn open(text: &str) -> Result<(Envelope<'_>, ServerKey), JwsError> {
    let mut envelope = Envelope::open(text, MAX_DOCUMENT_BYTES)?.expect(DocumentType::C2v)?;
    let key = envelope.header(|header| read_jwk(header.required("jwk")?))?;
    Ok((envelope, key))
}

/// An Ed25519 public key as a JWK (RFC 8037).
fn write_jwk(key: &ServerKey) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(&key.0) })
}

fn read_jwk(field: Field) -> Result<ServerKey, Malformed> {
    let mut jwk = field.object()?;
    for (name, only) in [("kty", "OKP"), ("crv", "Ed25519")] {
        let field = jwk.required(name)?;
        if field.text()? != only {
            return Err(field.malformed(format_args!("only {only} is accepted")));
        }
    }
    let x = jwk.required("x")?;
    jwk.finish()?;
    let bytes = BASE64URL_NOPAD.decode(x.text()?.as_bytes()).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(ServerKey)
        .ok_or_else(|| x.malformed("expected 32 bytes in base64url"))
}

/// A C2V as JSON: the fields of its payload.
pub fn to_json(c2v: &C2v) -> Value {
    let kids: Vec<&str> = c2v.trusted_vendor_keys.iter().map(KeyId::as_str).collect();
    json!({
        "platform": c2v.platform,
        "components": write_digests(&c2v.components),
        "unreadable": c2v.unreadable,
        "server_key": c2v.server_key,
        "licenses": c2v.licenses.iter().map(write_installed).collect::<Vec<_>>(),
        "trusted_vendor_keys": kids,
        "software_version": c2v.software_version,
        "created": c2v.created.to_string(),
    })
}

fn write_installed(license: &InstalledLicense) -> Value {
    json!({
        "license_id": license.id,
        "version": license.version,
        "used_seconds": license.used_seconds,
        "remaining_seconds": license.remaining_seconds,
    })
}

fn read_payload(payload: &[u8], key: &ServerKey) -> Result<C2v, C2vError> {
    let c2v = read_fields(payload)?;
    if c2v.server_key != *key {
        return Err(C2vError::ForeignKey);
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = c2v.licenses.iter().find(|license| !seen.insert(&license.id)) {
        return Err(Malformed::new(format_args!("license {} is given twice", twice.id)).into());
    }
    let both = |component: &&Component| c2v.components.0.contains_key(component);
    if let Some(both) = c2v.unreadable.iter().find(both) {
        return Err(Malformed::new(format_args!("{both} is both known and unreadable")).into());
    }
    Ok(c2v)
}

fn read_fields(payload: &[u8]) -> Result<C2v, Malformed> {
    let mut fields = Object::parse(payload)?;
    let c2v = C2v {
        platform: fields.required("platform")?.parsed()?,
        components: read_digests(fields.required("components")?)?,
        unreadable: read_components(fields.required("unreadable")?)?,
        server_key: fields.required("server_key")?.parsed()?,
        licenses: fields.required("licenses")?.list_of(MAX_INSTALLED, read_installed)?,
        trusted_vendor_keys: fields
            .required("trusted_vendor_keys")?
            .list_of(MAX_VENDOR_KEYS, |kid| kid.parsed())?,
        software_version: fields.required("software_version")?.parsed()?,
        created: read_date(&fields.required("created")?)?,
    };
    fields.finish()?;
    Ok(c2v)
}

fn read_installed(field: Field) -> Result<InstalledLicense, Malformed> {
    let mut fields = field.object()?;
    let remaining = fields.required("remaining_seconds")?;
    let license = InstalledLicense {
        id: fields.required("license_id")?.parsed()?,
        version: fields.required("version")?.number()?,
        used_seconds: fields.required("used_seconds")?.number()?,
        remaining_seconds: if remaining.is_null() { None } else { Some(remaining.number()?) },
    };
    fields.finish()?;
    Ok(license)
}
