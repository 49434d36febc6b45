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
mod round;
mod start;

use self::{
    backoff::Backoff,
    grace::Grace,
    io::{Attempt, Effect, Exit, Hook, Input, ServerIndex, Settings, Told},
    round::{Round, Telling},
};
use crate::{
    grant::Grant,
    id::SessionId,
    time::{Elapsed, Now, SECOND_MS},
};

/// How long a connection may take, and a login or check may stay unanswered, in milliseconds.
const ANSWER_TIMEOUT_MS: u64 = 10 * SECOND_MS;

/// How long the program's end waits for a server: for the answer to a logout, or to the login that
/// was under way, in milliseconds.
const LAST_WORDS_TIMEOUT_MS: u64 = 3 * SECOND_MS;

/// The shortest time between two checks, in milliseconds, whatever a server says.
const SHORTEST_CHECK_INTERVAL_MS: u64 = 100;

/// A client's whole state.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    license: License,
    guest: Guest,
    link: Link,
    attempt: Attempt,
    backoff: Backoff,
    round: Round,
    telling: Telling,
    /// The last loss was answered by an attempt at once, and there was no quiet time since.
    hurried: bool,
    /// The grant that was valid last; its session is what the server knows this client by.
    grant: Option<Grant>,
    /// The operator wants the end.
    stop_requested: bool,
    /// How the program ends once the seat has gone back.
    ends_as: Exit,
    /// [`Effect::Exit`] was handed out: nothing comes after it.
    over: bool,
    effects: VecDeque<Effect>,
}

/// Whether there is a license.
#[derive(Debug)]
enum License {
    /// Not yet; tried at least until then.
    Wanted { give_up_at: Elapsed },
    /// Yes, on one connection since then; the next check is due then.
    Valid { since: Elapsed, next_check: Elapsed },
    /// Not any more. `announced`: the log knows; a link that is regained at once is no loss.
    Lost { grace: Grace, announced: bool },
    /// None is wanted: before the start, and when the program ends.
    NotWanted,
}

/// What becomes of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guest {
    NotStarted,
    Runs,
    /// It was asked to shut down, and is stopped then if it has to be by then.
    Asked {
        by: AskedBy,
        stop_at: Option<Elapsed>,
    },
    /// It was stopped; only its end is missing.
    Stopped {
        by: AskedBy,
    },
    /// It has ended, or will not be started.
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
    /// Being made; given up then.
    Connecting { server: ServerIndex, until: Elapsed },
    /// Up, and a login or check is out; given up then.
    Asking { server: ServerIndex, until: Elapsed },
    /// Up and quiet.
    Up { server: ServerIndex },
    /// Up, and the logout is out; not waited for after then.
    LoggingOut { server: ServerIndex, until: Elapsed },
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
            telling: Telling::default(),
            hurried: false,
            grant: None,
            stop_requested: false,
            ends_as: Exit::Stopped,
            over: false,
            effects: VecDeque::new(),
        }
    }

    /// Takes what happened, at the time `now`. What belongs to an attempt that was given up, and
    /// what comes after the end, changes nothing.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.over {
            return;
        }
        match input {
            Input::Start => self.start(now),
            Input::Connected { attempt } if attempt == self.attempt => self.connected(now),
            Input::NotConnected { attempt, why } if attempt == self.attempt => {
                self.not_connected(now, why);
            }
            Input::LinkLost { attempt, why, late_ms } if attempt == self.attempt => {
                self.link_lost(now, why, late_ms);
            }
            Input::Granted { attempt, grant } if attempt == self.attempt => {
                self.granted(now, grant);
            }
            Input::Refused { attempt, refusal } if attempt == self.attempt => {
                self.refused(now, refusal);
            }
            Input::Revoked { attempt, refusal } if attempt == self.attempt => {
                self.revoked(now, refusal);
            }
            Input::LoggedOut { attempt } if attempt == self.attempt => self.logged_out(),
            Input::GuestEnded => self.guest_ended(now),
            Input::GuestFailed => self.guest_failed(now),
            Input::StopRequested => self.stop_requested(now),
            Input::Tick
            | Input::Connected { .. }
            | Input::NotConnected { .. }
            | Input::LinkLost { .. }
            | Input::Granted { .. }
            | Input::Refused { .. }
            | Input::Revoked { .. }
            | Input::LoggedOut { .. } => {}
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
            License::Valid { .. }
            | License::Lost { .. }
            | License::Wanted { .. }
            | License::NotWanted => None,
        };
        let link = match self.link {
            Link::Down { retry_at } => retry_at,
            Link::Connecting { until, .. }
            | Link::Asking { until, .. }
            | Link::LoggingOut { until, .. } => Some(until),
            Link::Up { .. } => None,
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

    fn guest_may_be_asked(&self) -> bool {
        matches!(self.guest, Guest::Runs | Guest::Asked { .. })
    }

    /// The server that is spoken to; the first when there is none.
    fn server(&self) -> ServerIndex {
        match self.link {
            Link::Connecting { server, .. }
            | Link::Asking { server, .. }
            | Link::Up { server }
            | Link::LoggingOut { server, .. } => server,
            Link::Down { .. } => 0,
        }
    }

    fn disconnect(&mut self) {
        if !matches!(self.link, Link::Down { .. }) {
            self.do_next(Effect::Disconnect);
        }
        self.link = Link::Down { retry_at: None };
    }

    fn do_next(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    fn tell(&mut self, told: Told) {
        self.do_next(Effect::Tell(told));
    }

    fn hook(&mut self, hook: Hook) {
        self.do_next(Effect::RunHook(hook));
    }

    fn look_at_the_clock(&mut self, now: Now) {
        match self.link {
            Link::Down { retry_at: Some(retry_at) } if retry_at <= now.elapsed => {
                self.begin_round(now);
            }
            Link::Connecting { until, .. } if until <= now.elapsed => {
                self.link_lost(now, String::from("no connection came about in time"), 0);
            }
            Link::Asking { until, .. } if until <= now.elapsed => {
                self.link_lost(now, String::from("the server did not answer in time"), 0);
            }
            Link::LoggingOut { until, .. } if until <= now.elapsed => self.hang_up(),
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
            self.link = Link::Asking { server, until: answer_by(now) };
            self.do_next(Effect::Check { session });
        }
    }
}

/// Until when an answer is waited for.
fn answer_by(now: Now) -> Elapsed {
    now.elapsed.plus_ms(ANSWER_TIMEOUT_MS)
}
