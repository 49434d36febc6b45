//! One connection to one server after its hellos: questions and answers, proof of life.

mod life;
mod understanding;

use std::{collections::HashMap, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::client::TlsStream;
use ve_core::{
    grant::Grant,
    id::{Nonce, SessionId},
    reason::Refusal,
};
use ve_wire::{
    frame::{self, FrameReader},
    proto::{self, ClientMessage, ServerMessage, client_message},
    random_bytes,
    statement::Bond,
};

use self::life::Life;
pub(crate) use self::life::{EndOfLife, Moment};
use crate::{
    config::Server,
    grants::Grants,
    question::{self, Asker, Question, Shown},
    receipts::Receipts,
    trust::Trusted,
};

/// The shortest and the longest that a heartbeat's interval or time-out may be, whatever a server
/// says, in milliseconds.
const HEARTBEAT_RANGE_MS: (u32, u32) = (100, 60_000);

/// Why a link is lost whose server shows no life.
pub(crate) const SILENT: &str = "the server is silent";

/// What a server says.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    /// A login, probe or check was granted.
    Granted(Box<Grant>),
    /// The question was refused.
    Refused(Refusal),
    /// The logout was done.
    LoggedOut,
    /// The session of this link was taken back.
    Revoked(Refusal),
    /// The server is about to stop; the link goes on for a while.
    Closing,
}

/// What a link comes to next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The server has said something for the program.
    Heard(Heard),
    /// This side must say something: [`Link::pay`].
    Owes(Owed),
}

/// What a client says to show that it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    /// It was quiet for a while.
    Heartbeat,
    /// The server asks whether this session runs.
    Pong(SessionId),
}

/// The connection is of no further use, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Lost(String);

fn lost<T>(why: impl Into<String>) -> Result<T, Lost> {
    Err(Lost(why.into()))
}

/// What the hellos have settled.
#[derive(Debug)]
pub(crate) struct Greeted {
    /// Our hello's nonce, which binds what the server says unasked; the key of its certificate, which
    /// the credential names; our own key.
    pub(crate) bond: Bond,
    /// What its vendor says of it.
    pub(crate) trusted: Trusted,
    /// How often to say something.
    pub(crate) heartbeat_interval_ms: u32,
    /// How long the server may say nothing.
    pub(crate) heartbeat_timeout_ms: u32,
    /// When we said hello, which the server has answered.
    pub(crate) said_hello: Moment,
}

/// A connection to a server that has proved that its vendor knows it.
#[derive(Debug)]
pub(crate) struct Link {
    reader: FrameReader<TlsStream<TcpStream>>,
    greeted: Greeted,
    /// What is asked, and when it was.
    asked: HashMap<u64, (Nonce, Question, Moment)>,
    last_request: u64,
    /// The session that was granted on this link.
    holds: Option<SessionId>,
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
    /// When something was said that has an answer.
    last_said: Instant,
    life: Life,
    grants: Grants,
    receipts: Receipts,
}

impl Link {
    /// The link over a connection whose hellos are said.
    pub(crate) fn new(
        reader: FrameReader<TlsStream<TcpStream>>,
        greeted: Greeted,
        asker: &Asker,
    ) -> Self {
        let (shortest_ms, longest_ms) = HEARTBEAT_RANGE_MS;
        let bounded = |ms: u32| Duration::from_millis(ms.clamp(shortest_ms, longest_ms).into());
        let heartbeat_timeout = bounded(greeted.heartbeat_timeout_ms);
        Self {
            reader,
            // Rarer, and the link would be dead before the first.
            heartbeat_interval: bounded(greeted.heartbeat_interval_ms).min(heartbeat_timeout / 2),
            heartbeat_timeout,
            life: Life::new(asker.clock, heartbeat_timeout, greeted.said_hello),
            greeted,
            asked: HashMap::new(),
            last_request: 0,
            holds: None,
            last_said: Instant::now(),
            grants: asker.grants.clone(),
            receipts: asker.receipts.clone(),
        }
    }

    /// When the heartbeat time-out is over unless the server shows that it lives.
    pub(crate) fn end_of_life(&self) -> EndOfLife {
        self.life.end()
    }

    /// What its vendor says of it.
    pub(crate) fn trusted(&self) -> &Trusted {
        &self.greeted.trusted
    }

    /// Asks; the answer comes through [`Self::next`].
    pub(crate) async fn ask(
        &mut self,
        question: Question,
        asker: &Asker,
        server: &Server,
    ) -> Result<(), Lost> {
        let nonce = Nonce(random_bytes());
        let shown = Shown {
            witnesses: match question {
                Question::Login(_) => self.grants.shown_to(self.greeted.bond.server_key).await,
                // These leave no trace at the server.
                Question::Probe | Question::Check(_) | Question::Logout(_) => Vec::new(),
            },
            facts: match question {
                Question::Login(_) | Question::Probe => self.facts(asker).await,
                Question::Check(_) | Question::Logout(_) => None,
            },
        };
        self.last_request += 1;
        let request_id = self.last_request;
        self.asked.insert(request_id, (nonce, question, self.life.now()));
        self.last_said = Instant::now();
        self.say(question.message(request_id, nonce, asker, server, shown)).await
    }

    /// What the host says of itself, if this server counts hosts. Nobody else is told.
    async fn facts(&self, asker: &Asker) -> Option<proto::HostFacts> {
        let Trusted { customers, counts_hosts, .. } = &self.greeted.trusted;
        let facts = asker.facts.as_ref().filter(|_| *counts_hosts)?;
        Some(question::facts_message(facts, self.receipts.shown_to(customers).await))
    }

    /// Says what is due.
    pub(crate) async fn pay(&mut self, owed: Owed) -> Result<(), Lost> {
        let kind = match owed {
            Owed::Heartbeat => {
                if !self.life.beats() {
                    return lost("the server answers no heartbeat");
                }
                self.last_said = Instant::now();
                client_message::Kind::Heartbeat(proto::Heartbeat {})
            }
            Owed::Pong(session) => client_message::Kind::Pong(proto::Pong {
                session: session.0.to_vec(),
                runs: self.holds == Some(session),
            }),
        };
        self.say(kind).await
    }

    async fn say(&mut self, kind: client_message::Kind) -> Result<(), Lost> {
        let message = ClientMessage { kind: Some(kind) };
        let write = frame::write(self.reader.stream_mut(), &message);
        match timeout(self.heartbeat_timeout, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => lost(format!("the connection failed: {error}")),
            Err(_) => lost("the server does not read"),
        }
    }

    /// The next thing that the server says or that is to be said to it. Gives up when the server is
    /// silent for too long. Cancel safe: nothing is written here, and what was read stays read.
    pub(crate) async fn next(&mut self) -> Result<Step, Lost> {
        loop {
            let beat_at = self.last_said + self.heartbeat_interval;
            let dead_at = self.life.ends_at();
            tokio::select! {
                // What has come is heard before time is judged: this process may have slept.
                biased;
                message = self.reader.next::<ServerMessage>() => {
                    let message = message.map_err(|error| Lost(error.to_string()))?;
                    let Some(message) = message else {
                        return lost("the server closed the connection");
                    };
                    if self.life.is_over() {
                        // It may have died since, or given the link up: this machine slept, or this
                        // process was stopped.
                        return lost("the server was not heard in time");
                    }
                    if let Some(step) = self.understand(message)? {
                        return Ok(step);
                    }
                }
                () = sleep_until(dead_at) => return lost(SILENT),
                () = sleep_until(beat_at) => return Ok(Step::Owes(Owed::Heartbeat)),
            }
        }
    }
}
