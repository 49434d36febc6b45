//! TLS and frames, as docs/protocol.md describes them: sections 2 and 3.

#![allow(dead_code, reason = "every test binary uses its own part")]

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use ::aws_lc_rs::digest::{SHA256, digest};
use rcgen::PublicKeyData;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, NamedGroup, SignatureScheme,
    StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    version::TLS13,
};

use super::{
    messages::{Said, said},
    server::LONG,
};

/// The longest message of a server.
const MAX_SERVER_MESSAGE_BYTES: usize = 163_840;

/// What stands before the 32 bytes of an Ed25519 key in a certificate (RFC 8410).
const ED25519_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A client host: a key of its own, and a certificate that it made for itself.
#[derive(Debug)]
pub(crate) struct Host {
    /// What the server knows it by: the SHA-256 of its public key.
    pub(crate) name: [u8; 32],
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Host {
    /// A new host with an ECDSA key.
    pub(crate) fn new() -> Self {
        Self::with_key(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// A new host with a key of this kind.
    pub(crate) fn with_key(kind: &'static rcgen::SignatureAlgorithm) -> Self {
        Self::named(kind, "a-host")
    }

    /// A new host whose certificate carries this name.
    pub(crate) fn named(kind: &'static rcgen::SignatureAlgorithm, name: &str) -> Self {
        let key = rcgen::KeyPair::generate_for(kind).expect("a key");
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = parameters.self_signed(&key).expect("a certificate").der().clone();
        let digest = digest(&SHA256, &key.subject_public_key_info());
        Self {
            name: digest.as_ref().try_into().expect("32 bytes"),
            certificate,
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        }
    }
}

/// What a client offers in its handshake.
pub(crate) struct Offer<'a> {
    pub(crate) host: Option<&'a Host>,
    pub(crate) groups: &'a [NamedGroup],
    pub(crate) protocols: &'a [&'a str],
}

impl<'a> Offer<'a> {
    /// What a good client offers.
    pub(crate) fn of(host: &'a Host) -> Self {
        let groups = &[NamedGroup::X25519MLKEM768, NamedGroup::X25519];
        Self { host: Some(host), groups, protocols: &["ve-license"] }
    }

    fn config(&self) -> ClientConfig {
        let mut provider = aws_lc_rs::default_provider();
        let known = provider.kx_groups.clone();
        let find = |name: &NamedGroup| known.iter().copied().find(|group| group.name() == *name);
        provider.kx_groups = self.groups.iter().filter_map(find).collect();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(aws_lc_rs::default_provider())));
        let mut config = match self.host {
            Some(host) => config
                .with_client_auth_cert(vec![host.certificate.clone()], host.key.clone_key())
                .expect("a certificate and its key"),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().into()).collect();
        config
    }
}

/// A connection that speaks TLS and frames.
pub(crate) struct Connection {
    /// The name of the host that is here, if it showed a key.
    pub(crate) host: Option<[u8; 32]>,
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Connection {
    /// Connects and shakes hands.
    pub(crate) fn open(address: SocketAddr, offer: &Offer<'_>) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?, offer)
    }

    /// Shakes hands over an open connection.
    pub(crate) fn over(mut socket: TcpStream, offer: &Offer<'_>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LONG))?;
        socket.set_write_timeout(Some(LONG))?;
        let name = ServerName::try_from("any.name").expect("a name");
        let mut tls = ClientConnection::new(Arc::new(offer.config()), name).expect("a client");
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let host = offer.host.map(|host| host.name);
        Ok(Self { host, stream: StreamOwned::new(tls, socket) })
    }

    pub(crate) fn tls(&self) -> &ClientConnection {
        &self.stream.conn
    }

    /// The port that the server sees.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.sock.local_addr().expect("an open socket")
    }

    /// The Ed25519 key in the server's certificate.
    pub(crate) fn server_key(&self) -> [u8; 32] {
        let certificate = &self.stream.conn.peer_certificates().expect("a certificate")[0];
        let at = certificate.windows(ED25519_PREFIX.len()).position(|part| part == ED25519_PREFIX);
        let key = &certificate[at.expect("an Ed25519 key") + ED25519_PREFIX.len()..];
        key[..32].try_into().expect("32 bytes")
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.send_bytes(&frame(message))
    }

    /// The next message of the server's; `None` when it has closed the connection.
    pub(crate) fn receive(&mut self) -> Option<Said> {
        match self.receive_within(LONG) {
            Heard::Said(said) => Some(said),
            Heard::End => None,
            Heard::Nothing => panic!("the server said nothing for {LONG:?}"),
        }
    }

    /// Waits for the next message, but not for ever.
    pub(crate) fn receive_within(&mut self, patience: Duration) -> Heard {
        let socket = &self.stream.sock;
        // The other end may have closed it.
        let _ = socket.set_read_timeout(Some(patience));
        let mut first = [0];
        let heard = match self.stream.read(&mut first) {
            Ok(0) => Ok(Heard::End),
            Ok(_) => self.rest_of_frame(first[0]).map(Heard::Said),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                Ok(Heard::Nothing)
            }
            Err(error) => Err(error),
        };
        heard.unwrap_or(Heard::End)
    }

    fn rest_of_frame(&mut self, first: u8) -> io::Result<Said> {
        let _ = self.stream.sock.set_read_timeout(Some(LONG));
        let mut length = [first, 0, 0, 0];
        self.stream.read_exact(&mut length[1..])?;
        let length = u32::from_be_bytes(length) as usize;
        assert!((1..=MAX_SERVER_MESSAGE_BYTES).contains(&length), "a frame of {length} bytes");
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message)?;
        Ok(said(&message))
    }

    /// Says that nothing more will come, and goes on reading.
    pub(crate) fn close_half(&mut self) {
        self.stream.conn.send_close_notify();
        // The server may have closed first.
        let _ = self.stream.flush();
        let _ = self.stream.sock.shutdown(Shutdown::Write);
    }
}

/// What came of waiting.
#[derive(Debug)]
pub(crate) enum Heard {
    Said(Said),
    /// The server has closed the connection.
    End,
    Nothing,
}

/// A message with its length before it.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&length.to_be_bytes(), message].concat()
}

/// Names, dates and issuers don't matter; that the server has the key in its certificate does.
#[derive(Debug)]
struct AnyServer(CryptoProvider);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
