//! The talk of two servers once they know each other: what the node says goes out, what the other
//! side says goes to the node, and heartbeats show that both are there.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use ve_core::{id::LinkId, node::io::Input, reason::Refusal, time::Elapsed};
use ve_host::clock;
use ve_wire::{
    frame::FrameError,
    limits::{HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS},
    peer,
};

use super::{
    bad_request,
    wire::{Connection, Heard, Outgoing, Said, Turn},
};
use crate::{
    addresses::Place,
    driver::{NodeHandle, Stopped, ToLink, Words},
    link::Bytes,
};

const PATIENCE: Duration = Duration::from_millis(HEARTBEAT_TIMEOUT_MS as u64);
const HEARTBEAT: Duration = Duration::from_millis(HEARTBEAT_INTERVAL_MS as u64);

/// How long one message may take from end to end.
const LONGEST_MESSAGE: Duration = Duration::from_mins(1);

/// Why a talk is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The other side hung up.
    #[error("the other server closed the connection")]
    Closed,
    /// Nothing was heard for as long as a link may be silent.
    #[error("the other server was silent for {} seconds", PATIENCE.as_secs())]
    Silent,
    /// It doesn't read what it is sent.
    #[error("the other server does not read what it is sent")]
    TooSlow,
    /// The connection failed.
    #[error("{0}")]
    Failed(FrameError),
    /// The other side has said why it wants no talk.
    #[error("{0}")]
    RefusedThere(Refusal),
    /// This side wants no talk, and the node knows why.
    #[error("{0}")]
    RefusedHere(Refusal),
    /// The other side has broken the protocol.
    #[error("{0}")]
    Broken(Refusal),
    /// Another peer is configured, or this server shows something else.
    #[error("another link is wanted")]
    Changed,
    /// The server stops.
    #[error("this server stops")]
    Stopping,
    /// The node is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// How a message comes along, one way. Bytes show that the other side is there, even if it takes its
/// time for a long message on a narrow line; but every message must come to its end.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// When the message before was complete, or when this one was begun.
    since: Instant,
    /// When bytes passed last.
    moved: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { since: now, moved: now }
    }

    /// When it is over.
    fn limit(&self) -> Instant {
        (self.moved + PATIENCE).min(self.since + LONGEST_MESSAGE)
    }
}

/// Words that the node never hears of: heartbeats, and what a newer version may say. Nobody needs more
/// of them than this in [`IDLE_PERIOD`].
const MAX_IDLE_WORDS: u32 = 5_000;
const IDLE_PERIOD: Duration = Duration::from_secs(10);

/// How many such words there were lately.
#[derive(Debug, Clone, Copy)]
struct Idle {
    since: Instant,
    words: u32,
}

impl Idle {
    /// Counts one; whether it is one too many.
    fn is_too_much(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= IDLE_PERIOD {
            *self = Self { since: now, words: 0 };
        }
        self.words += 1;
        self.words > MAX_IDLE_WORDS
    }
}

