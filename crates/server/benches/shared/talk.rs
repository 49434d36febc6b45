//! The protocol as a client speaks it, for what is measured here.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use ve_core::id::{HostKey, Nonce};
use ve_documents::keys;
use ve_wire::{
    frame::{self, FrameReader},
    limits::{MAX_SERVER_MESSAGE_BYTES, VERSIONS},
    proto::{
        ClientHello, ClientMessage, Login, ServerMessage, client_message::Kind as Ask,
        server_message::Kind,
    },
    random_bytes,
    statement::{self, Believed, Bond},
    tls,
};

pub(crate) type Reader = FrameReader<TlsStream<TcpStream>>;

/// Connects and says hello.
pub(crate) async fn connect(address: SocketAddr, connector: TlsConnector) -> Reader {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("an open socket");
    let stream = connector.connect(tls::server_name(), stream).await.expect("a handshake");
    let mut reader = FrameReader::new(stream, MAX_SERVER_MESSAGE_BYTES);
    let hello = ClientHello {
        versions: VERSIONS.to_vec(),
        nonce: fresh(),
        software: "bench".to_owned(),
        peer_credentials: Vec::new(),
    };
    say(&mut reader, Ask::Hello(hello)).await;
    assert!(matches!(hear(&mut reader).await, Kind::Hello(_)));
    reader
}

/// A login for a small emulator; everything else is for the caller to add.
pub(crate) fn login(emulator: String, nonce: Vec<u8>) -> Login {
    Login {
        request_id: 1,
        nonce,
        product: "Charon-SSP".to_owned(),
        version: "5.1.0".to_owned(),
        virtual_hardware: "Charon-SSP/4M".to_owned(),
        cpus: 1,
        memory_mb: 64,
        emulator,
        run: random_bytes::<16>().to_vec(),
        ..Login::default()
    }
}

pub(crate) fn fresh() -> Vec<u8> {
    random_bytes::<32>().to_vec()
}

pub(crate) async fn say(reader: &mut Reader, kind: Ask) {
    frame::write(reader.stream_mut(), &ClientMessage { kind: Some(kind) }).await.expect("written");
}

pub(crate) async fn hear(reader: &mut Reader) -> Kind {
    let message =
        reader.next::<ServerMessage>().await.expect("a message").expect("an open connection");
    message.kind.expect("a known kind")
}

/// The next answer, with everything checked that a client must check.
pub(crate) async fn answer(reader: &mut Reader, host: HostKey, nonce: &[u8]) -> Believed {
    let Kind::Answer(answer) = hear(reader).await else { panic!("no answer") };
    let server_key =
        tls::server_key(reader.stream().get_ref().1.peer_certificates()).expect("an Ed25519 key");
    let nonce = Nonce(nonce.try_into().expect("32 bytes"));
    let verify =
        |message: &[u8], signature: &[u8]| keys::verify(&server_key, message, signature).is_ok();
    let bond = Bond { nonce, server_key, host };
    statement::open(answer.signed.as_ref(), bond, verify).expect("a signed answer")
}
