//! The beginning of a connection: TCP, TLS, the two hellos, trust. Not a word of a login before that.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use ve_core::{client::io::ConnectError, id::Nonce, reason::Refusal};
use ve_wire::{
    convert,
    frame::{self, FrameReader},
    limits::{HELLO_TIMEOUT_MS, MAX_SERVER_MESSAGE_BYTES, MAX_VERSIONS, VERSIONS},
    proto::{self, ClientMessage, ServerMessage, client_message, server_message},
    random_bytes,
    statement::Bond,
    tls,
};

use crate::{
    config::Server,
    link::{Greeted, Link, Moment},
    question::Asker,
    reach::reach,
    trust,
};

/// How long a server without a credential may take to say why it has none.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

type Reader = FrameReader<TlsStream<TcpStream>>;

/// Connects and says hello; everything within the time that the protocol gives.
pub(crate) async fn connect(server: &Server, asker: &Asker) -> Result<Link, ConnectError> {
    let patience = Duration::from_millis(HELLO_TIMEOUT_MS);
    match timeout(patience, connect_and_greet(server, asker)).await {
        Ok(outcome) => outcome,
        Err(_) => unreachable(format!("no answer within {} seconds", patience.as_secs())),
    }
}

fn unreachable<T>(why: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError::Unreachable(why.into()))
}

async fn connect_and_greet(server: &Server, asker: &Asker) -> Result<Link, ConnectError> {
    let stream = reach(server).await.or_else(|error| unreachable(error.to_string()))?;
    let connector = TlsConnector::from(asker.host.tls.clone());
    let stream = connector.connect(tls::server_name(), stream).await;
    let stream = stream.or_else(|error| unreachable(format!("no TLS connection: {error}")))?;
    let server_key = tls::server_key(stream.get_ref().1.peer_certificates());
    let mut reader = FrameReader::new(stream, MAX_SERVER_MESSAGE_BYTES);
    let nonce = Nonce(random_bytes());
    let said_hello = Moment::now(asker.clock);
    let said = frame::write(reader.stream_mut(), &hello(nonce)).await;
    said.or_else(|error| unreachable(error.to_string()))?;
    let hello = read_hello(&mut reader).await?;
    match trust::judge(&hello.credentials, server_key, &asker.vendor_keys) {
        Ok(trusted) => {
            let proto::ServerHello { heartbeat_interval_ms, heartbeat_timeout_ms, .. } = hello;
            let server_key = server_key.expect("a server without a key is not trusted");
            let bond = Bond { nonce, server_key, host: asker.host.key };
            let greeted =
                Greeted { bond, trusted, heartbeat_interval_ms, heartbeat_timeout_ms, said_hello };
            Ok(Link::new(reader, greeted, asker))
        }
        Err(distrust) => {
            // A server without any says why it has none; a stranger's words are not waited for.
            let refusal =
                if hello.credentials.is_empty() { read_goodbye(&mut reader).await } else { None };
            Err(ConnectError::Unverified { why: distrust.to_string(), refusal })
        }
    }
}

fn hello(nonce: Nonce) -> ClientMessage {
    let hello = proto::ClientHello {
        versions: VERSIONS.to_vec(),
        nonce: nonce.0.to_vec(),
        software: format!("ve-client {}", env!("CARGO_PKG_VERSION")),
        peer_credentials: Vec::new(),
    };
    ClientMessage { kind: Some(client_message::Kind::Hello(hello)) }
}

async fn read_hello(reader: &mut Reader) -> Result<proto::ServerHello, ConnectError> {
    let message = match reader.next::<ServerMessage>().await {
        Ok(Some(message)) => message,
        Ok(None) => return unreachable("the server closed the connection"),
        Err(error) => return unreachable(error.to_string()),
    };
    match message.kind {
        Some(server_message::Kind::Hello(hello)) if VERSIONS.contains(&hello.version) => Ok(hello),
        Some(server_message::Kind::Hello(mut hello)) => {
            hello.versions.truncate(MAX_VERSIONS);
            Err(ConnectError::ProtocolVersion(format!(
                "the server speaks the protocol versions {:?}, this client {VERSIONS:?}.",
                hello.versions
            )))
        }
        Some(server_message::Kind::Goodbye(goodbye)) => Err(ConnectError::Unverified {
            why: "the server ended the connection before it showed a credential".to_owned(),
            refusal: refusal_in(&goodbye),
        }),
        _ => unreachable("the server did not say hello"),
    }
}

async fn read_goodbye(reader: &mut Reader) -> Option<Refusal> {
    let message = timeout(GOODBYE_TIMEOUT, reader.next::<ServerMessage>()).await;
    match message.ok()?.ok()??.kind? {
        server_message::Kind::Goodbye(goodbye) => refusal_in(&goodbye),
        _ => None,
    }
}

fn refusal_in(goodbye: &proto::Goodbye) -> Option<Refusal> {
    goodbye.refusal.as_ref().map(convert::refusal)
}
