//! A socket that counts its bytes: whoever waits for a long message sees that it is on its way.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A socket, and how much has come and left by it.
#[derive(Debug)]
pub struct Counted<S = TcpStream> {
    stream: S,
    bytes: Bytes,
}

/// How many bytes have passed a socket so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes {
    /// Those that were read.
    pub(crate) read: u64,
    /// Those that the system has taken to send.
    pub(crate) written: u64,
}

impl<S> Counted<S> {
    /// A socket that counts from now on.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, bytes: Bytes::default() }
    }

    /// How many bytes have passed.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes
    }

    fn count_written(&mut self, step: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = step {
            self.bytes.written += count as u64;
        }
        step
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let step = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.bytes.read += (buffer.filled().len() - before) as u64;
        step
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count_written(step)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.count_written(step)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn every_byte_counts_each_way() {
        let (one, mut other) = duplex(64);
        let mut counted = Counted::new(one);
        counted.write_all(b"four").await.expect("room");
        let pieces = [IoSlice::new(b"and"), IoSlice::new(b"more")];
        let more = counted.write_vectored(&pieces).await.expect("room") as u64;
        other.write_all(b"three").await.expect("room");
        let mut three = [0; 3];
        counted.read_exact(&mut three).await.expect("bytes");
        assert_eq!(counted.bytes(), Bytes { read: 3, written: 4 + more });
        let mut two = [0; 2];
        counted.read_exact(&mut two).await.expect("bytes");
        assert_eq!(counted.bytes(), Bytes { read: 5, written: 4 + more });
    }
}
