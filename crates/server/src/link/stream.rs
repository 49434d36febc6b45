//! Writing to a link, and ending it so that its last words arrive.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    time::timeout,
};
use tokio_rustls::server::TlsStream;
use ve_core::reason::Refusal;
use ve_wire::{
    convert,
    frame::{self, FrameReader},
    limits::HEARTBEAT_TIMEOUT_MS,
    proto::{self, ServerMessage, server_message::Kind},
};

use super::{counted::Counted, error::LinkError};

/// How long an ended link may take to close.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How much of what a client says to an ended link is read and dropped, in bytes.
const MAX_DROPPED_BYTES: u64 = 1 << 20;

/// Reads a link's messages, and gives its stream for writing between them.
pub(crate) type Reader = FrameReader<TlsStream<Counted>>;

/// Writes one message. A client that takes nothing for as long as a link may be silent is lost.
pub(super) async fn write(reader: &mut Reader, kind: Kind) -> Result<(), LinkError> {
    let patience = Duration::from_millis(HEARTBEAT_TIMEOUT_MS.into());
    let message = ServerMessage { kind: Some(kind) };
    let written = timeout(patience, frame::write(reader.stream_mut(), &message)).await;
    written.map_err(|_| LinkError::TooSlow)?.map_err(LinkError::Write)
}

/// Says why the connection ends, to a client that listens; nobody waits long for one that does not.
pub(crate) async fn say_goodbye(reader: &mut Reader, refusal: &Refusal) {
    let goodbye = proto::Goodbye { refusal: Some(convert::refusal_message(refusal)) };
    if timeout(CLOSE_TIMEOUT, write(reader, Kind::Goodbye(goodbye))).await.is_ok_and(|w| w.is_ok())
    {
        close(reader).await;
    }
}

/// Ends the connection.
///
/// What the client has sent and nobody read would make the kernel reset the connection, and the
/// client might lose the last words that are still on their way; so it is read and dropped.
pub(crate) async fn close(reader: &mut Reader) {
    let stream = reader.stream_mut();
    let ended = async {
        stream.shutdown().await?;
        copy(&mut stream.take(MAX_DROPPED_BYTES), &mut sink()).await
    };
    // It ends in any case.
    let _ = timeout(CLOSE_TIMEOUT, ended).await;
}
