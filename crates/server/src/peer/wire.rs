//! A peer's connection as messages. The side that has dialed speaks as clients do and hears what
//! servers say; the other way round it is the same talk.
//!
//! Both sides may have much to say at the same time. So what is written waits for room bit by bit,
//! and is never in the way of what is read: two servers that only wrote would wait for each other
//! for ever.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_rustls::{client, server};
use ve_core::{node::peer::PeerMessage, reason::Refusal};
use ve_wire::{
    convert,
    frame::{self, FrameError, FrameReader},
    limits::MAX_PEER_MESSAGE_BYTES,
    peer,
    proto::{self, ClientMessage, ServerMessage, client_message, server_message},
};

use crate::link::{Bytes, Counted};

/// What is said.
pub(super) enum Said<'a> {
    Heartbeat,
    Peer(&'a PeerMessage),
}

/// What is heard.
#[derive(Debug)]
pub(super) enum Heard {
    Heartbeat,
    Peer(proto::PeerMessage),
    /// The other side ends the link, and says why.
    Goodbye(Option<Refusal>),
    /// Something that this version doesn't know.
    Unknown,
    /// Something that only clients and servers say to each other.
    OutOfPlace,
}

/// A connection, either way.
pub(super) enum Connection {
    Dialed(FrameReader<client::TlsStream<Counted>>),
    Accepted(FrameReader<server::TlsStream<Counted>>),
}

/// What a look at a connection has brought.
pub(super) enum Turn {
    /// A message; `None`: the other side has closed.
    Heard(Option<Heard>),
    /// Some bytes have come or left.
    Moved,
}

impl Connection {
    pub(super) fn dialed(mut reader: FrameReader<client::TlsStream<Counted>>) -> Self {
        reader.allow(MAX_PEER_MESSAGE_BYTES);
        Self::Dialed(reader)
    }

    pub(super) fn accepted(mut reader: FrameReader<server::TlsStream<Counted>>) -> Self {
        reader.allow(MAX_PEER_MESSAGE_BYTES);
        Self::Accepted(reader)
    }

    pub(super) fn is_dialed(&self) -> bool {
        matches!(self, Self::Dialed(_))
    }

    fn encode(&self, said: &Said<'_>) -> Vec<u8> {
        match self {
            Self::Dialed(_) => {
                let kind = match said {
                    Said::Heartbeat => client_message::Kind::Heartbeat(proto::Heartbeat {}),
                    Said::Peer(message) => client_message::Kind::Peer(peer::write(message)),
                };
                frame::encode(&ClientMessage { kind: Some(kind) })
            }
            Self::Accepted(_) => {
                let kind = match said {
                    Said::Heartbeat => server_message::Kind::Heartbeat(proto::Heartbeat {}),
                    Said::Peer(message) => server_message::Kind::Peer(peer::write(message)),
                };
                frame::encode(&ServerMessage { kind: Some(kind) })
            }
        }
    }

    /// Writes as far as there is room, and reads. Cancel safe.
    pub(super) async fn turn(&mut self, outgoing: &mut Outgoing) -> Result<Turn, FrameError> {
        poll_fn(|context| {
            let before = self.bytes();
            let wrote = outgoing.poll_write(self.stream(), context)?;
            if let Poll::Ready(heard) = pin!(self.next()).poll(context) {
                return Poll::Ready(heard.map(Turn::Heard));
            }
            let moved = wrote || self.bytes() != before;
            if moved { Poll::Ready(Ok(Turn::Moved)) } else { Poll::Pending }
        })
        .await
    }

    /// How many bytes have passed so far.
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Dialed(reader) => reader.stream().get_ref().0.bytes(),
            Self::Accepted(reader) => reader.stream().get_ref().0.bytes(),
        }
    }

    fn stream(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::Dialed(reader) => reader.stream_mut(),
            Self::Accepted(reader) => reader.stream_mut(),
        }
    }

    async fn next(&mut self) -> Result<Option<Heard>, FrameError> {
        Ok(match self {
            Self::Dialed(reader) => reader.next().await?.map(of_server),
            Self::Accepted(reader) => reader.next().await?.map(of_client),
        })
    }

    /// Ends the connection, after what is still to be said.
    pub(super) async fn end(self, last_words: Option<&Refusal>) {
        match self {
            // One that dialed has no word for this; it hangs up.
            Self::Dialed(mut reader) => hang_up(reader.stream_mut()).await,
            Self::Accepted(mut reader) => match last_words {
                Some(refusal) => crate::link::say_goodbye(&mut reader, refusal).await,
                None => crate::link::close(&mut reader).await,
            },
        }
    }
}