/// A link to another server that the node knows of.
pub(super) struct Talk<'a> {
    node: &'a NodeHandle,
    link: LinkId,
    connection: Connection,
    /// The way to the node for what is heard.
    words: Words,
    /// What the node wants said.
    queue: mpsc::Receiver<ToLink>,
    outgoing: Outgoing,
    owes_heartbeat: bool,
    /// The place of a link that came in.
    place: Option<Place>,
    has_spoken: bool,
    /// What has passed when this was looked at last.
    bytes: Bytes,
    idle: Idle,
    /// What comes.
    heard: Pace,
    /// What leaves, or waits for room.
    said: Pace,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        node: &'a NodeHandle,
        link: LinkId,
        connection: Connection,
        queue: mpsc::Receiver<ToLink>,
    ) -> Self {
        let (now, bytes) = (Instant::now(), connection.bytes());
        Self {
            node,
            link,
            words: Words::new(node, link),
            connection,
            queue,
            outgoing: Outgoing::default(),
            owes_heartbeat: false,
            place: None,
            has_spoken: false,
            bytes,
            idle: Idle { since: now, words: 0 },
            heard: Pace::new(now),
            said: Pace::new(now),
        }
    }

    /// The same for a link that came in, which becomes a peer's at the door with the first thing that
    /// the node says to it after it has spoken.
    pub(super) fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// Talks until one side ends it. Cancel safe, as far as [`Self::end`] comes after.
    pub(super) async fn run(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.step().await {
                return ended;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Ended> {
        if self.queue.is_closed() && !self.node.is_stopped() {
            // The driver took the queue away because it was full: what the node says goes nowhere.
            return Err(Ended::TooSlow);
        }
        if self.outgoing.is_empty() {
            self.next_to_say()?;
        }
        let waits = !self.outgoing.is_empty();
        let beats = self.connection.is_dialed() && !waits;
        tokio::select! {
            // What has come is heard before time is judged: this process may have slept.
            biased;
            turn = self.connection.turn(&mut self.outgoing) => match turn.map_err(of_frame)? {
                Turn::Heard(Some(heard)) => {
                    self.judge_pace(waits)?;
                    self.hear(heard).await
                }
                Turn::Heard(None) => Err(Ended::Closed),
                Turn::Moved => self.judge_pace(waits),
            },
            message = self.queue.recv(), if !waits => self.say(message),
            () = sleep_until(self.heard.limit()) => Err(Ended::Silent),
            () = sleep_until(self.said.limit()), if waits => Err(Ended::TooSlow),
            () = sleep_until(self.said.moved + HEARTBEAT), if beats => {
                self.owes_heartbeat = true;
                Ok(())
            }
        }
    }

    /// Notes what a turn has moved. One who talks without a pause must read as well: while it is
    /// heard, no other clock is looked at.
    fn judge_pace(&mut self, waited: bool) -> Result<(), Ended> {
        let (now, bytes) = (Instant::now(), self.connection.bytes());
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes.read != before.read {
            self.heard.moved = now;
        }
        if bytes.written != before.written {
            self.said.moved = now;
        }
        let is_stuck = waited && !self.outgoing.is_empty() && self.said.limit() <= now;
        if is_stuck { Err(Ended::TooSlow) } else { Ok(()) }
    }

    /// Takes the next message if there is one, so that what comes in can't hold up what goes out.
    fn next_to_say(&mut self) -> Result<(), Ended> {
        if std::mem::take(&mut self.owes_heartbeat) {
            self.put(&Said::Heartbeat);
            return Ok(());
        }
        match self.queue.try_recv() {
            Ok(message) => self.say(Some(message)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(()),
            Err(mpsc::error::TryRecvError::Disconnected) => self.say(None),
        }
    }

    fn put(&mut self, said: &Said<'_>) {
        self.outgoing.put(&self.connection, said);
        self.said = Pace::new(Instant::now());
    }

    fn say(&mut self, message: Option<ToLink>) -> Result<(), Ended> {
        match message {
            Some(ToLink::Peer(message)) => {
                if std::mem::take(&mut self.has_spoken)
                    && let Some(place) = &mut self.place
                {
                    place.set_peer();
                }
                self.put(&Said::Peer(&message));
                Ok(())
            }
            Some(ToLink::RefusePeer(refusal)) => Err(Ended::RefusedHere(*refusal)),
            Some(ToLink::Closing) => Err(Ended::Stopping),
            // Those are for clients.
            Some(ToLink::Answer(..) | ToLink::Revoked(..) | ToLink::Ping(_)) => Ok(()),
            None if self.node.is_stopped() => Err(Stopped.into()),
            // The driver took the queue away because it was full.
            None => Err(Ended::TooSlow),
        }
    }

    async fn hear(&mut self, heard: Heard) -> Result<(), Ended> {
        self.heard = Pace::new(Instant::now());
        match heard {
            Heard::Heartbeat => {
                self.count_idle()?;
                self.owes_heartbeat |= !self.connection.is_dialed();
            }
            Heard::Peer(message) => {
                // One that this version doesn't know is passed over.
                if let Some(message) = peer::read(&message).map_err(Ended::Broken)? {
                    self.words.say(message).await?;
                    self.has_spoken = true;
                } else {
                    self.count_idle()?;
                }
            }
            Heard::Goodbye(Some(refusal)) => {
                // Two that refuse each other do so at once. Once the node has judged the other one, its
                // own words are here, and the log has them.
                self.node.look(|_, _| ()).await?;
                return Err(match self.queue.try_recv() {
                    Ok(ToLink::RefusePeer(own)) => Ended::RefusedHere(*own),
                    _ => Ended::RefusedThere(refusal),
                });
            }
            Heard::Goodbye(None) => return Err(Ended::Closed),
            Heard::Unknown => self.count_idle()?,
            Heard::OutOfPlace => {
                return Err(Ended::Broken(bad_request("a peer asks for no seats and gives none.")));
            }
        }
        Ok(())
    }

    fn count_idle(&mut self) -> Result<(), Ended> {
        if self.idle.is_too_much(Instant::now()) {
            return Err(Ended::Broken(bad_request("it says nothing, and that too fast.")));
        }
        Ok(())
    }

    /// Tells the node, then the other side.
    pub(super) async fn end(self, ended: &Ended) -> Result<(), Stopped> {
        let silent_ms = u64::try_from(self.heard.moved.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last_heard = Elapsed(clock::elapsed().0.saturating_sub(silent_ms));
        self.node.input(Input::LinkClosed { link: self.link, last_heard }).await?;
        match ended {
            Ended::RefusedHere(refusal) | Ended::Broken(refusal) => {
                self.connection.end(Some(refusal)).await;
            }
            _ => self.connection.end(None).await,
        }
        Ok(())
    }
}

fn of_frame(error: FrameError) -> Ended {
    if error.is_their_fault() {
        Ended::Broken(bad_request(ve_core::text::sentence(error)))
    } else {
        Ended::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_says_it_slowly() {
        let now = Instant::now();
        let mut idle = Idle { since: now, words: 0 };
        assert!((0..MAX_IDLE_WORDS).all(|_| !idle.is_too_much(now)));
        assert!(idle.is_too_much(now));
        assert!(!idle.is_too_much(now + IDLE_PERIOD));
    }

    #[test]
    fn bytes_are_life_for_as_long_as_a_message_may_take() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(pace.limit(), now + PATIENCE);
        pace.moved = now + PATIENCE / 2;
        assert_eq!(pace.limit(), pace.moved + PATIENCE);
        pace.moved = now + LONGEST_MESSAGE;
        assert_eq!(pace.limit(), now + LONGEST_MESSAGE);
    }
}
