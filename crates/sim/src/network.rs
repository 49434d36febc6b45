//! The network: links with their two ends, what is on its way on them, and which ways are cut.
//!
//! Bytes of one link arrive in their order; links overtake each other. Lost packets only cost time,
//! as they do under TCP: what meets a cut waits there until the cut is healed or the link is given
//! up. Heartbeats are not sent one by one. They are what keeps `silent_since` of an end empty as
//! long as both processes run and their ways are open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ve_core::{
    client::io::Attempt,
    id::{Nonce, SessionId},
    node::io::RequestId,
};
use ve_wire::{limits::HEARTBEAT_INTERVAL_MS, proto};

use crate::{clock::At, random::Random};

/// The longest that a living side is quiet, in milliseconds.
pub(crate) const BEAT_MS: u64 = HEARTBEAT_INTERVAL_MS as u64;

/// Towards whom bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// What a link carries.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// The client connects and says hello.
    Hello,
    /// The server has said hello.
    Welcome,
    /// Nobody listens on that port.
    Rejected,
    Login(Box<proto::Login>),
    Check(RequestId, Nonce, SessionId),
    Logout(RequestId, Nonce, SessionId),
    Pong(SessionId, bool),
    /// With a receipt beside it, or an empty text.
    Answer(RequestId, Box<proto::Signed>, String),
    Revoked(Box<proto::Signed>),
    Ping(SessionId),
    Closing,
    /// The other end has closed the connection.
    End,
}

/// One direction of a link.
#[derive(Debug)]
pub(crate) struct Way<M = Message> {
    /// Nothing arrives before what was sent earlier.
    free_at: At,
    /// What met a cut or somebody who stands still.
    pub(crate) stuck: VecDeque<M>,
    /// When it is tried again.
    pub(crate) retry_at: Option<At>,
}

impl<M> Default for Way<M> {
    fn default() -> Self {
        Self { free_at: 0, stuck: VecDeque::new(), retry_at: None }
    }
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Not open yet.
    Opening,
    /// Open; `silent_since`: when the last bytes came, once they have stopped to come.
    Open {
        silent_since: Option<At>,
    },
    Closed,
}

impl End {
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// What a client waits for on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Login,
    Check(SessionId),
    Logout(SessionId),
}

/// A connection of a client to a server's process.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: usize,
    /// Which run of the client's program made it.
    pub(crate) program: u64,
    pub(crate) attempt: Attempt,
    pub(crate) server: usize,
    /// The nonce of the client's hello.
    pub(crate) nonce: Nonce,
    pub(crate) to_server: Way,
    pub(crate) to_client: Way,
    pub(crate) server_end: End,
    pub(crate) client_end: End,
    /// The client's open questions.
    pub(crate) asked: BTreeMap<RequestId, (Nonce, Question)>,
    pub(crate) last_request: RequestId,
    /// The session that was granted on this link.
    pub(crate) holds: Option<SessionId>,
    /// The server's open questions.
    pub(crate) to_answer: BTreeMap<RequestId, (Nonce, Option<SessionId>)>,
    /// What the server has signed and the client has not looked at, by its hash.
    pub(crate) signed: BTreeSet<u64>,
}

impl Link {
    pub(crate) fn way(&mut self, to: Side) -> &mut Way {
        match to {
            Side::Server => &mut self.to_server,
            Side::Client => &mut self.to_client,
        }
    }

    pub(crate) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Server => &mut self.server_end,
            Side::Client => &mut self.client_end,
        }
    }

    pub(crate) fn end(&self, side: Side) -> End {
        match side {
            Side::Server => self.server_end,
            Side::Client => self.client_end,
        }
    }
}

/// A cut: which servers and hosts can't be reached from each other, and in which direction.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) name: u64,
    /// `None`: all.
    pub(crate) server: Option<usize>,
    /// Empty: all.
    pub(crate) hosts: Vec<usize>,
    /// `None`: both.
    pub(crate) to: Option<Side>,
}

/// The ways between hosts and servers.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) cuts: Vec<Cut>,
    /// Cuts between the two servers: their names, and towards which; `None`: both.
    pub(crate) peer_cuts: Vec<(u64, Option<usize>)>,
    /// Paths are slow and lossy.
    pub(crate) flaky: bool,
}

impl Network {
    pub(crate) fn is_open(&self, host: usize, server: usize, to: Side) -> bool {
        !self.cuts.iter().any(|cut| {
            cut.server.is_none_or(|cut| cut == server)
                && (cut.hosts.is_empty() || cut.hosts.contains(&host))
                && cut.to.is_none_or(|cut| cut == to)
        })
    }

    /// Whether what one server sends reaches the other, which is `to`.
    pub(crate) fn joins_peers(&self, to: usize) -> bool {
        let everywhere = |cut: &Cut| cut.server.is_some() && cut.hosts.is_empty();
        !self.cuts.iter().any(everywhere)
            && !self.peer_cuts.iter().any(|(_, towards)| towards.is_none_or(|cut| cut == to))
    }

    /// When something that is sent now arrives.
    pub(crate) fn arrival<M>(&self, random: &mut Random, at: At, way: &mut Way<M>) -> At {
        let mut delay = random.between(1, 15);
        if self.flaky {
            delay += random.between(0, 120);
            // A lost packet is sent again, later each time.
            let mut again = 200;
            while again < 2_000 && random.percent(20) {
                delay += again;
                again *= 2;
            }
        }
        way.free_at = way.free_at.max(at + delay);
        way.free_at
    }
}
