//! The emulator's side as one value: get a license, keep it, lose it, find it again, or end in
//! time. Driven like the server's [`crate::node`]: [`Client::handle`], [`Client::poll`],
//! [`Client::deadline`].
//!
//! The guest is sacred: it is started only under a license, asked to shut down cleanly before
//! anything harder, and runs on through every loss that heals within the grace period.
//!
//! Every server has a line of its own (`line`), so that all can be asked side by side (`search`);
//! the license hangs on one of them (`licensed`) and goes back to the most preferred one
//! (`preference`) as soon as that is well (`failback`).

use alloc::{collections::VecDeque, vec::Vec};

mod backoff;
mod drain;
mod ending;
mod failback;
mod failure;
mod grace;
pub mod io;
mod licensed;
mod line;
mod loss;
mod preference;
mod search;
mod start;
mod telling;

use self::{
    backoff::Backoff,
    io::{Attempt, Effect, Exit, Hook, Input, ServerIndex, Settings, Told},
    licensed::Held,
    line::Line,
    loss::Loss,
    preference::Preference,
    search::Search,
    telling::Telling,
};
use crate::time::{Elapsed, Now, SECOND_MS};

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
    /// One for each server, as they are configured.
    lines: Vec<Line>,
    preference: Preference,
    /// The last attempt's number.
    attempts: Attempt,
    search: Search,
    /// When servers of higher preference are probed next, if they are.
    probe_at: Elapsed,
    backoff: Backoff,
    telling: Telling,
    /// The grant that was valid last.
    held: Option<Held>,
    /// The operator wants the end.
    stop_requested: bool,
    /// How the program ends once every seat has gone back.
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
    /// Yes, on the connection to this server since then; the next check is due then.
    Valid { server: ServerIndex, since: Elapsed, next_check: Elapsed },
    /// Not any more.
    Lost(Loss),
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

impl Client {
    /// A client that does nothing before [`Input::Start`].
    pub fn new(settings: Settings) -> Self {
        let mut lines = Vec::new();
        lines.resize_with(settings.servers.max(1), Line::default);
        Self {
            preference: Preference::new(lines.len(), settings.home.clone()),
            backoff: Backoff::new(settings.seed),
            settings,
            license: License::NotWanted,
            guest: Guest::NotStarted,
            lines,
            attempts: 0,
            search: Search::Off,
            probe_at: Elapsed::default(),
            telling: Telling::default(),
            held: None,
            stop_requested: false,
            ends_as: Exit::Stopped,
            over: false,
            effects: VecDeque::new(),
        }
    }

    /// Takes what happened, at the time `now`. What belongs to an attempt that was given up, and
    /// what comes after the end, changes nothing.
    pub fn handle(&mut self, now: Now, input: Input) {
        if !self.over {
            self.take(now, input);
        }
        if !self.over {
            self.look_at_the_clock(now);
        }
    }

    fn take(&mut self, now: Now, input: Input) {
        let server = line::attempt_of(&input).and_then(|attempt| self.server_of(attempt));
        match input {
            Input::Start => self.start(now),
            Input::GuestEnded => self.guest_ended(now),
            Input::GuestFailed => self.guest_failed(now),
            Input::StopRequested => self.stop_requested(now),
            said => {
                if let Some(server) = server {
                    self.hear(now, server, said);
                }
            }
        }
    }

    /// Takes what happened on a server's line.
    fn hear(&mut self, now: Now, server: ServerIndex, said: Input) {
        match said {
            Input::Connected { licenses, .. } => self.connected(now, server, licenses),
            Input::NotConnected { why, .. } => self.not_connected(now, server, why),
            Input::LinkLost { why, late_ms, .. } => self.link_lost(now, server, why, late_ms),
            Input::Granted { grant, .. } => self.granted(now, server, grant),
            Input::Refused { refusal, .. } => self.refused(now, server, refusal),
            Input::Revoked { refusal, .. } => self.revoked(now, server, refusal),
            Input::Closing { .. } => self.closing(now, server),
            Input::LoggedOut { .. } => self.logged_out(server),
            Input::Start
            | Input::GuestEnded
            | Input::GuestFailed
            | Input::StopRequested
            | Input::Tick => {}
        }
    }

    /// The next thing to do, in order; `None` when there is nothing more.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to come back with [`Input::Tick`] at the latest; `None`: only when something happens.
    /// After [`Self::handle`] it lies in the future.
    pub fn deadline(&self) -> Option<Elapsed> {
        let license = match &self.license {
            License::Valid { server, next_check, .. } => {
                (self.lines[*server].state == line::State::Up).then_some(*next_check)
            }
            License::Lost(loss) if self.guest_may_be_asked() => Some(loss.grace.deadline()),
            License::Lost(_) | License::Wanted { .. } | License::NotWanted => None,
        };
        let guest = match self.guest {
            Guest::Asked { stop_at, .. } => stop_at,
            Guest::NotStarted | Guest::Runs | Guest::Stopped { .. } | Guest::Ended => None,
        };
        let lines = self.lines.iter().filter_map(Line::deadline);
        let others = [license, guest, self.search_deadline(), self.probe_deadline()];
        lines.chain(others.into_iter().flatten()).min()
    }

    fn guest_may_be_asked(&self) -> bool {
        matches!(self.guest, Guest::Runs | Guest::Asked { .. })
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
        self.look_at_the_lines(now);
        self.look_at_the_search(now);
        self.check_when_due(now);
        self.probe_when_due(now);
        self.look_at_the_grace_period(now);
        self.look_at_the_guest(now);
    }
}
