//! Plain sockets, from any address of this machine.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::server::LONG;

/// Connects from this address, such as 127.0.0.2.
pub(crate) fn connect_from(source: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&fd, &SocketAddrV4::new(source, 0)).expect("a loopback address");
    connect(&fd, &server).expect("the server listens");
    let stream = TcpStream::from(fd);
    stream.set_read_timeout(Some(LONG)).expect("an open socket");
    stream
}

/// Sends bytes, if the server still takes them.
pub(crate) fn send(mut stream: &TcpStream, bytes: &[u8]) {
    // A server that has closed already has done what it should.
    let _ = stream.write_all(bytes);
}

/// Waits until the server closes; gives what it said before.
pub(crate) fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    if let Err(error) = stream.read_to_end(&mut said) {
        let closed = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind());
        assert!(closed, "the server does not close: {error}");
    }
    said
}

/// Whether the server has closed, without waiting for it.
pub(crate) fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("an open socket");
    let mut byte = [0];
    let outcome = stream.peek(&mut byte);
    stream.set_nonblocking(false).expect("an open socket");
    !matches!(outcome, Err(error) if error.kind() == ErrorKind::WouldBlock)
}
