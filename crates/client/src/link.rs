//! One connection to one server after its hellos: questions and answers, proof of life.

use std::{collections::HashMap, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::client::TlsStream;
use ve_core::{
    grant::Grant,
    id::{Nonce, ServerKey, SessionId},
    reason::Refusal,
    text::{Name, printable},
    time::{Elapsed, Now},
};
use ve_documents::keys;
use ve_wire::{
    convert,
    frame::{self, FrameReader},
    proto::{
        self, ClientMessage, ServerMessage, client_message, server_message, statement::Content,
    },
    random_bytes,
    statement::{self, Believed},
};

use crate::{
    config::Server,
    question::{Asker, Question},
};

/// The shortest and the longest that a heartbeat's interval or time-out may be, whatever a server
/// says, in milliseconds.
const HEARTBEAT_RANGE_MS: (u32, u32) = (100, 60_000);

/// The longest parting sentence that is repeated, in characters.
const MAX_PARTING_CHARACTERS: usize = 512;

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
    /// The key of the server's certificate, which the credential names.
    pub(crate) server_key: ServerKey,
    /// Whose server it is.
    pub(crate) customers: Vec<Name>,
    /// Our hello's nonce: binds what the server says unasked.
    pub(crate) nonce: Nonce,
    /// How often to say something.
    pub(crate) heartbeat_interval_ms: u32,
    /// How long the server may say nothing.
    pub(crate) heartbeat_timeout_ms: u32,
}

/// A connection to a server that has proved that its vendor knows it.
#[derive(Debug)]
pub(crate) struct Link {
    reader: FrameReader<TlsStream<TcpStream>>,
    greeted: Greeted,
    asked: HashMap<u64, (Nonce, Question)>,
    last_request: u64,
    /// The session that was granted on this link.
    holds: Option<SessionId>,
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
    last_heard: Instant,
    last_said: Instant,
    clock: fn() -> Now,
    /// `last_heard` by the clock that goes on while the machine sleeps.
    heard_at: Elapsed,
}

impl Link {
    /// The link over a connection whose hellos are said.
    pub(crate) fn new(
        reader: FrameReader<TlsStream<TcpStream>>,
        greeted: Greeted,
        clock: fn() -> Now,
    ) -> Self {
        let (shortest_ms, longest_ms) = HEARTBEAT_RANGE_MS;
        let bounded = |ms: u32| Duration::from_millis(ms.clamp(shortest_ms, longest_ms).into());
        let now = Instant::now();
        Self {
            reader,
            heartbeat_interval: bounded(greeted.heartbeat_interval_ms),
            heartbeat_timeout: bounded(greeted.heartbeat_timeout_ms),
            greeted,
            asked: HashMap::new(),
            last_request: 0,
            holds: None,
            last_heard: now,
            last_said: now,
            clock,
            heard_at: clock().elapsed,
        }
    }

    /// By how much the heartbeat time-out is over, in milliseconds. More than a moment only where
    /// the machine slept: timers sleep with it, and the server's clock does not.
    pub(crate) fn late_ms(&self) -> u64 {
        let timeout_ms = u64::try_from(self.heartbeat_timeout.as_millis()).unwrap_or(u64::MAX);
        (self.clock)().elapsed.since_ms(self.heard_at).saturating_sub(timeout_ms)
    }

    /// Whose server it is.
    pub(crate) fn customers(&self) -> &[Name] {
        &self.greeted.customers
    }

    /// Asks; the answer comes through [`Self::next`].
    pub(crate) async fn ask(
        &mut self,
        question: Question,
        asker: &Asker,
        server: &Server,
    ) -> Result<(), Lost> {
        let nonce = Nonce(random_bytes());
        self.last_request += 1;
        let request_id = self.last_request;
        self.asked.insert(request_id, (nonce, question));
        self.say(question.message(request_id, nonce, asker, server)).await
    }

    /// Says what is due.
    pub(crate) async fn pay(&mut self, owed: Owed) -> Result<(), Lost> {
        self.say(match owed {
            Owed::Heartbeat => client_message::Kind::Heartbeat(proto::Heartbeat {}),
            Owed::Pong(session) => client_message::Kind::Pong(proto::Pong {
                session: session.0.to_vec(),
                runs: self.holds == Some(session),
            }),
        })
        .await
    }

