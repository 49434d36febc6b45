//! What comes before the first request: TLS and the two hellos, all of it within
//! [`HELLO_TIMEOUT_MS`].

use std::time::Duration;

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use ve_core::id::{HostKey, Nonce};
use ve_wire::{
    convert,
    frame::FrameReader,
    limits::{
        HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, HELLO_TIMEOUT_MS, MAX_CLIENT_MESSAGE_BYTES,
        MAX_VERSIONS, VERSIONS,
    },
    proto::{self, ClientHello, ClientMessage, client_message, server_message},
    tls::host_key,
};

use super::{
    Shared,
    error::LinkError,
    pace::Pace,
    stream::{Reader, say_goodbye, write},
};

/// A client whose host is known and that speaks our protocol.
pub(super) struct Greeted {
    pub(super) reader: Reader,
    pub(super) host: HostKey,
    /// The hello's nonce.
    pub(super) nonce: Nonce,
}

/// Greets whoever has connected. `None`: all is said, and there is nothing to talk about.
pub(super) async fn greet(
    shared: &Shared,
    stream: TcpStream,
    pace: &Pace,
) -> Result<Option<Greeted>, LinkError> {
    let deadline = Instant::now() + Duration::from_millis(HELLO_TIMEOUT_MS);
    let handshake = timeout_at(deadline, pace.run(shared.tls.accept(stream))).await;
    let stream = handshake.map_err(|_| LinkError::NoHello)?.map_err(LinkError::Tls)?;
    let host = host_key(stream.get_ref().1.peer_certificates())
        .ok_or_else(|| LinkError::Tls(std::io::Error::other("the client showed no key")))?;
    let mut reader = FrameReader::new(stream, MAX_CLIENT_MESSAGE_BYTES);
    let hellos = timeout_at(deadline, exchange_hellos(shared, &mut reader)).await;
    match hellos.unwrap_or(Err(LinkError::NoHello)) {
        Ok(nonce) => Ok(nonce.map(|nonce| Greeted { reader, host, nonce })),
        Err(error) => {
            if let Some(refusal) = error.last_words() {
                say_goodbye(&mut reader, &refusal).await;
            }
            Err(error)
        }
    }
}

/// Hears the client's hello and answers it. `None`: no license, no talk.
async fn exchange_hellos(shared: &Shared, reader: &mut Reader) -> Result<Option<Nonce>, LinkError> {
    let Some(first) = reader.next::<ClientMessage>().await? else { return Ok(None) };
    let Some(client_message::Kind::Hello(hello)) = first.kind else {
        return Err(LinkError::protocol("the first message must be a hello."));
    };
    let nonce = check(&hello)?;
    let version = convert::common_version(&hello.versions, VERSIONS);
    let credentials = shared.credentials.current();
    let ours = proto::ServerHello {
        version: version.unwrap_or(0),
        versions: VERSIONS.to_vec(),
        credentials: credentials.to_vec(),
        software: format!("licensed {}", env!("CARGO_PKG_VERSION")),
        heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS,
        heartbeat_timeout_ms: HEARTBEAT_TIMEOUT_MS,
    };
    write(reader, server_message::Kind::Hello(ours)).await?;
    if version.is_none() {
        return Err(LinkError::Version(hello.versions));
    }
    if credentials.is_empty() {
        let why = shared.node.look(|node, _| node.why_no_license()).await?;
        say_goodbye(reader, &why).await;
        return Ok(None);
    }
    Ok(Some(nonce))
}

/// Holds a hello to its limits; gives its nonce.
fn check(hello: &ClientHello) -> Result<Nonce, LinkError> {
    if hello.versions.is_empty() || hello.versions.len() > MAX_VERSIONS {
        return Err(LinkError::protocol("a hello names 1 to 16 protocol versions."));
    }
    if !hello.software.is_empty() {
        convert::name("software", &hello.software).map_err(LinkError::Protocol)?;
    }
    convert::nonce(&hello.nonce).map_err(LinkError::Protocol)
}
