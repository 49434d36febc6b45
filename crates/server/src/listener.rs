//! Takes connections in, each to a task of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use ve_core::reason::{ReasonCode, Refusal};
use ve_wire::limits::HEARTBEAT_TIMEOUT_MS;

use crate::{
    addresses::Addresses,
    link::{self, Newcomer, Pace, Shared},
    log::Module,
    port_owner,
};

/// How many connections may wait to be taken in.
const BACKLOG: u32 = 4_096;

/// How long clients that were told of the end may stay: time to log in elsewhere and out here.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

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

/// Takes connections in until `stop` says so; then gives the links a moment to end by themselves and
/// cuts off those that stay.
///
/// A panic in a link is a mistake in the license path: it is returned, and ends the server.
pub async fn accept(
    listener: TcpListener,
    shared: Shared,
    addresses: Arc<Addresses>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), tokio::task::JoinError> {
    let mut links = JoinSet::new();
    let mut door = Door { shared, addresses, pace: Arc::default(), is_stuck: false };
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    if let Some(newcomer) = door.let_in(stream, address) {
                        links.spawn(link::serve(door.shared.clone(), newcomer));
                    }
                }
                Err(error) => door.wait_for_room(&error).await,
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
    timeout(LAST_MOMENTS, all_ended).await.unwrap_or(Ok(()))
}

/// Where connections come in.
struct Door {
    shared: Shared,
    addresses: Arc<Addresses>,
    pace: Arc<Pace>,
    /// Whether the last connection could not be taken in.
    is_stuck: bool,
}

impl Door {
    fn let_in(&mut self, stream: TcpStream, address: SocketAddr) -> Option<Newcomer> {
        self.is_stuck = false;
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let place = match self.addresses.enter(address.ip()) {
            Ok(place) => place,
            Err(too_many) => {
                let refusal = Refusal::new(ReasonCode::ServerBusy, format!("{too_many}."));
                self.shared.log.connection_refused(address, &refusal);
                return None;
            }
        };
        prepare(&stream).ok()?;
        let link = self.shared.node.name_link();
        Some(Newcomer { link, stream, address, place, pace: Arc::clone(&self.pace) })
    }

    /// Out of descriptors or memory: the links there are go on, and some will end. Said once.
    async fn wait_for_room(&mut self, error: &io::Error) {
        if !self.is_stuck {
            self.is_stuck = true;
            let message = format!(
                "No connection can be taken in: {error}. Those that are open go on, and it is tried \
                 again; if this stays so, raise the limit of open files or lower [limits] max_links."
            );
            self.shared.log.error(Module::Server, message);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Small messages leave at once, and the kernel notices a dead host by itself.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_user_timeout(stream, HEARTBEAT_TIMEOUT_MS)?;
    Ok(())
}
