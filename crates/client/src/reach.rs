//! A TCP connection to a server whose name may stand for several addresses.

use std::{io, net::SocketAddr, time::Duration};

use rustix::net::sockopt;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use ve_wire::limits::HEARTBEAT_TIMEOUT_MS;

use crate::config::Server;

/// How long one address may be silent before the next one is tried. A firewall that drops IPv6
/// must not use up the time in which IPv4 would have answered.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(1);

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// After how long without a word, and how often then, the kernel asks whether the other host lives.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Connects to the first address of the server that answers. Looking the name up may take as long as
/// the system's resolver likes: the caller gives up when it takes too long.
pub(crate) async fn reach(server: &Server) -> io::Result<TcpStream> {
    let stream = reach_any(&addresses(server).await?).await?;
    prepare(&stream)?;
    Ok(stream)
}

/// The addresses that the server's name stands for, as far as they are tried.
pub(crate) async fn addresses(server: &Server) -> io::Result<Vec<SocketAddr>> {
    let addresses = lookup_host((server.host.as_str(), server.port)).await?;
    Ok(addresses.take(MAX_ADDRESSES).collect())
}

/// Small messages leave at once, and the kernel notices a dead host or a cut cable by itself.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE)?;
    sockopt::set_tcp_user_timeout(stream, HEARTBEAT_TIMEOUT_MS)?;
    Ok(())
}

/// The last address may take all the time that there is.
async fn reach_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let Some((last, others)) = addresses.split_last() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    };
    for address in others {
        if let Ok(Ok(stream)) = timeout(ADDRESS_PATIENCE, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    TcpStream::connect(last).await
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_or_is_silent_hides_no_other() {
        // With its queue full a listener drops what comes, like a firewall.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let silent = socket.listen(0).expect("a listener");
        let silent_address = silent.local_addr().expect("bound");
        let mut queue = Vec::new();
        while let Ok(Ok(stream)) =
            timeout(Duration::from_millis(200), TcpStream::connect(silent_address)).await
        {
            queue.push(stream);
        }
        let closed = TcpListener::bind("127.200.7.3:0").await.expect("a free port");
        let refusing = closed.local_addr().expect("bound");
        drop(closed);
        let open = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let open_address = open.local_addr().expect("bound");
        let stream = reach_any(&[silent_address, refusing, open_address]).await.expect("the third");
        assert_eq!(stream.peer_addr().expect("connected"), open_address);
        prepare(&stream).expect("a TCP connection");
        assert!(stream.nodelay().expect("an option"));
        assert!(sockopt::socket_keepalive(&stream).expect("an option"));
        assert_eq!(sockopt::tcp_user_timeout(&stream), Ok(HEARTBEAT_TIMEOUT_MS));
        assert!(reach_any(&[refusing]).await.is_err());
        assert!(reach_any(&[]).await.is_err());
    }
}
