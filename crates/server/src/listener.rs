//! Takes connections in, each to a task of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use ve_core::{
    id::LinkId,
    reason::{ReasonCode, Refusal},
};
use ve_wire::limits::HEARTBEAT_TIMEOUT_MS;

use crate::{
    addresses::Addresses,
    link::{self, Shared},
    port_owner,
};

/// How many connections may wait to be taken in.
const BACKLOG: u32 = 4_096;

/// The address can't be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot bind to {address}: {source}{}", owner.as_deref().unwrap_or_default())]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
    /// Who has the port, as far as this user may know.
    owner: Option<String>,
}

/// Binds the license port. A port that is taken names the process that has it.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let attempt = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart must not wait for the kernel to forget the old connections.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    attempt().map_err(|source| {
        let taken = source.kind() == io::ErrorKind::AddrInUse;
        let owner = taken.then(|| port_owner::describe(address.port()));
        BindError { address, source, owner }
    })
}

/// Takes connections in until `stop` says so; then waits a moment for the links to end.
///
/// A panic in a link is a mistake in the license path: it is returned, and ends the server.
pub async fn accept(
    listener: TcpListener,
    shared: Shared,
    addresses: Arc<Addresses>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), tokio::task::JoinError> {
    let mut links = JoinSet::new();
    let mut last_link = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    last_link += 1;
                    take_in(&mut links, &shared, &addresses, LinkId(last_link), (stream, address));
                }
                // Out of descriptors or memory: the links there are go on, and some will end.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(ended) = links.join_next() => ended?,
            // The sender is only dropped at the end, too.
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    let all_ended = async {
        while let Some(ended) = links.join_next().await {
            ended?;
        }
        Ok(())
    };
    timeout(Duration::from_millis(1_500), all_ended).await.unwrap_or(Ok(()))
}

fn take_in(
    links: &mut JoinSet<()>,
    shared: &Shared,
    addresses: &Arc<Addresses>,
    link: LinkId,
    (stream, address): (TcpStream, SocketAddr),
) {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    match addresses.enter(address.ip()) {
        Ok(place) => {
            if prepare(&stream).is_ok() {
                links.spawn(link::serve(shared.clone(), link, stream, address, place));
            }
        }
        Err(too_many) => {
            let refusal = Refusal::new(ReasonCode::ServerBusy, format!("{too_many}."));
            shared.log.connection_refused(address, &refusal);
        }
    }
}

/// Small messages leave at once, and the kernel notices a dead host by itself.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_user_timeout(stream, HEARTBEAT_TIMEOUT_MS)?;
    Ok(())
}
