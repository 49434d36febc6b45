//! What comes before the first request: TLS and the two hellos, all of it within
//! [`HELLO_TIMEOUT_MS`] of the client's turn.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::Interest,
    net::TcpStream,
    time::{Instant, timeout_at},
};
use ve_core::id::{HostKey, Nonce};
use ve_wire::{
    convert,
    frame::FrameReader,
    limits::{
        HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, HELLO_TIMEOUT_MS, MAX_CLIENT_MESSAGE_BYTES,
        MAX_CREDENTIAL_BYTES, MAX_CREDENTIALS, MAX_VERSIONS, VERSIONS,
    },
    proto::{self, ClientHello, ClientMessage, client_message, server_message},
    tls::host_key,
};

use super::{
    Shared,
    counted::Counted,
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
    /// What it shows if it is a server that wants to be a peer; else nothing.
    pub(super) peer_credentials: Vec<String>,
}

/// Greets whoever has connected. `None`: all is said, and there is nothing to talk about.
pub(super) async fn greet(
    shared: &Shared,
    stream: TcpStream,
    pace: &Pace,
    is_peer: bool,
) -> Result<Option<Greeted>, LinkError> {
    let turn = pace.turn(is_peer).await;
    if turn.was_waited_for() && has_given_up(&stream) {
        return Ok(None);
    }
    let deadline = Instant::now() + Duration::from_millis(HELLO_TIMEOUT_MS);
    let handshake = timeout_at(deadline, turn.run(shared.tls.accept(Counted::new(stream)))).await;
    let stream = handshake.map_err(|_| LinkError::NoHello)?.map_err(LinkError::Tls)?;
    let host = host_key(stream.get_ref().1.peer_certificates())
        .ok_or_else(|| LinkError::Tls(std::io::Error::other("the client showed no key")))?;
    let mut reader = FrameReader::new(stream, MAX_CLIENT_MESSAGE_BYTES);
    let hellos = timeout_at(deadline, exchange_hellos(shared, &mut reader)).await;
    match hellos.unwrap_or(Err(LinkError::NoHello)) {
        Ok(hello) => Ok(hello.map(|hello| {
            let Hello { nonce, peer_credentials } = hello;
            Greeted { reader, host, nonce, peer_credentials }
        })),
        Err(error) => {
            if let Some(refusal) = error.last_words() {
                say_goodbye(&mut reader, &refusal).await;
            }
            Err(error)
        }
    }
}

/// Whether the client has hung up, as far as this side knows yet. After a long wait in the line many
/// have, and what they began is not worth a handshake.
fn has_given_up(stream: &TcpStream) -> bool {
    let mut ready = Box::pin(stream.ready(Interest::READABLE));
    let mut context = Context::from_waker(Waker::noop());
    matches!(ready.as_mut().poll(&mut context), Poll::Ready(Ok(ready)) if ready.is_read_closed())
}

/// What a client's hello says.
struct Hello {
    nonce: Nonce,
    peer_credentials: Vec<String>,
}

/// Hears the client's hello and answers it. `None`: no license, no talk.
async fn exchange_hellos(shared: &Shared, reader: &mut Reader) -> Result<Option<Hello>, LinkError> {
    let Some(first) = reader.next::<ClientMessage>().await? else { return Ok(None) };
    let Some(client_message::Kind::Hello(hello)) = first.kind else {
        return Err(LinkError::protocol("the first message must be a hello."));
    };
    let nonce = check(&hello)?;
    let version = convert::common_version(&hello.versions, VERSIONS);
    let known = shared.credentials.current();
    let credentials = if hello.peer_credentials.is_empty() {
        known.shown()
    } else {
        let served = shared.node.look(|node, _| node.served_autove()).await?;
        known.shown_to_peer(served.as_ref())
    };
    let ours = proto::ServerHello {
        version: version.unwrap_or(0),
        versions: VERSIONS.to_vec(),
        credentials,
        software: format!("licensed {}", env!("CARGO_PKG_VERSION")),
        heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS,
        heartbeat_timeout_ms: HEARTBEAT_TIMEOUT_MS,
    };
    write(reader, server_message::Kind::Hello(ours)).await?;
    if version.is_none() {
        return Err(LinkError::Version(hello.versions));
    }
    if known.credentials.is_empty() {
        let why = shared.node.look(|node, _| node.why_no_license()).await?;
        say_goodbye(reader, &why).await;
        return Ok(None);
    }
    Ok(Some(Hello { nonce, peer_credentials: hello.peer_credentials }))
}

/// Holds a hello to its limits; gives its nonce.
fn check(hello: &ClientHello) -> Result<Nonce, LinkError> {
    if hello.versions.is_empty() || hello.versions.len() > MAX_VERSIONS {
        return Err(LinkError::protocol("a hello names 1 to 16 protocol versions."));
    }
    if !hello.software.is_empty() {
        convert::name("software", &hello.software).map_err(LinkError::Protocol)?;
    }
    let credentials = &hello.peer_credentials;
    let short = |jws: &String| (1..=MAX_CREDENTIAL_BYTES).contains(&jws.len());
    if credentials.len() > MAX_CREDENTIALS || !credentials.iter().all(short) {
        return Err(LinkError::protocol(
            "a hello shows at most 32 credentials of 1 to 4096 bytes.",
        ));
    }
    convert::nonce(&hello.nonce).map_err(LinkError::Protocol)
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("a listener");
        (client, listener.accept().await.expect("a client").0)
    }

    #[tokio::test]
    async fn who_has_hung_up_is_not_taken_for_someone_who_waits() {
        let (mut client, server) = pair().await;
        assert!(!has_given_up(&server));
        client.write_all(b"the beginning of a handshake").await.expect("an open connection");
        server.readable().await.expect("an open connection");
        assert!(!has_given_up(&server), "it waits for an answer");
        drop(client);
        while !has_given_up(&server) {
            tokio::task::yield_now().await;
        }
    }
}
