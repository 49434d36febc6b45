//! Rounds of attempts, one server after the other, and what of them is worth telling: the first
//! round, then one every ten minutes, and in between only what is new.

use alloc::{string::String, vec::Vec};

use super::{
    Client, License, Link, answer_by,
    io::{ConnectError, Effect, ServerIndex, Told},
};
use crate::{
    reason::{ReasonCode, Refusal},
    time::{Elapsed, MINUTE_MS, Now},
};

/// How often the same failure is told again while retrying, in milliseconds.
const TELL_AGAIN_MS: u64 = 10 * MINUTE_MS;

/// A round through all servers.
#[derive(Debug, Default)]
pub(super) struct Round {
    next_server: ServerIndex,
    /// Whether every step of it is told.
    loud: bool,
    /// What it has come to so far: the first refusal, which says more than a server that can't be
    /// reached, else the last failure.
    failure: Option<(ServerIndex, Failure)>,
}

/// What was told of the failures since the last grant.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// When a round is told in full again.
    loud_at: Elapsed,
    /// Refusals that the log knows.
    refusals: Vec<(ServerIndex, ReasonCode)>,
}

/// Why one attempt has failed.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Connect(ConnectError),
    Refused(Refusal),
}

impl Failure {
    pub(super) fn unreachable(why: String) -> Self {
        Self::Connect(ConnectError::Unreachable(why))
    }

    /// The refusal in it, whoever pronounced it.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal.clone()),
            Self::Connect(ConnectError::Unverified { refusal, .. }) => refusal.clone(),
            Self::Connect(ConnectError::ProtocolVersion(why)) => {
                Some(Refusal::new(ReasonCode::ProtocolVersionInvalid, why.clone()))
            }
            Self::Connect(ConnectError::Unreachable(_)) => None,
        }
    }

    /// A sentence for a log.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Refused(refusal) => alloc::format!("{refusal}"),
            Self::Connect(ConnectError::Unreachable(why) | ConnectError::ProtocolVersion(why)) => {
                why.clone()
            }
            Self::Connect(ConnectError::Unverified { why, refusal: None }) => why.clone(),
            Self::Connect(ConnectError::Unverified { why, refusal: Some(refusal) }) => {
                alloc::format!("{why}; it says, unverified: {refusal}")
            }
        }
    }

    /// What the log hears of it at once; `None` for what is summed up at the round's end.
    fn told(&self, server: ServerIndex) -> Option<Told> {
        match self {
            Self::Refused(refusal) => {
                Some(Told::Refused { server, refusal: refusal.clone(), verified: true })
            }
            Self::Connect(ConnectError::Unverified { refusal, .. }) => {
                let refusal = refusal.clone()?;
                Some(Told::Refused { server, refusal, verified: false })
            }
            Self::Connect(ConnectError::ProtocolVersion(why)) => {
                Some(Told::ProtocolVersionInvalid { server, why: why.clone() })
            }
            Self::Connect(ConnectError::Unreachable(_)) => None,
        }
    }
}

impl Telling {
    /// The log has just heard everything: the next rounds are quiet.
    pub(super) fn told_in_full(&mut self, now: Now) {
        self.loud_at = now.elapsed.plus_ms(TELL_AGAIN_MS);
    }

    /// A new series of attempts begins: all of it is news.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether the log has not heard this yet; from now on it has.
    pub(super) fn is_news(&mut self, server: ServerIndex, code: ReasonCode) -> bool {
        let new = !self.refusals.contains(&(server, code));
        if new {
            self.refusals.push((server, code));
        }
        new
    }
}

impl Client {
    /// Tries all servers, beginning with the first.
    pub(super) fn begin_round(&mut self, now: Now) {
        let loud = self.telling.loud_at <= now.elapsed;
        if loud {
            self.telling.told_in_full(now);
        }
        self.round = Round { loud, ..Round::default() };
        self.connect(now);
    }

    /// Tries all servers, and says nothing of it before all have failed.
    pub(super) fn begin_quiet_round(&mut self, now: Now) {
        self.round = Round::default();
        self.connect(now);
    }

    fn connect(&mut self, now: Now) {
        let server = self.round.next_server;
        self.attempt += 1;
        self.link = Link::Connecting { server, until: answer_by(now) };
        if self.round.loud {
            self.tell(Told::Trying(server));
        }
        self.do_next(Effect::Connect { attempt: self.attempt, server });
    }

    /// One server is of no use: the next one now, or the first one later.
    pub(super) fn attempt_failed(&mut self, now: Now, server: ServerIndex, failure: Failure) {
        if let License::NotWanted = self.license {
            return self.hang_up();
        }
        self.tell_of_attempt(server, &failure);
        if self.refused_so_far().is_none() {
            self.round.failure = Some((server, failure));
        }
        if server + 1 < self.settings.servers {
            self.round.next_server = server + 1;
            return self.connect(now);
        }
        match self.license {
            License::Wanted { give_up_at } => self.start_failed(now, give_up_at),
            License::Lost { .. } => self.search_failed(now),
            License::Valid { .. } | License::NotWanted => {}
        }
    }

    /// What the round has come to: which server, and why it was of no use.
    pub(super) fn take_failure(&mut self) -> (ServerIndex, Failure) {
        self.round.failure.take().unwrap_or_else(|| (0, Failure::unreachable(String::new())))
    }

    /// Whether every step of this round is told.
    pub(super) fn round_is_loud(&self) -> bool {
        self.round.loud
    }

    fn refused_so_far(&self) -> Option<Refusal> {
        self.round.failure.as_ref().and_then(|(_, failure)| failure.refusal())
    }

    fn tell_of_attempt(&mut self, server: ServerIndex, failure: &Failure) {
        // A loss that the log does not know of yet may still be none.
        if let License::Lost { announced: false, .. } = self.license {
            return;
        }
        let Some(refusal) = failure.refusal() else { return };
        let news = self.telling.is_news(server, refusal.code);
        if let Some(told) = failure.told(server)
            && (news || self.round.loud)
        {
            self.tell(told);
        }
    }

    /// What [`Self::tell_of_attempt`] kept back, now that the loss is one.
    pub(super) fn tell_what_was_kept_back(&mut self, server: ServerIndex, failure: &Failure) {
        if let Some(refusal) = failure.refusal() {
            self.telling.is_news(server, refusal.code);
        }
        if let (Failure::Connect(_), Some(told)) = (failure, failure.told(server)) {
            self.tell(told);
        }
    }
}
