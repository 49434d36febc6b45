//! The emulator's side as one value: get a license, keep it, lose it, find it again, or end in
//! time. Driven like the server's [`crate::node`]: [`Client::handle`], [`Client::poll`],
//! [`Client::deadline`].
//!
//! The guest is sacred: it is started only under a license, asked to shut down cleanly before
//! anything harder, and runs on through every loss that heals within the grace period.

use alloc::{collections::VecDeque, string::String};

mod backoff;
mod ending;
mod grace;
pub mod io;
mod loss;
mod start;

use self::{
    backoff::Backoff,
    grace::Grace,
    io::{Attempt, ConnectError, Effect, Exit, Hook, Input, ServerIndex, Settings, Told},
};
use crate::{
    grant::Grant,
    id::SessionId,
    reason::Refusal,
    time::{Elapsed, MINUTE_MS, Now, SECOND_MS},
};

/// How long a login, a check or a logout may stay unanswered, in milliseconds.
const ANSWER_TIMEOUT_MS: u64 = 10 * SECOND_MS;

/// How often the same failure is told again while retrying, in milliseconds.
const TELL_AGAIN_MS: u64 = 10 * MINUTE_MS;

/// A client's whole state.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    license: License,
    guest: Guest,
    link: Link,
    attempt: Attempt,
    backoff: Backoff,
    /// What the last attempts came to, for the end of a round.
    round: Round,
    /// The grant that was valid last, and the session that it was for.
    grant: Option<Grant>,
    /// How the program ends once the seat has gone back.
    ends_as: Exit,
    effects: VecDeque<Effect>,
}

/// Whether there is a license.
#[derive(Debug)]
enum License {
    /// Not yet; tried since then.
    Wanted { since: Elapsed },
    /// Yes; the next check is due then.
    Valid { next_check: Elapsed },
    /// Not any more.
    Lost {
        grace: Grace,
        /// Whether the log knows: a link that is regained at once is no loss.
        announced: bool,
        told_at: Elapsed,
    },
    /// The program ends; none is wanted.
    NotWanted,
}

/// What becomes of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guest {
    NotStarted,
    Runs,
    /// It was asked to shut down.
    Asked {
        by: AskedBy,
        stop_at: Option<Elapsed>,
    },
    /// It was stopped; only its end is missing.
    Stopped {
        by: AskedBy,
    },
    Ended,
}

/// On whose account the guest ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskedBy {
    License,
    Operator,
}

/// The connection of the current attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// None; the next attempt is due then, if one is.
    Down { retry_at: Option<Elapsed> },
    /// Being made.
    Connecting { server: ServerIndex },
    /// Up, and a request is out since then.
    Asking { server: ServerIndex, since: Elapsed },
    /// Up and quiet.
    Up { server: ServerIndex },
    /// Up, and the logout is out since then.
    LoggingOut { since: Elapsed },
}

/// What a round through all servers has come to so far.
#[derive(Debug, Default)]
struct Round {
    next_server: ServerIndex,
    refused: Option<Refusal>,
    told: bool,
}

impl Client {
    /// A client that does nothing before [`Input::Start`].
    pub fn new(settings: Settings) -> Self {
        Self {
            backoff: Backoff::new(settings.seed),
            settings,
            license: License::NotWanted,
            guest: Guest::NotStarted,
            link: Link::Down { retry_at: None },
            attempt: 0,
            round: Round::default(),
            grant: None,
            ends_as: Exit::Stopped,
            effects: VecDeque::new(),
        }
    }

