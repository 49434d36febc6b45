//! A TCP connection to a peer whose name may stand for several addresses.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{config::PeerAddress, listener};

/// How long one address may be silent before the next one is tried.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(2);

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// The addresses that the peer's name stands for, as far as they are tried.
pub(super) async fn addresses(peer: &PeerAddress) -> io::Result<Vec<SocketAddr>> {
    let addresses = lookup_host((peer.host.as_str(), peer.port)).await?;
    Ok(addresses.take(MAX_ADDRESSES).collect())
}

/// Connects to the first of the addresses that answers; the last one may take all the time that there
/// is.
pub(super) async fn reach(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let Some((last, others)) = addresses.split_last() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    };
    for address in others {
        if let Ok(Ok(stream)) = timeout(ADDRESS_PATIENCE, TcpStream::connect(address)).await {
            listener::prepare(&stream)?;
            return Ok(stream);
        }
    }
    let stream = TcpStream::connect(last).await?;
    listener::prepare(&stream)?;
    Ok(stream)
}
