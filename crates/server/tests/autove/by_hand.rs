//! A license server that a test plays itself: its papers may hold or not, and it says what it likes.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use ve_core::{
    license::{Credential, Mode},
    node::peer::{PeerMessage, PeerStatus},
    registry::{Position, Span},
    time::Utc,
};
use ve_documents::{credential, keys::SigningKey};
use ve_testbed::Vendor;
use ve_wire::{
    convert,
    frame::{self, FrameReader},
    limits::{MAX_PEER_MESSAGE_BYTES, VERSIONS},
    peer,
    proto::{self, ClientMessage, ServerMessage, client_message, server_message::Kind},
    random_bytes,
    tls::{self, Identity},
};

use super::{awaited, pair::SECOND};

/// Who the test pretends to be.
pub(crate) struct Rogue {
    pub(crate) key: SigningKey,
    pub(crate) credential: Credential,
}

impl Rogue {
    /// A server that could be a peer.
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate();
        let credential = Credential {
            customer: "Stromasys/Testing".parse().expect("a name"),
            license_id: SECOND.parse().expect("a license ID"),
            mode: Mode::AutoVe,
            server_key: key.public(),
        };
        Self { key, credential }
    }

    /// Connects and introduces itself with papers that this vendor signs.
    pub(crate) async fn dial(&self, at: SocketAddr, vendor: &Vendor) -> Talk {
        self.dial_with(at, vec![credential::sign(&self.credential, vendor.key())]).await
    }

    pub(crate) async fn dial_with(&self, at: SocketAddr, peer_credentials: Vec<String>) -> Talk {
        let identity = Identity::from_pkcs8(&self.key.pkcs8_der()).expect("a key for TLS");
        let config = tls::client_config(identity).expect("a TLS client");
        let stream = TcpStream::connect(at).await.expect("a listening server");
        let connector = TlsConnector::from(std::sync::Arc::new(config));
        let stream = connector.connect(tls::server_name(), stream).await.expect("TLS");
        let mut talk = Talk { reader: FrameReader::new(stream, MAX_PEER_MESSAGE_BYTES) };
        let hello = proto::ClientHello {
            versions: VERSIONS.to_vec(),
            nonce: random_bytes::<32>().to_vec(),
            software: "a test".to_owned(),
            peer_credentials,
        };
        talk.say_kind(client_message::Kind::Hello(hello)).await;
        assert!(matches!(talk.hear().await, Some(Kind::Hello(_))), "a hello");
        talk
    }
}

/// A status of the rogue's.
pub(crate) fn status() -> PeerMessage {
    PeerMessage::Status(PeerStatus {
        license_id: SECOND.parse().expect("a license ID"),
        instances: 5,
        serves: Ok(()),
        homed: 0,
        guests: 0,
        wall: Utc(1_800_000_000),
    })
}

/// A question for everything.
pub(crate) fn pull() -> PeerMessage {
    let span = Span { id: ve_core::id::SpanId([7; 16]), after: 0 };
    PeerMessage::Pull { after: None, spans: vec![span], last: 0 }
}

/// A position in the rogue's registry.
pub(crate) fn position(number: u64) -> Position {
    Position { span: ve_core::id::SpanId([7; 16]), number }
}

/// A connection of the rogue's.
pub(crate) struct Talk {
    reader: FrameReader<TlsStream<TcpStream>>,
}

impl Talk {
    pub(crate) async fn say(&mut self, message: &PeerMessage) {
        self.say_kind(client_message::Kind::Peer(peer::write(message))).await;
    }

    /// A server that has enough of it may have hung up.
    pub(crate) async fn say_kind(&mut self, kind: client_message::Kind) {
        let message = ClientMessage { kind: Some(kind) };
        let _ = frame::write(self.reader.stream_mut(), &message).await;
    }

    /// Says bytes that no message of this version has.
    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) {
        use tokio::io::AsyncWriteExt;
        let length = u32::try_from(bytes.len()).expect("a few bytes");
        let frame = [&length.to_be_bytes()[..], bytes].concat();
        let stream = self.reader.stream_mut();
        stream.write_all(&frame).await.expect("an open connection");
        stream.flush().await.expect("an open connection");
    }

    /// The next message; `None` when the server has closed.
    pub(crate) async fn hear(&mut self) -> Option<Kind> {
        let next = awaited("a word of the server", self.reader.next::<ServerMessage>()).await;
        next.ok().flatten().and_then(|message| message.kind)
    }

    /// Waits for the next message of a peer.
    pub(crate) async fn hear_peer(&mut self) -> PeerMessage {
        loop {
            match self.hear().await.expect("an open connection") {
                Kind::Peer(message) => {
                    return peer::read(&message).expect("within limits").expect("a known kind");
                }
                Kind::Heartbeat(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Whether the server talks as with a peer, and doesn't say goodbye.
    pub(crate) async fn is_talked_with(&mut self) -> bool {
        loop {
            match self.hear().await {
                Some(Kind::Peer(_)) => return true,
                Some(Kind::Heartbeat(_)) => {}
                _ => return false,
            }
        }
    }

    /// The last words if they have come: code and sentence. Waits for no one.
    pub(crate) async fn last_words_so_far(&mut self) -> Option<(String, String)> {
        while let Some(next) = self.heard_already().await {
            let message = next.expect("an open connection, or last words");
            if let Some(Kind::Goodbye(goodbye)) = message.kind {
                let refusal = convert::refusal(&goodbye.refusal.expect("a reason"));
                return Some((refusal.code.to_string(), refusal.sentence));
            }
        }
        None
    }

    /// The next message if there is one.
    async fn heard_already(&mut self) -> Option<Result<ServerMessage, String>> {
        let next = tokio::select! {
            biased;
            next = self.reader.next::<ServerMessage>() => next,
            () = tokio::task::yield_now() => return None,
        };
        match next {
            Ok(Some(message)) => Some(Ok(message)),
            Ok(None) => Some(Err("the server has closed".to_owned())),
            Err(error) => Some(Err(error.to_string())),
        }
    }

    /// Waits for the end, and gives the last words: code and sentence.
    pub(crate) async fn ends(mut self) -> Option<(String, String)> {
        let mut words = None;
        while let Some(kind) = self.hear().await {
            if let Kind::Goodbye(goodbye) = kind {
                let refusal = convert::refusal(&goodbye.refusal.expect("a reason"));
                words = Some((refusal.code.to_string(), refusal.sentence));
            }
        }
        words
    }
}