    /// Takes what happened, at the time `now`.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Start => self.start(now),
            Input::Connected { attempt } if attempt == self.attempt => self.connected(now),
            Input::NotConnected { attempt, why } if attempt == self.attempt => {
                self.not_connected(now, &why);
            }
            Input::LinkLost { attempt, why } if attempt == self.attempt => self.link_lost(now, why),
            Input::Granted { attempt, grant } if attempt == self.attempt => {
                self.granted(now, grant);
            }
            Input::Refused { attempt, refusal } if attempt == self.attempt => {
                self.refused(now, refusal, true);
            }
            Input::Revoked { attempt, refusal } if attempt == self.attempt => {
                self.revoked(now, refusal);
            }
            Input::LoggedOut => self.logged_out(),
            Input::GuestEnded => self.guest_ended(now),
            Input::GuestFailed => self.guest_failed(now),
            Input::StopRequested => self.stop_requested(now),
            // The rest are stragglers of an attempt that was given up.
            Input::Tick
            | Input::Connected { .. }
            | Input::NotConnected { .. }
            | Input::LinkLost { .. }
            | Input::Granted { .. }
            | Input::Refused { .. }
            | Input::Revoked { .. } => {}
        }
        self.look_at_the_clock(now);
    }

    /// The next thing to do, in order; `None` when there is nothing more.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to come back with [`Input::Tick`] at the latest; `None`: only when something happens.
    pub fn deadline(&self) -> Option<Elapsed> {
        let license = match &self.license {
            License::Valid { next_check, .. } if matches!(self.link, Link::Up { .. }) => {
                Some(*next_check)
            }
            License::Lost { grace, .. } if self.guest_may_be_asked() => Some(grace.deadline()),
            License::Lost { .. }
            | License::Valid { .. }
            | License::Wanted { .. }
            | License::NotWanted => None,
        };
        let link = match self.link {
            Link::Down { retry_at } => retry_at,
            Link::Asking { since, .. } | Link::LoggingOut { since } => {
                Some(since.plus_ms(ANSWER_TIMEOUT_MS))
            }
            Link::Connecting { .. } | Link::Up { .. } => None,
        };
        let guest = match self.guest {
            Guest::Asked { stop_at, .. } => stop_at,
            Guest::NotStarted | Guest::Runs | Guest::Stopped { .. } | Guest::Ended => None,
        };
        [license, link, guest].into_iter().flatten().min()
    }

    /// The session that the server knows this client by.
    fn session(&self) -> Option<SessionId> {
        self.grant.as_ref().map(|grant| grant.session)
    }

    fn server(&self) -> ServerIndex {
        match self.link {
            Link::Connecting { server } | Link::Asking { server, .. } | Link::Up { server } => {
                server
            }
            Link::Down { .. } | Link::LoggingOut { .. } => 0,
        }
    }

    fn guest_may_be_asked(&self) -> bool {
        matches!(self.guest, Guest::Runs | Guest::Asked { .. })
    }

    fn tell(&mut self, told: Told) {
        self.effects.push_back(Effect::Tell(told));
    }

    fn hook(&mut self, hook: Hook) {
        self.effects.push_back(Effect::RunHook(hook));
    }

    fn look_at_the_clock(&mut self, now: Now) {
        match self.link {
            Link::Down { retry_at: Some(retry_at) } if retry_at <= now.elapsed => self.connect(),
            Link::Asking { since, .. } if now.elapsed >= since.plus_ms(ANSWER_TIMEOUT_MS) => {
                self.link_lost(now, String::from("the server did not answer in time"));
            }
            Link::LoggingOut { since } if now.elapsed >= since.plus_ms(ANSWER_TIMEOUT_MS) => {
                self.logged_out();
            }
            Link::Up { server } => self.check_when_due(now, server),
            _ => {}
        }
        self.look_at_the_grace_period(now);
        self.look_at_the_guest(now);
    }

    fn check_when_due(&mut self, now: Now, server: ServerIndex) {
        if let (License::Valid { next_check, .. }, Some(session)) = (&self.license, self.session())
            && *next_check <= now.elapsed
        {
            self.link = Link::Asking { server, since: now.elapsed };
            self.effects.push_back(Effect::Check { session });
        }
    }

    fn exit(&mut self, exit: Exit) {
        self.license = License::NotWanted;
        self.link = Link::Down { retry_at: None };
        self.guest = Guest::Ended;
        self.effects.push_back(Effect::Exit(exit));
    }
}

/// What a failed connection says to a log.
fn sentence(why: &ConnectError) -> String {
    match why {
        ConnectError::Unreachable(why) | ConnectError::ProtocolVersion(why) => why.clone(),
        ConnectError::Unverified(None) => {
            String::from("the server shows no credential of a trusted vendor")
        }
        ConnectError::Unverified(Some(refusal)) => alloc::format!("unverified: {refusal}"),
    }
}
