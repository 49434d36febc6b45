//! Messages on a byte stream: a length of four bytes, then the message.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use prost::Message;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Bytes of the length before a message.
const LENGTH_BYTES: usize = 4;

/// How much is read at a time; most messages fit.
const READ_BYTES: usize = 2 * 1024;

/// Why no further message comes.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The other side claims a message of a length that is not allowed.
    #[error("a frame of {claimed} bytes was announced, allowed are 1 to {limit}")]
    Length {
        /// What it claims.
        claimed: u32,
        /// What is allowed.
        limit: usize,
    },
    /// The frame is complete, but holds no message of the protocol.
    #[error("a frame holds no message of the protocol: {0}")]
    Message(#[from] prost::DecodeError),
    /// The connection ended inside a frame.
    #[error("the connection ended inside a frame")]
    Cut,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[from] io::Error),
}

impl FrameError {
    /// Whether the other side broke the protocol, rather than the network the connection.
    pub fn is_their_fault(&self) -> bool {
        matches!(self, Self::Length { .. } | Self::Message(_))
    }
}

/// Reads messages. An announced length is only believed after it was checked, and memory is taken
/// as bytes arrive, not as they are announced.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    limit: usize,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads messages of at most `limit` bytes.
    pub fn new(stream: R, limit: usize) -> Self {
        Self { stream, limit, buffer: Vec::new() }
    }

    /// Lets messages of at most `limit` bytes through from now on: what a peer says after its hello
    /// is longer than what a client says.
    pub fn allow(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The stream, to write to it between messages.
    pub fn stream_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The stream.
    pub fn stream(&self) -> &R {
        &self.stream
    }

    /// The next message; `None` when the other side has closed between two. Cancel safe: what was
    /// read stays read.
    pub async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(Some(message));
            }
            if poll_fn(|context| self.poll_fill(context)).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Cut) };
            }
        }
    }

    /// Reads what is there. It passes over the stack, so that a link that waits keeps no buffer.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [0; READ_BYTES];
        let mut read = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        self.buffer.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    fn take_message<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let claimed = u32::from_be_bytes(*header);
        let length = claimed as usize;
        if length == 0 || length > self.limit {
            return Err(FrameError::Length { claimed, limit: self.limit });
        }
        let end = LENGTH_BYTES + length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let message = M::decode(&self.buffer[LENGTH_BYTES..end])?;
        self.buffer.drain(..end);
        if self.buffer.is_empty() {
            // An idle link keeps no buffer.
            self.buffer = Vec::new();
        }
        Ok(Some(message))
    }
}

/// A message with its length before it.
pub fn encode(message: &impl Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(LENGTH_BYTES + length);
    let announced = u32::try_from(length).expect("messages have limits far below 4 GB");
    frame.extend_from_slice(&announced.to_be_bytes());
    message.encode(&mut frame).expect("a Vec grows as it needs to");
    frame
}

/// Writes one message and flushes it.
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Message,
) -> io::Result<()> {
    stream.write_all(&encode(message)).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ClientHello, ClientMessage, Heartbeat, client_message::Kind};

    async fn read(bytes: &[u8]) -> Result<Option<ClientMessage>, FrameError> {
        FrameReader::new(bytes, 64).next().await
    }

    fn heartbeat() -> ClientMessage {
        ClientMessage { kind: Some(Kind::Heartbeat(Heartbeat {})) }
    }

    #[tokio::test]
    async fn messages_come_back_whole_in_order() {
        let bytes = [encode(&heartbeat()), encode(&heartbeat())].concat();
        let mut reader = FrameReader::new(bytes.as_slice(), 64);
        for _ in 0..2 {
            assert_eq!(reader.next().await.expect("a message"), Some(heartbeat()));
        }
        assert!(reader.next::<ClientMessage>().await.expect("a clean end").is_none());
    }

    #[tokio::test]
    async fn a_limit_can_be_raised_between_two_messages() {
        let long = ClientHello { software: "x".repeat(100), ..ClientHello::default() };
        let long = ClientMessage { kind: Some(Kind::Hello(long)) };
        let bytes = [encode(&heartbeat()), encode(&long)].concat();
        for raised in [false, true] {
            let mut reader = FrameReader::new(bytes.as_slice(), 64);
            assert_eq!(reader.next().await.expect("a message"), Some(heartbeat()));
            if raised {
                reader.allow(128);
                assert_eq!(reader.next().await.expect("a message"), Some(long.clone()));
            } else {
                let refused = reader.next::<ClientMessage>().await;
                assert!(matches!(refused, Err(FrameError::Length { limit: 64, .. })));
            }
        }
    }

    #[tokio::test]
    async fn wrong_frames_are_refused_by_name() {
        let four_gigabytes = read(&[0xff, 0xff, 0xff, 0xff]).await;
        assert!(matches!(four_gigabytes, Err(FrameError::Length { claimed: u32::MAX, limit: 64 })));
        assert!(matches!(read(&[0, 0, 0, 0]).await, Err(FrameError::Length { claimed: 0, .. })));
        assert!(matches!(read(&[0, 0, 0, 9, 1]).await, Err(FrameError::Cut)));
        assert!(matches!(read(&[0, 0]).await, Err(FrameError::Cut)));
        assert!(matches!(read(&[0, 0, 0, 2, 0xff, 0xff]).await, Err(FrameError::Message(_))));
        let http = read(b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(matches!(http, Err(FrameError::Length { .. })), "{http:?}");
    }
}
