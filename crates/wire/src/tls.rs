//! The identities inside TLS: certificates that each side signs for itself, because the key in them
//! is all that counts. A license names the server's key, a session its host's key.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage, ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};
use thiserror::Error as ThisError;
use ve_core::id::{HostKey, ServerKey};

use crate::limits::{ALPN, MAX_CERTIFICATES_BYTES};

/// A key can't be used for TLS.
#[derive(Debug, ThisError)]
pub enum IdentityError {
    /// No certificate can be made for the key.
    #[error("no certificate can be made for this key: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refuses the key.
    #[error("TLS can't use this key: {0}")]
    Tls(#[from] Error),
}

/// Bytes of a DER `SubjectPublicKeyInfo` before an Ed25519 key (RFC 8410).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The name in every certificate. Nobody looks at it: only the key counts.
const NAME: &str = "ve-license";

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Makes a certificate for a private key, given as DER of PKCS#8.
    pub fn from_pkcs8(pkcs8_der: &[u8]) -> Result<Self, IdentityError> {
        let key = PrivatePkcs8KeyDer::from(pkcs8_der.to_vec());
        let signer = rcgen::KeyPair::try_from(&key)?;
        let mut parameters = rcgen::CertificateParams::new(vec![NAME.to_owned()])?;
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, NAME);
        let certificate = parameters.self_signed(&signer)?;
        Ok(Self { certificate: certificate.der().clone(), key: key.into() })
    }

    /// Who this is to a server, when it is a client's.
    pub fn host_key(&self) -> HostKey {
        host_key(Some(std::slice::from_ref(&self.certificate))).expect("we made the certificate")
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { certificate: self.certificate.clone(), key: self.key.clone_key() }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// How a license server speaks TLS: 1.3 only, and only with clients that show a key.
pub fn server_config(identity: Identity) -> Result<ServerConfig, IdentityError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(AnyKey::default()))
        .with_single_cert(vec![identity.certificate], identity.key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A connection lasts for hours: a ticket would never be worth its memory.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// How a client speaks TLS. The server's key is not judged here: its credential comes in its hello,
/// and no login leaves before that names this very key.
pub fn client_config(identity: Identity) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey::default()))
        .with_client_auth_cert(vec![identity.certificate], identity.key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// The name that TLS wants to be told and nobody looks at.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("a valid name")
}

/// The Ed25519 key in a server's certificate; `None` for any other kind of key.
pub fn server_key(certificates: Option<&[CertificateDer<'_>]>) -> Option<ServerKey> {
    let spki = subject_public_key_info(certificates)?;
    let key = spki.strip_prefix(ED25519_SPKI_PREFIX.as_slice())?;
    key.try_into().ok().map(ServerKey)
}

/// The identity of the host behind a client's certificate.
pub fn host_key(certificates: Option<&[CertificateDer<'_>]>) -> Option<HostKey> {
    let spki = subject_public_key_info(certificates)?;
    let digest = aws_lc_rs_digest(&spki);
    Some(HostKey(digest))
}

fn aws_lc_rs_digest(bytes: &[u8]) -> [u8; 32] {
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn subject_public_key_info(certificates: Option<&[CertificateDer<'_>]>) -> Option<Vec<u8>> {
    let certificate = certificates?.first()?;
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(parsed.subject_public_key_info().as_ref().to_vec())
}

/// Takes any certificate that parses, and holds the other side to the key in it: the handshake's
/// signature is checked with that key, so showing a certificate proves its key.
#[derive(Debug)]
struct AnyKey {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Default for AnyKey {
    fn default() -> Self {
        Self { algorithms: aws_lc_rs::default_provider().signature_verification_algorithms }
    }
}

/// The other side shows certificates that are longer than any that are needed: each connection keeps
/// them in memory.
#[derive(Debug, ThisError)]
#[error("certificates of {0} bytes were shown, allowed are {MAX_CERTIFICATES_BYTES}")]
struct TooLong(usize);

impl AnyKey {
    fn accept(
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let bytes = certificate.len() + others.iter().map(|other| other.len()).sum::<usize>();
        if bytes > MAX_CERTIFICATES_BYTES {
            return Err(OtherError(Arc::new(TooLong(bytes))).into());
        }
        ParsedCertificate::try_from(certificate)
            .map(|_| ())
            .map_err(|_| Error::from(CertificateError::BadEncoding))
    }
}

/// The part that both verifiers share, word for word: the handshake's signature is checked with the
/// key in the certificate. TLS 1.2 is not spoken, so its signatures are never asked for.
macro_rules! signatures_of_any_key {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Self::accept(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    signatures_of_any_key!();
}

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Self::accept(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    signatures_of_any_key!();
}
