//! A TCP connection to a server whose name may stand for several addresses.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::config::Server;

/// How long one address may be silent before the next one is tried. A firewall that drops IPv6
/// must not use up the time in which IPv4 would have answered.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(1);

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// Connects to the first address of the server that answers.
pub(crate) async fn reach(server: &Server) -> io::Result<TcpStream> {
    let addresses = lookup_host((server.host.as_str(), server.port)).await?;
    let addresses: Vec<SocketAddr> = addresses.take(MAX_ADDRESSES).collect();
    reach_any(&addresses).await
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
        assert!(reach_any(&[refusing]).await.is_err());
        assert!(reach_any(&[]).await.is_err());
    }
}
