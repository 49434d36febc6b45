//! What an emulator host says of itself, with every limit checked and nothing believed yet.

use std::str::FromStr;

use ve_core::{fingerprint::Platform, id::BootId, reason::Refusal, text::Name};

use crate::{
    convert::{bad, bytes, name},
    limits::{
        MAX_IDENTITY_DOCUMENT_BYTES, MAX_IDENTITY_SIGNATURE_BYTES, MAX_RECEIPT_BYTES, MAX_RECEIPTS,
    },
    proto,
};

/// What a host says of itself. Identity document and receipts are as they came: `ve-documents`
/// checks their signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsShown {
    /// The host's name.
    pub name: Name,
    /// The kind of machine that it says it is.
    pub platform: Option<Platform>,
    /// This boot of the host.
    pub boot: BootId,
    /// What its cloud provider has signed, if it does.
    pub identity: Option<IdentityShown>,
    /// Receipts, at most [`MAX_RECEIPTS`] of at most [`MAX_RECEIPT_BYTES`] each.
    pub receipts: Vec<String>,
}

/// A cloud provider's document about one machine, with its signature as the provider gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityShown {
    /// Whose document it is.
    pub platform: Platform,
    /// The document, 1 to [`MAX_IDENTITY_DOCUMENT_BYTES`].
    pub document: Vec<u8>,
    /// The signature, 1 to [`MAX_IDENTITY_SIGNATURE_BYTES`].
    pub signature: Vec<u8>,
}

/// A platform's name. One that this version doesn't know is as good as none, so that newer versions
/// can name more of them.
pub(crate) fn platform(text: &str) -> Option<Platform> {
    Platform::from_str(text).ok()
}

/// A host's facts from the wire.
pub fn facts(message: &proto::HostFacts) -> Result<FactsShown, Refusal> {
    if message.receipts.len() > MAX_RECEIPTS {
        return Err(bad("facts.receipts", format_args!("has more than {MAX_RECEIPTS} entries")));
    }
    let receipt = |text: &String| match receipt(text)? {
        Some(text) => Ok(text.to_string()),
        None => Err(bad("facts.receipts", "has an empty entry")),
    };
    Ok(FactsShown {
        name: name("facts.name", &message.name)?,
        platform: platform(&message.platform),
        boot: BootId(bytes("facts.boot", &message.boot)?),
        identity: message.identity.as_ref().map(identity).transpose()?.flatten(),
        receipts: message.receipts.iter().map(receipt).collect::<Result<_, _>>()?,
    })
}

/// A document of a platform that this version doesn't know proves nothing to it.
fn identity(message: &proto::IdentityDocument) -> Result<Option<IdentityShown>, Refusal> {
    for (field, length, limit) in [
        ("facts.identity.document", message.document.len(), MAX_IDENTITY_DOCUMENT_BYTES),
        ("facts.identity.signature", message.signature.len(), MAX_IDENTITY_SIGNATURE_BYTES),
    ] {
        if !(1..=limit).contains(&length) {
            return Err(bad(field, format_args!("has {length} bytes instead of 1 to {limit}")));
        }
    }
    Ok(platform(&message.platform).map(|platform| IdentityShown {
        platform,
        document: message.document.clone(),
        signature: message.signature.clone(),
    }))
}

/// A host's facts for the wire.
pub fn facts_message(facts: &FactsShown) -> proto::HostFacts {
    proto::HostFacts {
        name: facts.name.to_string(),
        platform: facts.platform.map_or_else(String::new, |platform| platform.to_string()),
        boot: facts.boot.0.to_vec(),
        identity: facts.identity.as_ref().map(|identity| proto::IdentityDocument {
            platform: identity.platform.to_string(),
            document: identity.document.clone(),
            signature: identity.signature.clone(),
        }),
        receipts: facts.receipts.clone(),
    }
}

/// The receipt beside a grant, if there is one; nothing about it is verified.
pub fn receipt(text: &str) -> Result<Option<&str>, Refusal> {
    match text.len() {
        0 => Ok(None),
        1..=MAX_RECEIPT_BYTES => Ok(Some(text)),
        _ => Err(bad("receipt", format_args!("is longer than {MAX_RECEIPT_BYTES} bytes"))),
    }
}
