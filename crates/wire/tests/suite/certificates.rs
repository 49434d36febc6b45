//! Certificates: only the key in them counts, and nonsense has none.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*, sample::Index};
use rustls::{ClientConnection, Connection, Error, ServerConnection, pki_types::CertificateDer};
use ve_wire::{
    limits::{ALPN, MAX_CERTIFICATES_BYTES},
    tls::{self, Identity},
};

fn pkcs8() -> Vec<u8> {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key").serialize_der()
}

fn certificate(name: &str) -> CertificateDer<'static> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.self_signed(&key).expect("a certificate").der().clone()
}

/// Passes what each side has to say to the other, until one fails or both are done.
fn shake_hands(
    client: ClientConnection,
    server: ServerConnection,
) -> Result<[Connection; 2], Error> {
    let mut sides = [Connection::from(client), Connection::from(server)];
    while sides.iter().any(|side| side.is_handshaking() || side.wants_write()) {
        for from in [0, 1] {
            let mut said = Vec::new();
            while sides[from].wants_write() {
                sides[from].write_tls(&mut said).expect("a Vec takes everything");
            }
            let mut said = said.as_slice();
            while !said.is_empty() {
                sides[1 - from].read_tls(&mut said).expect("a slice gives everything");
                sides[1 - from].process_new_packets()?;
            }
        }
    }
    Ok(sides)
}

fn server() -> ServerConnection {
    let identity = Identity::from_pkcs8(&pkcs8()).expect("an identity");
    let config = tls::server_config(identity).expect("a server");
    ServerConnection::new(Arc::new(config)).expect("a server")
}

#[test]
fn both_sides_learn_the_other_s_key_and_speak_our_protocol() {
    let (ours, theirs) = (pkcs8(), pkcs8());
    let identity = |pkcs8: &[u8]| Identity::from_pkcs8(pkcs8).expect("an identity");
    let config = tls::server_config(identity(&ours)).expect("a server");
    let server = ServerConnection::new(Arc::new(config)).expect("a server");
    let config = tls::client_config(identity(&theirs)).expect("a client");
    let client = ClientConnection::new(Arc::new(config), tls::server_name()).expect("a client");
    let [client, server] = shake_hands(client, server).expect("a handshake");
    let public = |pkcs8: &[u8]| {
        let key = rcgen::KeyPair::try_from(pkcs8).expect("a key");
        rcgen::PublicKeyData::der_bytes(&key).to_vec()
    };
    let server_key = tls::server_key(client.peer_certificates()).expect("an Ed25519 key");
    assert_eq!(server_key.0.to_vec(), public(&ours));
    let host_key = tls::host_key(server.peer_certificates());
    assert_eq!(host_key, tls::host_key(server.peer_certificates()));
    assert_ne!(host_key, tls::host_key(client.peer_certificates()));
    assert_eq!(client.alpn_protocol(), Some(ALPN));
}

#[test]
fn a_host_keeps_its_identity_with_every_new_certificate_of_its_key() {
    let key = pkcs8();
    let host_key = || {
        let identity = Identity::from_pkcs8(&key).expect("an identity");
        let config = tls::client_config(identity).expect("a client");
        let client = ClientConnection::new(Arc::new(config), tls::server_name()).expect("a client");
        let [_, server] = shake_hands(client, server()).expect("a handshake");
        tls::host_key(server.peer_certificates()).expect("a key")
    };
    assert_eq!(host_key(), host_key());
}

#[test]
fn a_chain_of_certificates_has_its_limit() {
    for (length, fits) in [(100, true), (MAX_CERTIFICATES_BYTES / 2, false)] {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        let own = parameters.self_signed(&key).expect("a certificate").der().clone();
        // A certificate names its subject twice when it is its own issuer.
        let chain = vec![own, certificate(&"x".repeat(length))];
        let identity = Identity::from_pkcs8(&pkcs8()).expect("an identity");
        let mut config = tls::client_config(identity).expect("a client");
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(key).expect("a key");
        let shown = Arc::new(rustls::sign::CertifiedKey::new(chain, key));
        config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(shown));
        let client = ClientConnection::new(Arc::new(config), tls::server_name()).expect("a client");
        let outcome = shake_hands(client, server());
        assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
        if let Err(error) = outcome {
            assert!(error.to_string().contains("allowed are 16384"), "{error}");
        }
    }
}

#[test]
fn what_shows_no_certificate_has_no_key() {
    assert_eq!(tls::server_key(None), None);
    assert_eq!(tls::host_key(Some(&[])), None);
    let ecdsa = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
    let ecdsa = [ecdsa.cert.der().clone()];
    assert_eq!(tls::server_key(Some(&ecdsa)), None, "a server's key is Ed25519");
    assert!(tls::host_key(Some(&ecdsa)).is_some());
}

proptest! {
    #[test]
    fn nonsense_has_no_key(bytes in vec(any::<u8>(), 0..300)) {
        let certificate = [CertificateDer::from(bytes)];
        prop_assert_eq!(tls::server_key(Some(&certificate)), None);
        prop_assert_eq!(tls::host_key(Some(&certificate)), None);
    }

    #[test]
    fn a_changed_certificate_never_panics(at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = certificate("a host").to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let changed = [CertificateDer::from(bytes)];
        let _ = (tls::server_key(Some(&changed)), tls::host_key(Some(&changed)));
    }
}
