//! What the world knows of a client from what it told it, and what must follow from that. None of it
//! is asked of the machine.

use std::collections::BTreeMap;

use ve_core::{
    client::io::{Attempt, Effect, Hook, Input, ServerIndex, Settings, Told},
    grant::Grant,
    id::{LicenseId, SessionId},
    time::{Elapsed, SECOND_MS},
};

/// How long an answer, and one to a logout, is waited for, in milliseconds.
const ANSWER_MS: u64 = 10 * SECOND_MS;
/// See [`ANSWER_MS`].
const LAST_WORDS_MS: u64 = 3 * SECOND_MS;

/// A connection, as the world knows it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) server: ServerIndex,
    pub(crate) state: State,
    /// The session that the login named.
    pub(crate) named: Option<SessionId>,
    /// The seat that it was granted, until that is gone.
    seat: Option<SessionId>,
    closing: bool,
}

impl Line {
    /// The session of the seat that hangs on it.
    pub(crate) fn seat(&self) -> Option<SessionId> {
        self.seat
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Making,
    Open,
    LoginOut,
    CheckOut(Elapsed),
    LogoutOut(Elapsed),
    /// Of no use any more: it must be closed.
    Useless,
}

/// A guest as the world knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guest {
    NotStarted,
    Runs,
    /// By the operator: until it has ended it is licensed like any other.
    Stopped,
    /// Its grace period was over.
    Expired,
    Ended,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Oracle {
    settings: Settings,
    pub(crate) lines: BTreeMap<Attempt, Line>,
    /// Where the host is at home, as far as the client was told.
    home: Option<LicenseId>,
    /// What each server has shown.
    shown: BTreeMap<ServerIndex, Vec<LicenseId>>,
    last_attempt: Attempt,
    /// The connection that the license hangs on.
    holder: Option<Attempt>,
    /// The grant that counted last, and whose it was.
    held: Option<(ServerIndex, Grant)>,
    /// When grace is over, if it runs.
    ends: Elapsed,
    guest: Guest,
    guest_asked: bool,
    stops: u32,
    /// Whether the last of the hooks for it was for a loss.
    hooked_lost: bool,
    last_told: Option<Told>,
    pub(crate) over: bool,
}

impl Oracle {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            lines: BTreeMap::new(),
            home: settings.home.clone(),
            shown: BTreeMap::new(),
            last_attempt: 0,
            holder: None,
            held: None,
            ends: Elapsed(0),
            guest: Guest::NotStarted,
            guest_asked: false,
            stops: 0,
            hooked_lost: false,
            last_told: None,
            over: false,
        }
    }

    /// The server that licenses.
    pub(crate) fn licensed_by(&self) -> Option<ServerIndex> {
        self.holder.map(|attempt| self.lines[&attempt].server)
    }

    /// The server that is preferred: the home, or of two the one that still may be it.
    fn preferred(&self) -> ServerIndex {
        let Some(home) = &self.home else { return 0 };
        let is_home = |server| self.shown.get(&server).map(|shown| shown.contains(home));
        let home = (0..self.settings.servers).find(|&server| is_home(server) == Some(true));
        home.unwrap_or(match (self.settings.servers, is_home(0), is_home(1)) {
            (2, Some(false), None) => 1,
            _ => 0,
        })
    }

    /// Whether `server` is preferred to `other`.
    fn is_better(&self, server: ServerIndex, other: ServerIndex) -> bool {
        let preferred = self.preferred();
        server != other && (server == preferred || (other != preferred && server < other))
    }

    /// Whether a guest runs, or may yet, and nobody has asked for its end.
    pub(crate) fn goes_on(&self) -> bool {
        !self.over && self.guest == Guest::Runs && self.stops == 0
    }

    /// Whether a seat would still be kept.
    fn wants_license(&self) -> bool {
        matches!(self.guest, Guest::NotStarted | Guest::Runs | Guest::Stopped)
    }

    fn lost(&mut self, at: Elapsed) {
        let grace_ms = self.held.as_ref().map_or(0, |(_, grant)| grant.grace_ms);
        (self.holder, self.ends) = (None, at.plus_ms(grace_ms));
    }

    /// What an input means, before the client has a say.
    pub(crate) fn hears(&mut self, now: Elapsed, input: &Input) {
        match input {
            Input::Connected { attempt, licenses } => {
                if self.state(*attempt) == Some(State::Making) {
                    let line = self.line(*attempt);
                    line.state = State::Open;
                    let server = line.server;
                    self.shown.insert(server, licenses.clone());
                }
            }
            Input::NotConnected { attempt, .. } => {
                if self.state(*attempt) == Some(State::Making) {
                    self.lines.remove(attempt);
                }
            }
            Input::LinkLost { attempt, late_ms, .. } => {
                self.useless(*attempt, Elapsed(now.0.saturating_sub(*late_ms)));
            }
            Input::Granted { attempt, grant } => self.hears_grant(*attempt, grant),
            Input::Refused { attempt, .. } => {
                let unasked = [State::Making, State::Open, State::Useless];
                if self.state(*attempt).is_some_and(|state| !unasked.contains(&state)) {
                    self.useless(*attempt, now);
                }
            }
            Input::Revoked { attempt, .. } if self.holder == Some(*attempt) => {
                self.useless(*attempt, now);
            }
            Input::Closing { attempt } => {
                if let Some(line) = self.lines.get_mut(attempt) {
                    line.closing = true;
                }
            }
            Input::LoggedOut { attempt } => {
                if let Some(State::LogoutOut(_)) = self.state(*attempt) {
                    self.useless(*attempt, now);
                }
            }
            Input::StopRequested => {
                self.stops += 1;
                if self.guest == Guest::NotStarted {
                    (self.guest, self.holder) = (Guest::Ended, None);
                }
            }
            Input::GuestEnded | Input::GuestFailed => {
                if let Guest::Runs | Guest::Stopped | Guest::Expired = self.guest {
                    (self.guest, self.holder) = (Guest::Ended, None);
                }
            }
            Input::Revoked { .. } | Input::Start | Input::Tick => {}
        }
    }

    fn state(&self, attempt: Attempt) -> Option<State> {
        self.lines.get(&attempt).map(|line| line.state)
    }

    fn line(&mut self, attempt: Attempt) -> &mut Line {
        self.lines.get_mut(&attempt).expect("a connection that stands")
    }

    fn useless(&mut self, attempt: Attempt, at: Elapsed) {
        if self.lines.contains_key(&attempt) {
            let line = self.line(attempt);
            (line.state, line.seat) = (State::Useless, None);
        }
        if self.holder == Some(attempt) {
            self.lost(at);
        }
    }

    fn hears_grant(&mut self, attempt: Attempt, grant: &Grant) {
        match self.state(attempt) {
            Some(State::CheckOut(_)) => self.home.clone_from(&grant.home),
            Some(State::LoginOut) => self.line(attempt).seat = Some(grant.session),
            _ => return,
        }
        let line = self.line(attempt);
        line.state = State::Open;
        let (server, closing) = (line.server, line.closing);
        let better = self.holder.is_none_or(|holder| {
            let before = &self.lines[&holder];
            holder == attempt
                || (!closing && (before.closing || self.is_better(server, before.server)))
        });
        if self.wants_license() && better {
            self.holder = Some(attempt);
            self.held = Some((server, grant.clone()));
            self.home.clone_from(&grant.home);
        }
    }

    /// What comes out, and whether it may. `granted`: a grant has just come in.
    pub(crate) fn sees(&mut self, now: Elapsed, effect: &Effect, granted: bool) {
        assert!(!self.over, "{effect:?} after the exit");
        match effect {
            Effect::Connect { attempt, server } => self.sees_connect(*attempt, *server),
            Effect::Login { attempt, session } => self.sees_login(*attempt, *session),
            Effect::Check { attempt, session } => {
                assert_eq!(self.holder, Some(*attempt), "only what licenses is checked");
                assert_eq!(self.lines[attempt].seat, Some(*session), "the seat's own session");
                assert_eq!(self.state(*attempt), Some(State::Open));
                self.line(*attempt).state = State::CheckOut(now);
            }
            Effect::Logout { attempt, session } => {
                assert_ne!(self.holder, Some(*attempt), "what licenses is kept");
                assert_eq!(self.lines[attempt].seat, Some(*session), "the seat's own session");
                self.line(*attempt).state = State::LogoutOut(now);
            }
            Effect::Disconnect { attempt } => self.sees_disconnect(now, *attempt),
            Effect::StartGuest => {
                assert!(granted && self.holder.is_some(), "only under a license");
                assert_eq!(self.guest, Guest::NotStarted, "only once");
                self.guest = Guest::Runs;
            }
            Effect::ShutDownGuest => self.sees_shutdown(now),
            Effect::StopGuest => self.sees_stop(now),
            Effect::Tell(told) => self.sees_told(told),
            Effect::RunHook(hook) => self.sees_hook(*hook),
            Effect::Exit(_) => {
                let ended = matches!(self.guest, Guest::NotStarted | Guest::Ended);
                assert!(ended, "never before the guest's end");
                assert!(self.lines.is_empty(), "no connection is left: {:?}", self.lines);
                self.over = true;
            }
        }
    }

    fn sees_connect(&mut self, attempt: Attempt, server: ServerIndex) {
        assert!(attempt > self.last_attempt, "attempts are counted");
        assert!(server < self.settings.servers);
        assert!(self.lines.values().all(|line| line.server != server), "a second connection");
        self.last_attempt = attempt;
        let (state, named, seat) = (State::Making, None, None);
        self.lines.insert(attempt, Line { server, state, named, seat, closing: false });
    }

    fn sees_login(&mut self, attempt: Attempt, session: Option<SessionId>) {
        let latest = self.held.as_ref().map(|(giver, grant)| (*giver, grant.session));
        let line = self.line(attempt);
        assert_eq!(line.state, State::Open, "over a connection that stands");
        let own = latest.filter(|(giver, _)| *giver == line.server).map(|(_, session)| session);
        assert_eq!(session, own, "a session is for the server that gave it, if it is the latest");
        (line.state, line.named) = (State::LoginOut, session);
    }

    fn sees_disconnect(&mut self, now: Elapsed, attempt: Attempt) {
        let line = self.lines.get(&attempt).expect("a connection that stands").clone();
        match line.state {
            // A check that nobody answers is a loss when its time is over.
            State::CheckOut(since) if self.holder == Some(attempt) => {
                assert!(now >= since.plus_ms(ANSWER_MS), "too impatient");
                self.lost(since.plus_ms(ANSWER_MS));
            }
            State::LogoutOut(since) => {
                let waited = now >= since.plus_ms(LAST_WORDS_MS) || self.stops > 1;
                assert!(waited, "a logout deserves a moment");
            }
            _ => assert_eq!(line.seat, None, "a seat must go back"),
        }
        self.lines.remove(&attempt);
    }

    fn sees_shutdown(&mut self, now: Elapsed) {
        assert_eq!(self.guest, Guest::Runs);
        self.guest_asked = true;
        if let Some(Told::ShutdownForLicense(_)) = self.last_told {
            assert_eq!(self.holder, None, "asked without a loss");
            let grace_ms = self.held.as_ref().map_or(0, |(_, grant)| grant.grace_ms);
            let lead_ms = self.settings.shutdown_lead_ms.min(grace_ms / 2);
            assert!(now.plus_ms(lead_ms) >= self.ends, "asked too early");
        } else {
            assert_eq!(self.last_told, Some(Told::ShutdownForOperator));
            assert!(self.stops > 0, "asked on nobody's account");
        }
    }

    fn sees_stop(&mut self, now: Elapsed) {
        assert_eq!(self.guest, Guest::Runs, "stopped once");
        assert!(self.guest_asked, "a guest gets its clean shutdown first");
        if let Some(Told::GraceEnded) = self.last_told {
            assert_eq!(self.holder, None, "stopped under a license");
            assert!(now >= self.ends, "stopped too early");
            self.guest = Guest::Expired;
        } else {
            assert_eq!(self.last_told, Some(Told::StoppedForOperator));
            assert!(self.stops > 0, "stopped on nobody's account");
            self.guest = Guest::Stopped;
        }
    }

    fn sees_told(&mut self, told: &Told) {
        if let Told::Licensed(server, _) | Told::Switched { server, .. } = told {
            assert_eq!(self.licensed_by(), Some(*server), "{told:?}");
        }
        self.last_told = Some(told.clone());
    }

    fn sees_hook(&mut self, hook: Hook) {
        match hook {
            Hook::Lost => {
                assert!(!self.hooked_lost, "lost twice");
                self.hooked_lost = true;
            }
            Hook::Restored => {
                assert!(self.hooked_lost && self.holder.is_some(), "nothing was lost");
                self.hooked_lost = false;
            }
            Hook::Expiring | Hook::Ending => assert!(self.hooked_lost, "without a loss"),
            Hook::Failover => {
                assert!(self.licensed_by().is_some_and(|server| server != self.preferred()));
            }
            Hook::Failback => assert!(self.licensed_by().is_some()),
        }
    }

    /// What is true whenever the client has done its work.
    pub(crate) fn check(&self, now: Elapsed, deadline: Option<Elapsed>) {
        assert!(deadline.is_none_or(|deadline| deadline > now), "a busy loop");
        for (attempt, line) in &self.lines {
            assert_ne!(line.state, State::Useless, "it must be closed");
            let goes_back = matches!(line.state, State::LogoutOut(_));
            // Until the guest has ended, which may still run on it.
            let kept = self.holder == Some(*attempt) || self.guest == Guest::Expired;
            assert!(line.seat.is_none() || goes_back || kept, "a seat too many");
        }
        if self.guest == Guest::Runs {
            assert!(deadline.is_some(), "nobody would look after the guest");
            if self.holder.is_none() {
                assert!(now < self.ends, "runs without a license");
                assert!(deadline.is_some_and(|deadline| deadline <= self.ends), "too late");
            } else {
                assert!(!self.hooked_lost, "licensed, and the hooks don't know");
            }
        }
        assert!(!self.over || deadline.is_none(), "it is over");
    }
}
