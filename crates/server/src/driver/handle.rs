//! The way to the node, for everyone who has something to say to it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{mpsc, oneshot};
use ve_core::{
    id::{HostKey, LinkId, SessionId, SessionNumber},
    license::{Credential, Verified},
    node::{
        Node,
        io::{Answer, Input, RequestId},
        peer::PeerMessage,
    },
    reason::Refusal,
    registry::HostEntry,
    text::Name,
    time::Now,
};

use super::words::Word;
use crate::health::Health;

/// How many inputs may wait for the node. A link that finds no room waits, and so does its client.
const INBOX: usize = 4_096;

/// How many messages may wait for a link. A client that reads so slowly is cut off.
const LINK_QUEUE: usize = 2_560;

/// How many messages may wait for a peer: all the hosts that one server can have, named at once, and
/// some changes. A peer that reads so slowly is cut off.
const PEER_QUEUE: usize = 6_144;

/// What a link is to send. It is small: the queue of an idle link has room for dozens of them.
#[derive(Debug)]
pub enum ToLink {
    /// The answer to a request.
    Answer(RequestId, Box<Answer>),
    /// A session is taken back.
    Revoked(SessionId, Box<Refusal>),
    /// A session's client is asked whether it runs.
    Ping(SessionId),
    /// The server is about to stop.
    Closing,
    /// Something for a peer.
    Peer(Box<PeerMessage>),
    /// The other side is no peer; the link ends.
    RefusePeer(Box<Refusal>),
}

/// A peer that was recognized as far as its papers go.
#[derive(Debug)]
pub struct Newcomer {
    /// Names the link from now on.
    pub link: LinkId,
    /// Who it is.
    pub credential: Verified<Credential>,
    /// Where, `address:port`.
    pub address: Name,
    /// Whether this side dialed.
    pub dialed: bool,
}

pub(super) type Look = Box<dyn FnOnce(&Node, &Health, Now) + Send>;

/// What the node replies to the administrator.
pub type Reply = Result<String, Refusal>;

/// What comes into the driver's inbox.
#[allow(clippy::large_enum_variant, reason = "nearly all of them are inputs")]
pub(super) enum Message {
    Input(Input),
    PeerSaid(Word),
    Open { link: LinkId, host: HostKey, address: Name, queue: mpsc::Sender<ToLink> },
    OpenPeer { newcomer: Newcomer, queue: mpsc::Sender<ToLink> },
    Ask { question: Question, reply: oneshot::Sender<Reply> },
    Look(Look),
    Stop,
}

/// What an administrator asks of the node.
pub(super) enum Question {
    Release(SessionNumber),
    Settle,
    Retire(HostKey),
    Import(Vec<HostEntry>),
}

/// The node is gone: the server is stopping, or has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the license service has stopped")]
pub struct Stopped;

/// The way to the node, for everyone who has something to say to it.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    inbox: mpsc::Sender<Message>,
    last_link: Arc<AtomicU64>,
}

impl NodeHandle {
    /// A way to a node, and its other end.
    pub(super) fn new() -> (Self, mpsc::Receiver<Message>) {
        let (inbox, messages) = mpsc::channel(INBOX);
        (Self { inbox, last_link: Arc::default() }, messages)
    }

    /// A name for a new link; never given twice.
    pub fn name_link(&self) -> LinkId {
        LinkId(self.last_link.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Hands in what happened; waits while the inbox is full.
    pub async fn input(&self, input: Input) -> Result<(), Stopped> {
        self.inbox.send(Message::Input(input)).await.map_err(|_| Stopped)
    }

    /// Announces a link and gives the queue of what it is to send.
    pub async fn open_link(
        &self,
        link: LinkId,
        host: HostKey,
        address: Name,
    ) -> Result<mpsc::Receiver<ToLink>, Stopped> {
        let (queue, receiver) = mpsc::channel(LINK_QUEUE);
        self.inbox.send(Message::Open { link, host, address, queue }).await.map_err(|_| Stopped)?;
        Ok(receiver)
    }

    /// Announces a peer and gives the queue of what it is to be sent.
    pub async fn open_peer(&self, newcomer: Newcomer) -> Result<mpsc::Receiver<ToLink>, Stopped> {
        let (queue, receiver) = mpsc::channel(PEER_QUEUE);
        self.inbox.send(Message::OpenPeer { newcomer, queue }).await.map_err(|_| Stopped)?;
        Ok(receiver)
    }

    /// Hands in what a peer said; waits while the inbox is full.
    pub(super) async fn peer_said(&self, word: Word) -> Result<(), Stopped> {
        self.inbox.send(Message::PeerSaid(word)).await.map_err(|_| Stopped)
    }

    async fn ask(&self, question: Question) -> Result<Reply, Stopped> {
        let (reply, outcome) = oneshot::channel();
        self.inbox.send(Message::Ask { question, reply }).await.map_err(|_| Stopped)?;
        outcome.await.map_err(|_| Stopped)
    }

    /// Takes a session's seat back, and says what became of it.
    pub async fn release(&self, number: SessionNumber) -> Result<Reply, Stopped> {
        self.ask(Question::Release(number)).await
    }

    /// Retires a host, and says what became of it.
    pub async fn retire(&self, host: HostKey) -> Result<Reply, Stopped> {
        self.ask(Question::Retire(host)).await
    }

    /// Imports entries, all or none, and says what was news.
    pub async fn import(&self, entries: Vec<HostEntry>) -> Result<Reply, Stopped> {
        self.ask(Question::Import(entries)).await
    }

    /// Waits until everything that was handed in before is durable; a refusal says why some of it
    /// is not. On a disk that hangs that takes as long as the disk.
    pub async fn settle(&self) -> Result<Result<(), Refusal>, Stopped> {
        Ok(self.ask(Question::Settle).await?.map(drop))
    }

    /// Looks at the node.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        self.look_at_all(|node, _, now| look(node, now)).await
    }

    /// Looks at the node, and at what it has told of the service's health.
    pub async fn look_at_all<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node, &Health, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, seen) = oneshot::channel();
        let look: Look = Box::new(move |node, health, now| {
            // Whoever asked may have gone away.
            let _ = sender.send(look(node, health, now));
        });
        self.inbox.send(Message::Look(look)).await.map_err(|_| Stopped)?;
        seen.await.map_err(|_| Stopped)
    }

    /// Whether the node is gone.
    pub fn is_stopped(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Ends the driver after everything that was handed in before.
    pub async fn stop(&self) {
        let _ = self.inbox.send(Message::Stop).await;
    }
}
