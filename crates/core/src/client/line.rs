//! One server's line: at most one connection, and what is going on over it.

use alloc::{string::String, vec::Vec};

use super::{
    ANSWER_TIMEOUT_MS, Client, License,
    failure::Failure,
    io::{Attempt, ConnectError, Effect, Input, ServerIndex},
};
use crate::{
    id::{LicenseId, SessionId},
    time::{Elapsed, Now},
};

/// What a client has with one server.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The attempt that made the connection.
    attempt: Attempt,
    pub(super) state: State,
    /// What the connection is made for.
    pub(super) aim: Aim,
    /// The server has said over this connection that it is about to stop.
    pub(super) closing: bool,
    /// The last probe of this server was a good one.
    pub(super) probed: bool,
    /// When a license that hung on this server was last lost, or left because it was closing.
    pub(super) lost_at: Option<Elapsed>,
}

/// How far a connection has come. What has an `until` is given up then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// There is none.
    #[default]
    Idle,
    /// It is being made.
    Connecting { until: Elapsed },
    /// It stands, and its login waits for the home's head start.
    Greeted { until: Elapsed },
    /// A login is out.
    LoggingIn { until: Elapsed },
    /// The license hangs on it, and it is quiet.
    Up,
    /// The license hangs on it, and a check is out.
    Checking { until: Elapsed },
    /// A login was granted that is of no use any more; the seat goes back when the guest has ended,
    /// which may still run.
    Granted { session: SessionId },
    /// A seat goes back over it.
    LoggingOut { until: Elapsed },
}

/// What a connection is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Aim {
    /// To start the guest.
    #[default]
    Start,
    /// To find a license again, or another one in time.
    Search,
    /// To see whether a server of higher preference is well.
    Probe,
    /// To go back to it.
    Failback,
}

impl Line {
    /// When something on it is given up.
    pub(super) fn deadline(&self) -> Option<Elapsed> {
        match self.state {
            State::Connecting { until }
            | State::Greeted { until }
            | State::LoggingIn { until }
            | State::Checking { until }
            | State::LoggingOut { until } => Some(until),
            State::Idle | State::Up | State::Granted { .. } => None,
        }
    }
}

/// The attempt that an input belongs to; `None` for what is not a server's.
pub(super) fn attempt_of(input: &Input) -> Option<Attempt> {
    match input {
        Input::Connected { attempt, .. }
        | Input::NotConnected { attempt, .. }
        | Input::LinkLost { attempt, .. }
        | Input::Granted { attempt, .. }
        | Input::Refused { attempt, .. }
        | Input::Revoked { attempt, .. }
        | Input::Closing { attempt }
        | Input::LoggedOut { attempt } => Some(*attempt),
        Input::Start
        | Input::GuestEnded
        | Input::GuestFailed
        | Input::StopRequested
        | Input::Tick => None,
    }
}

impl Client {
    /// The server that an attempt still speaks with.
    pub(super) fn server_of(&self, attempt: Attempt) -> Option<ServerIndex> {
        let is_it = |line: &Line| line.attempt == attempt && line.state != State::Idle;
        self.lines.iter().position(is_it)
    }

    pub(super) fn connect(&mut self, now: Now, server: ServerIndex, aim: Aim) {
        self.attempts += 1;
        let attempt = self.attempts;
        let line = &mut self.lines[server];
        (line.attempt, line.aim, line.closing) = (attempt, aim, false);
        line.state = State::Connecting { until: answer_by(now) };
        self.do_next(Effect::Connect { attempt, server });
    }

    pub(super) fn disconnect(&mut self, server: ServerIndex) {
        let line = &mut self.lines[server];
        if core::mem::take(&mut line.state) != State::Idle {
            let attempt = line.attempt;
            self.do_next(Effect::Disconnect { attempt });
        }
    }

    pub(super) fn connected(&mut self, now: Now, server: ServerIndex, licenses: Vec<LicenseId>) {
        let State::Connecting { until } = self.lines[server].state else { return };
        self.learn(now, |preference| preference.shown(server, licenses));
        if self.was_only_a_probe(server) {
            self.disconnect(server);
        } else if self.lets_home_go_first(now, server) {
            self.lines[server].state = State::Greeted { until };
        } else {
            self.log_in(now, server);
        }
    }

    /// Asks for a license over a connection that stands.
    pub(super) fn log_in(&mut self, now: Now, server: ServerIndex) {
        let session = self.session_at(server);
        let line = &mut self.lines[server];
        line.state = State::LoggingIn { until: answer_by(now) };
        let attempt = line.attempt;
        self.do_next(Effect::Login { attempt, session });
    }

    pub(super) fn not_connected(&mut self, now: Now, server: ServerIndex, why: ConnectError) {
        let State::Connecting { .. } = self.lines[server].state else { return };
        // There is nothing to disconnect from.
        self.lines[server].state = State::Idle;
        self.attempt_failed(now, server, &Failure::Connect(why));
    }

    /// The connection is gone or of no use any more.
    pub(super) fn link_lost(&mut self, now: Now, server: ServerIndex, why: String, late_ms: u64) {
        match self.lines[server].state {
            State::Idle => {}
            State::Granted { .. } | State::LoggingOut { .. } => self.hang_up(server),
            State::Up | State::Checking { .. } => {
                self.license_link_lost(now, server, why, late_ms);
            }
            // Nothing was granted on this connection yet: the attempt has failed.
            State::Connecting { .. } | State::Greeted { .. } | State::LoggingIn { .. } => {
                self.disconnect(server);
                self.attempt_failed(now, server, &Failure::unreachable(why));
            }
        }
    }

    /// Asks, when it is time, whether the session is still licensed.
    pub(super) fn check_when_due(&mut self, now: Now) {
        if let License::Valid { server, next_check, .. } = self.license
            && next_check <= now.elapsed
            && self.lines[server].state == State::Up
            && let Some(session) = self.session_at(server)
        {
            let line = &mut self.lines[server];
            line.state = State::Checking { until: answer_by(now) };
            let attempt = line.attempt;
            self.do_next(Effect::Check { attempt, session });
        }
    }

    /// Gives the seat of `session` back.
    pub(super) fn log_out(
        &mut self,
        server: ServerIndex,
        session: Option<SessionId>,
        until: Elapsed,
    ) {
        let Some(session) = session else { return self.hang_up(server) };
        let line = &mut self.lines[server];
        line.state = State::LoggingOut { until };
        let attempt = line.attempt;
        self.do_next(Effect::Logout { attempt, session });
    }

    /// Gives up what takes too long. A machine that slept meanwhile has lost its license when the
    /// time was over, not when it woke.
    pub(super) fn look_at_the_lines(&mut self, now: Now) {
        for server in 0..self.lines.len() {
            let line = &self.lines[server];
            if let Some(until) = line.deadline()
                && until <= now.elapsed
            {
                let why = match line.state {
                    State::Connecting { .. } => "no connection came about in time",
                    _ => "the server did not answer in time",
                };
                self.link_lost(now, server, String::from(why), now.elapsed.since_ms(until));
            }
        }
    }

    /// The session that a server knows this client by. Who was licensed elsewhere since has none
    /// there any more: to come back to it would charge its hours for the time between.
    pub(super) fn session_at(&self, server: ServerIndex) -> Option<SessionId> {
        self.held.as_ref().filter(|held| held.server == server).map(|held| held.grant.session)
    }
}

/// Until when an answer is waited for.
fn answer_by(now: Now) -> Elapsed {
    now.elapsed.plus_ms(ANSWER_TIMEOUT_MS)
}