/// Ends the stream. What is still on its way may be stuck behind a server that hardly reads; nobody
/// waits long for that.
async fn hang_up(stream: &mut (impl AsyncWrite + Unpin)) {
    // It ends in any case.
    let _ = timeout(crate::link::CLOSE_TIMEOUT, stream.shutdown()).await;
}

fn of_server(message: ServerMessage) -> Heard {
    use server_message::Kind;
    match message.kind {
        Some(Kind::Heartbeat(_)) => Heard::Heartbeat,
        Some(Kind::Peer(message)) => Heard::Peer(message),
        Some(Kind::Goodbye(goodbye)) => {
            Heard::Goodbye(goodbye.refusal.as_ref().map(convert::refusal))
        }
        Some(Kind::Closing(_)) | None => Heard::Unknown,
        Some(Kind::Hello(_) | Kind::Answer(_) | Kind::Revoked(_) | Kind::Ping(_)) => {
            Heard::OutOfPlace
        }
    }
}

fn of_client(message: ClientMessage) -> Heard {
    use client_message::Kind;
    match message.kind {
        Some(Kind::Heartbeat(_)) => Heard::Heartbeat,
        Some(Kind::Peer(message)) => Heard::Peer(message),
        None => Heard::Unknown,
        Some(
            Kind::Hello(_) | Kind::Login(_) | Kind::Check(_) | Kind::Logout(_) | Kind::Pong(_),
        ) => Heard::OutOfPlace,
    }
}

/// One message on its way out.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    /// Whether all of it is with TLS, and not yet with the network.
    flushing: bool,
}

impl Outgoing {
    /// Whether the next message may be put in.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn put(&mut self, connection: &Connection, said: &Said<'_>) {
        debug_assert!(self.is_empty(), "one message after the other");
        *self = Self { bytes: connection.encode(said), ..Self::default() };
    }

    /// Writes as far as there is room; whether anything has left.
    fn poll_write(
        &mut self,
        stream: &mut (dyn AsyncWrite + Send + Unpin),
        context: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut wrote = false;
        while !self.is_empty() {
            let step = if self.flushing {
                Pin::new(&mut *stream).poll_flush(context).map_ok(|()| 0)
            } else {
                Pin::new(&mut *stream).poll_write(context, &self.bytes[self.written..])
            };
            match step {
                Poll::Pending => return Ok(wrote),
                Poll::Ready(Ok(0)) if !self.flushing => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.advance(count?),
            }
            wrote = true;
        }
        Ok(wrote)
    }

    fn advance(&mut self, count: usize) {
        if self.flushing {
            *self = Self::default();
            return;
        }
        self.written += count;
        self.flushing = self.written == self.bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has room for `room` bytes, and no end.
    struct Stuck {
        room: usize,
    }

    impl AsyncWrite for Stuck {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(taken)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_the_end_of_a_stream_that_is_stuck() {
        let patience = crate::link::CLOSE_TIMEOUT * 60;
        timeout(patience, hang_up(&mut Stuck { room: 0 })).await.expect("an end");
    }

    #[test]
    fn what_leaves_is_noticed() {
        let bytes = vec![1; 10];
        let mut outgoing = Outgoing { bytes, ..Outgoing::default() };
        let mut context = Context::from_waker(std::task::Waker::noop());
        for (room, moves) in [(0, false), (4, true), (0, false), (6, true), (0, false)] {
            let wrote = outgoing.poll_write(&mut Stuck { room }, &mut context);
            assert_eq!(wrote.expect("a stream that holds"), moves);
            assert!(!outgoing.is_empty());
        }
    }
}