    async fn say(&mut self, kind: client_message::Kind) -> Result<(), Lost> {
        self.last_said = Instant::now();
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
            let dead_at = self.last_heard + self.heartbeat_timeout;
            tokio::select! {
                // What has come is heard before time is judged: this process may have slept.
                biased;
                message = self.reader.next::<ServerMessage>() => {
                    let message = message.map_err(|error| Lost(error.to_string()))?;
                    let Some(message) = message else {
                        return lost("the server closed the connection");
                    };
                    self.last_heard = Instant::now();
                    self.heard_at = (self.clock)().elapsed;
                    if let Some(step) = self.understand(message)? {
                        return Ok(step);
                    }
                }
                () = sleep_until(dead_at) => return lost("the server is silent"),
                () = sleep_until(beat_at) => return Ok(Step::Owes(Owed::Heartbeat)),
            }
        }
    }

    fn understand(&mut self, message: ServerMessage) -> Result<Option<Step>, Lost> {
        match message.kind {
            Some(server_message::Kind::Answer(answer)) => {
                self.understand_answer(&answer).map(|heard| Some(Step::Heard(heard)))
            }
            Some(server_message::Kind::Revoked(revoked)) => self.understand_revocation(&revoked),
            Some(server_message::Kind::Ping(ping)) => match convert::session(&ping.session) {
                Ok(session) => Ok(Some(Step::Owes(Owed::Pong(session)))),
                Err(refusal) => lost(refusal.to_string()),
            },
            Some(server_message::Kind::Closing(_)) => lost("the server is about to stop"),
            Some(server_message::Kind::Goodbye(goodbye)) => lost(parting_words(goodbye)),
            // Heartbeats, and what a later version of the protocol adds.
            Some(server_message::Kind::Heartbeat(_) | server_message::Kind::Hello(_)) | None => {
                Ok(None)
            }
        }
    }

    fn understand_answer(&mut self, answer: &proto::Answer) -> Result<Heard, Lost> {
        let Some((nonce, question)) = self.asked.remove(&answer.request_id) else {
            return lost("the server answered what was not asked");
        };
        let Believed { session, content } = self.believe(answer.signed.as_ref(), nonce)?;
        match (question, session, content) {
            (Question::Probe, Some(session), Content::Grant(grant)) => {
                self.read_grant(&grant, session)
            }
            (Question::Login(_), Some(session), Content::Grant(grant)) => {
                self.holds = Some(session);
                self.read_grant(&grant, session)
            }
            (Question::Check(asked), Some(session), Content::Grant(grant)) if session == asked => {
                self.read_grant(&grant, session)
            }
            (Question::Logout(asked), session, Content::LoggedOut(_)) if session == Some(asked) => {
                self.holds = None;
                Ok(Heard::LoggedOut)
            }
            (_, _, Content::Refusal(refusal)) => Ok(Heard::Refused(convert::refusal(&refusal))),
            (..) => lost("the server's answer does not fit the question"),
        }
    }

    fn read_grant(&self, message: &proto::Grant, session: SessionId) -> Result<Heard, Lost> {
        let grant = convert::grant(message, session)
            .map_err(|refusal| Lost(format!("the server's grant: {}", refusal.sentence)))?;
        if !self.greeted.customers.contains(&grant.customer) {
            return lost(format!(
                "the server's grant is for {}, its credential is not",
                grant.customer
            ));
        }
        Ok(Heard::Granted(Box::new(grant)))
    }

    fn understand_revocation(&mut self, revoked: &proto::Revoked) -> Result<Option<Step>, Lost> {
        let Believed { session, content } =
            self.believe(revoked.signed.as_ref(), self.greeted.nonce)?;
        let Content::Revoked(refusal) = content else {
            return lost("the server sent a revocation that is none");
        };
        // That of a session which this link doesn't hold means nothing to it.
        if session.is_none() || session != self.holds {
            return Ok(None);
        }
        self.holds = None;
        Ok(Some(Step::Heard(Heard::Revoked(convert::refusal(&refusal)))))
    }

    fn believe(&self, signed: Option<&proto::Signed>, nonce: Nonce) -> Result<Believed, Lost> {
        let server_key = self.greeted.server_key;
        let verify = |message: &[u8], signature: &[u8]| {
            keys::verify(&server_key, message, signature).is_ok()
        };
        statement::open(signed, nonce, server_key, verify).map_err(|error| Lost(error.to_string()))
    }
}

/// What a server says when it hangs up, for a log.
fn parting_words(goodbye: proto::Goodbye) -> String {
    let words = goodbye.refusal.map(|refusal| convert::refusal(&refusal).to_string());
    let words = printable(&words.unwrap_or_default(), MAX_PARTING_CHARACTERS);
    format!("the server ended the connection: {words}")
}
