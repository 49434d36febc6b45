//! Ed25519 keys: a server's own, a vendor's, and the public half that others trust.

use std::fmt;

use aws_lc_rs::{
    digest,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;
use ve_core::id::ServerKey;
use zeroize::Zeroizing;

/// The length of an Ed25519 signature in bytes.
pub const SIGNATURE_LENGTH: usize = 64;

/// What stands before the 32 key bytes in the DER of an Ed25519 public key (RFC 8410).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A private key. It never prints itself, and its memory is wiped when it is dropped.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

/// The bytes are no Ed25519 private key in PKCS#8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not an Ed25519 private key (PKCS#8)")]
pub struct NotASigningKey;

impl SigningKey {
    /// Makes a new key from the operating system's random bytes.
    pub fn generate() -> Self {
        let pair = Ed25519KeyPair::generate().expect("the operating system gives random bytes");
        Self { pair }
    }

    /// Takes a key from its PKCS#8 DER, version 1 or 2.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, NotASigningKey> {
        Ok(Self { pair: Ed25519KeyPair::from_pkcs8(der).map_err(|_| NotASigningKey)? })
    }

    /// The key as PKCS#8 version 1 DER, for making a TLS certificate with it; wiped when dropped.
    pub fn pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        let document = self.pair.to_pkcs8v1().expect("a key in memory can be written as DER");
        Zeroizing::new(document.as_ref().to_vec())
    }

    /// The public half, as licenses and certificates name a server.
    pub fn public(&self) -> ServerKey {
        let bytes = self.pair.public_key().as_ref();
        ServerKey(bytes.try_into().expect("an Ed25519 public key has 32 bytes"))
    }

    /// The public half, as others trust a vendor.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::new(self.public())
    }

    /// Signs `message` (Ed25519, RFC 8032; the same message always gets the same signature).
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        let signature = self.pair.sign(message);
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A signature does not fit its message and key: one of the three was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

/// Checks `signature` over `message` with a public key.
pub fn verify(public: &ServerKey, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&ED25519, public.0).verify(message, signature).map_err(|_| BadSignature)
}

/// A public key that signatures are checked with, and its ID.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    public: ServerKey,
    kid: KeyId,
}

/// The bytes are no Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not an Ed25519 public key")]
pub struct NotAVerifyingKey;

impl VerifyingKey {
    /// A key from its 32 bytes.
    pub fn new(public: ServerKey) -> Self {
        Self { public, kid: KeyId::of(&public) }
    }

    /// A key from its DER `SubjectPublicKeyInfo` (44 bytes, RFC 8410).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, NotAVerifyingKey> {
        let bytes = der.strip_prefix(&SPKI_PREFIX).and_then(|key| key.try_into().ok());
        bytes.map(|bytes| Self::new(ServerKey(bytes))).ok_or(NotAVerifyingKey)
    }

    /// The key as DER `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.public.0].concat()
    }

    /// The key's 32 bytes.
    pub fn public(&self) -> ServerKey {
        self.public
    }

    /// The key's ID.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// Checks `signature` over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        verify(&self.public, message, signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.kid)
    }
}

/// A key's ID: its JWK thumbprint (RFC 7638) with SHA-256, 43 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

/// The text is no key ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key ID is a JWK thumbprint of 43 base64url characters")]
pub struct KeyIdError;

impl KeyId {
    /// The ID of an Ed25519 public key.
    pub fn of(public: &ServerKey) -> Self {
        let x = BASE64URL_NOPAD.encode(&public.0);
        // RFC 7638: the required members, in alphabetical order, without white space.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let thumbprint = digest::digest(&digest::SHA256, members.as_bytes());
        Self(BASE64URL_NOPAD.encode(thumbprint.as_ref()))
    }

    /// The ID as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match BASE64URL_NOPAD.decode(text.as_bytes()) {
            Ok(bytes) if bytes.len() == digest::SHA256_OUTPUT_LEN => Ok(Self(text.to_string())),
            _ => Err(KeyIdError),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_the_thumbprint_of_rfc_8037() {
        // RFC 8037, appendix A.3.
        let x = BASE64URL_NOPAD
            .decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
            .expect("base64url");
        let key = VerifyingKey::new(ServerKey(x.try_into().expect("32 bytes")));
        assert_eq!(key.kid().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(key.kid().as_str().parse().as_ref(), Ok(key.kid()));
        for wrong in [
            "",
            "kPrK",
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4l",
            "../../../../../../../../../../../../../etc/pw",
        ] {
            assert_eq!(wrong.parse::<KeyId>(), Err(KeyIdError), "{wrong}");
        }
    }

    #[test]
    fn a_signature_holds_for_its_message_and_key_only() {
        let (key, other) = (SigningKey::generate(), SigningKey::generate());
        let signature = key.sign(b"message");
        assert_eq!(verify(&key.public(), b"message", &signature), Ok(()));
        assert_eq!(verify(&key.public(), b"messagf", &signature), Err(BadSignature));
        assert_eq!(verify(&other.public(), b"message", &signature), Err(BadSignature));
        assert_eq!(verify(&key.public(), b"message", &signature[..63]), Err(BadSignature));
        assert_eq!(verify(&key.public(), b"message", &[]), Err(BadSignature));
    }

    #[test]
    fn a_key_survives_its_der_and_prints_nothing() {
        let key = SigningKey::generate();
        let der = key.pkcs8_der();
        assert_eq!(der.len(), 48, "PKCS#8 version 1");
        let again = SigningKey::from_pkcs8_der(&der).expect("its own DER");
        assert_eq!(again.public(), key.public());
        assert_eq!(format!("{key:?}"), "SigningKey(..)");
        assert!(SigningKey::from_pkcs8_der(&der[1..]).is_err());
        let public = key.verifying_key();
        assert_eq!(VerifyingKey::from_spki_der(&public.spki_der()), Ok(public.clone()));
        assert_eq!(VerifyingKey::from_spki_der(&public.spki_der()[..43]), Err(NotAVerifyingKey));
    }
}
