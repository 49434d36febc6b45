//! What a peer says, on its way to the node. Its messages may be large, so few of them wait in the
//! driver's inbox at a time: a peer that says more waits itself, and no client waits behind it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use ve_core::{id::LinkId, node::peer::PeerMessage};

use super::handle::{NodeHandle, Stopped};

/// How many messages of one link may wait for the node. Each has at most as many bytes as the protocol
/// allows.
const MAX_WAITING: usize = 16;

/// The way to the node for what comes over one link.
#[derive(Debug)]
pub struct Words {
    node: NodeHandle,
    link: LinkId,
    room: Arc<Semaphore>,
}

impl Words {
    /// The way for a link that the node knows.
    pub fn new(node: &NodeHandle, link: LinkId) -> Self {
        Self { node: node.clone(), link, room: Arc::new(Semaphore::new(MAX_WAITING)) }
    }

    /// Hands in a message; waits while so many of this link were not handled yet.
    pub async fn say(&self, message: PeerMessage) -> Result<(), Stopped> {
        let room = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes it");
        self.node.peer_said(Word { link: self.link, message, _room: room }).await
    }
}

/// A message of a peer. Whoever has handled it drops it, which makes room for another one.
pub(super) struct Word {
    pub(super) link: LinkId,
    pub(super) message: PeerMessage,
    _room: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use ve_core::registry::Position;

    use super::*;

    fn message() -> PeerMessage {
        let span = ve_core::id::SpanId([1; 16]);
        PeerMessage::Taken { upto: Position { span, number: 1 } }
    }

    #[tokio::test]
    async fn few_messages_wait_for_a_driver_that_is_busy() {
        let (node, mut inbox) = NodeHandle::new();
        let words = Words::new(&node, LinkId(1));
        for _ in 0..MAX_WAITING {
            words.say(message()).await.expect("a driver");
        }
        let mut next = pin!(words.say(message()));
        assert!(poll_once(next.as_mut()).is_pending(), "it waits");
        // Another link has room of its own.
        Words::new(&node, LinkId(2)).say(message()).await.expect("a driver");
        let heard = inbox.recv().await;
        assert!(poll_once(next.as_mut()).is_pending(), "it is not handled yet");
        drop(heard);
        next.await.expect("a driver");
    }

    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
