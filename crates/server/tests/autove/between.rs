//! Stands between two peers with both their keys, and lets each look to the other like one of a newer
//! version: every message has fields, and is preceded by kinds, that nobody knows yet.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use ve_documents::key_files;
use ve_wire::{
    frame::{FrameReader, encode},
    limits::MAX_PEER_MESSAGE_BYTES,
    proto::{self, ClientMessage, PeerMessage, ServerMessage, client_message, server_message},
    tls::{self, Identity},
};

/// The version of the protocol that only a newer one speaks.
const NEWER: u32 = 2;

/// Where either side's message holds what it says to its peer.
const OF_CLIENT: u32 = 7;
const OF_SERVER: u32 = 8;

type Reader = FrameReader<TlsStream<TcpStream>>;

/// A way from one peer to the other.
pub(crate) struct Between {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Between {
    /// A way on which the server that lives in the home `dialing` finds the one of `listening`,
    /// which is at `server`.
    pub(crate) async fn new(dialing: &Path, listening: &Path, server: SocketAddr) -> Self {
        let [dialing, listening] = [dialing, listening].map(identity);
        let listener = TcpListener::bind((server.ip(), 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let acceptor: TlsAcceptor =
            Arc::new(tls::server_config(listening).expect("a TLS server")).into();
        let connector: TlsConnector =
            Arc::new(tls::client_config(dialing).expect("a TLS client")).into();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                tokio::spawn(async move {
                    // Either side may be killed at any moment.
                    let _ = carry(near, server, &acceptor, &connector).await;
                });
            }
        });
        Self { address, task }
    }
}

fn identity(home: &Path) -> Identity {
    let key = key_files::load(&home.join("identity.key"), None).expect("a server's key");
    Identity::from_pkcs8(&key.pkcs8_der()).expect("a key for TLS")
}

async fn carry(
    near: TcpStream,
    server: SocketAddr,
    acceptor: &TlsAcceptor,
    connector: &TlsConnector,
) -> std::io::Result<()> {
    let far = TcpStream::connect(server).await?;
    let near: TlsStream<TcpStream> = acceptor.accept(near).await?.into();
    let far: TlsStream<TcpStream> = connector.connect(tls::server_name(), far).await?.into();
    let [mut near, mut far] =
        [near, far].map(|stream| FrameReader::new(stream, MAX_PEER_MESSAGE_BYTES));
    loop {
        tokio::select! {
            message = near.next::<ClientMessage>() => match message {
                Ok(Some(message)) => say(&mut far, of_client(message)).await?,
                _ => return far.stream_mut().shutdown().await,
            },
            message = far.next::<ServerMessage>() => match message {
                Ok(Some(message)) => say(&mut near, of_server(message)).await?,
                _ => return near.stream_mut().shutdown().await,
            },
        }
    }
}

async fn say(to: &mut Reader, messages: Vec<Vec<u8>>) -> std::io::Result<()> {
    for message in messages {
        let length = u32::try_from(message.len()).expect("far below 4 GB");
        let framed = [&length.to_be_bytes()[..], &message].concat();
        to.stream_mut().write_all(&framed).await?;
    }
    to.stream_mut().flush().await
}

fn of_client(mut message: ClientMessage) -> Vec<Vec<u8>> {
    match &mut message.kind {
        Some(client_message::Kind::Peer(peer)) => newer_peer(OF_CLIENT, peer),
        Some(client_message::Kind::Hello(hello)) => {
            hello.versions.insert(0, NEWER);
            hello.software = String::from("licensed of a newer version");
            vec![with_more(body(&encode(&message)))]
        }
        _ => vec![with_more(body(&encode(&message)))],
    }
}

fn of_server(mut message: ServerMessage) -> Vec<Vec<u8>> {
    match &mut message.kind {
        Some(server_message::Kind::Peer(peer)) => newer_peer(OF_SERVER, peer),
        Some(server_message::Kind::Hello(hello)) => {
            hello.versions.insert(0, NEWER);
            hello.software = String::from("licensed of a newer version");
            vec![with_more(body(&encode(&message)))]
        }
        _ => vec![with_more(body(&encode(&message)))],
    }
}

/// What a peer of a newer version would say: two messages of kinds that are not known yet, and this
/// one with more in it wherever there can be more.
fn newer_peer(field_of_peer: u32, peer: &PeerMessage) -> Vec<Vec<u8>> {
    let (number, said) = match peer.kind.as_ref().expect("a kind that is known") {
        proto::peer_message::Kind::Status(status) => (1, body(&encode(status))),
        proto::peer_message::Kind::Pull(pull) => (2, body(&encode(pull))),
        proto::peer_message::Kind::Changes(changes) => (3, newer_changes(changes)),
        proto::peer_message::Kind::Taken(taken) => (4, body(&encode(taken))),
        proto::peer_message::Kind::Presence(presence) => (5, body(&encode(presence))),
    };
    let unknown_kind = with_more(Vec::new());
    let unknown_peer_kind = field(field_of_peer, &with_more(Vec::new()));
    let known = field(field_of_peer, &with_more(field(number, &with_more(said))));
    vec![unknown_kind, unknown_peer_kind, with_more(known)]
}

fn newer_changes(changes: &proto::PeerChanges) -> Vec<u8> {
    let rest = proto::PeerChanges { entries: Vec::new(), ..changes.clone() };
    let entries = changes.entries.iter().map(|entry| field(1, &with_more(body(&encode(entry)))));
    entries.fold(body(&encode(&rest)), |said, entry| [said, entry].concat())
}

/// A message without the length before it.
fn body(framed: &[u8]) -> Vec<u8> {
    framed[4..].to_vec()
}

/// A field of protobuf with a length: a text, bytes, or a message.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("far below 4 GB");
    [&varint(number << 3 | 2)[..], &varint(length), content].concat()
}

fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// A message with two fields more: a number and a text.
fn with_more(message: Vec<u8>) -> Vec<u8> {
    [message, varint(98 << 3), varint(1), field(99, b"what nobody knows yet")].concat()
}
