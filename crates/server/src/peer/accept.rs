//! A peer that has dialed this server: its hello has said so, among those of clients.

use std::{future::pending, net::SocketAddr, sync::Arc};

use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use ve_core::{
    id::{LinkId, ServerKey},
    node::io::Note,
    reason::Refusal,
};
use ve_wire::{frame::FrameReader, tls};

use super::{
    name_of, papers,
    talk::{Ended, Talk},
    wire::Connection,
};
use crate::{
    addresses::Place,
    credentials::Known,
    driver::{Newcomer, Stopped},
    link::{Counted, Shared, say_goodbye},
};

/// A server that has said its hello, and wants to be this one's peer.
pub struct Visitor {
    /// Names the link.
    pub link: LinkId,
    /// The connection, after both hellos.
    pub reader: FrameReader<TlsStream<Counted>>,
    /// What it has shown.
    pub credentials: Vec<String>,
    /// Where it is.
    pub address: SocketAddr,
    /// Its place among all links.
    pub place: Place,
}

/// Talks with a visitor if it is who it must be.
pub async fn serve(shared: &Shared, visitor: Visitor) -> Result<(), Stopped> {
    let Visitor { link, mut reader, credentials, address, place } = visitor;
    let key = tls::server_key(reader.stream().get_ref().1.peer_certificates());
    let mut trust = shared.credentials.changes();
    let known = Arc::clone(&trust.borrow_and_update());
    let checked = papers::check(&credentials, key, &known.vendor_keys);
    let checked = checked.map(|(credential, jws)| (credential, [jws.to_owned()]));
    drop((credentials, known));
    let (credential, shown) = match checked {
        Ok(checked) => checked,
        Err(refusal) => {
            say_goodbye(&mut reader, &refusal).await;
            shared.log.note(&Note::PeerRefused { address: name_of(address), refusal });
            return Ok(());
        }
    };
    let newcomer = Newcomer { link, credential, address: name_of(address), dialed: false };
    let queue = shared.node.open_peer(newcomer).await?;
    let mut talk = Talk::new(&shared.node, link, Connection::accepted(reader), queue).at(place);
    let ended = tokio::select! {
        ended = talk.run() => ended,
        refusal = distrusted(&shown, key, trust) => Ended::Broken(refusal),
    };
    // What the node has refused it has told the log.
    if let Ended::Broken(refusal) = &ended {
        let refusal = refusal.clone();
        shared.log.note(&Note::PeerRefused { address: name_of(address), refusal });
    }
    talk.end(&ended).await
}

/// Waits until these papers hold no more: whom this server believes has changed.
async fn distrusted(
    shown: &[String],
    key: Option<ServerKey>,
    mut trust: watch::Receiver<Arc<Known>>,
) -> Refusal {
    while trust.changed().await.is_ok() {
        let known = Arc::clone(&trust.borrow_and_update());
        if let Err(refusal) = papers::check(shown, key, &known.vendor_keys) {
            return refusal;
        }
    }
    // Nothing changes any more: the server ends.
    pending().await
}
