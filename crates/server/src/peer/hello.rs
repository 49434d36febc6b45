//! The beginning of a connection that this side has dialed: TLS with the server's own key, the two
//! hellos, and the other server's papers.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use ve_core::{
    license::{Credential, Verified},
    node::peer::PeerFailure,
    reason::{ReasonCode, Refusal},
};
use ve_wire::{
    convert,
    frame::{self, FrameError, FrameReader},
    limits::{MAX_SERVER_MESSAGE_BYTES, MAX_VERSIONS, VERSIONS},
    proto::{self, ClientMessage, ServerMessage, client_message, server_message::Kind},
    random_bytes, tls,
};

use super::{answered, papers};
use crate::{credentials::Known, link::Counted};

/// How long a server without a credential may take to say why it has none.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads what the other server says.
pub(super) type Reader = FrameReader<TlsStream<Counted>>;

/// What this server shows, and whom it believes.
pub(super) struct Shown<'a> {
    pub(super) known: &'a Known,
    pub(super) credentials: Vec<String>,
}

/// Introduces this server over a fresh connection; who the other one is.
pub(super) async fn greet(
    tls: &TlsConnector,
    stream: TcpStream,
    shown: &Shown<'_>,
) -> Result<(Reader, Verified<Credential>), PeerFailure> {
    let stream = tls.connect(tls::server_name(), Counted::new(stream)).await.map_err(no_tls)?;
    let key = tls::server_key(stream.get_ref().1.peer_certificates());
    let mut reader = FrameReader::new(stream, MAX_SERVER_MESSAGE_BYTES);
    let hello = proto::ClientHello {
        versions: VERSIONS.to_vec(),
        nonce: random_bytes::<32>().to_vec(),
        software: format!("licensed {}", env!("CARGO_PKG_VERSION")),
        peer_credentials: shown.credentials.clone(),
    };
    let hello = ClientMessage { kind: Some(client_message::Kind::Hello(hello)) };
    frame::write(reader.stream_mut(), &hello).await.map_err(unreachable)?;
    let credentials = read_hello(&mut reader).await?;
    if credentials.is_empty()
        && let Some(refusal) = read_goodbye(&mut reader).await
    {
        return Err(PeerFailure::Refused(answered(&refusal)));
    }
    let (credential, _) =
        papers::check(&credentials, key, &shown.known.vendor_keys).map_err(PeerFailure::Refused)?;
    Ok((reader, credential))
}

/// What the other server shows.
async fn read_hello(reader: &mut Reader) -> Result<Vec<String>, PeerFailure> {
    let message = reader.next::<ServerMessage>().await.map_err(of_frame)?;
    let message = message.ok_or_else(|| unreachable("it closed the connection"))?;
    match message.kind {
        Some(Kind::Hello(hello)) if VERSIONS.contains(&hello.version) => Ok(hello.credentials),
        Some(Kind::Hello(mut hello)) => {
            hello.versions.truncate(MAX_VERSIONS);
            let sentence = format!(
                "the other server speaks the protocol versions {:?}, this one {VERSIONS:?}.",
                hello.versions
            );
            let refusal = Refusal::new(ReasonCode::ProtocolVersionInvalid, sentence);
            Err(PeerFailure::Refused(refusal))
        }
        Some(Kind::Goodbye(proto::Goodbye { refusal: Some(refusal) })) => {
            let refusal = convert::refusal(&refusal);
            Err(match refusal.code {
                // It had no time to read the hello, and says that none came.
                ReasonCode::BadRequest => unreachable(refusal),
                _ => PeerFailure::Refused(answered(&refusal)),
            })
        }
        _ => Err(unreachable("it said no hello")),
    }
}

async fn read_goodbye(reader: &mut Reader) -> Option<Refusal> {
    let message = timeout(GOODBYE_TIMEOUT, reader.next::<ServerMessage>()).await;
    match message.ok()?.ok()??.kind? {
        Kind::Goodbye(goodbye) => goodbye.refusal.as_ref().map(convert::refusal),
        _ => None,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
fn no_tls(error: std::io::Error) -> PeerFailure {
    PeerFailure::Unreachable(format!("no TLS connection: {error}"))
}

#[allow(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
fn of_frame(error: FrameError) -> PeerFailure {
    PeerFailure::Unreachable(error.to_string())
}

#[allow(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
pub(super) fn unreachable(why: impl ToString) -> PeerFailure {
    PeerFailure::Unreachable(why.to_string())
}
