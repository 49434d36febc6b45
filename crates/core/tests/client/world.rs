//! A client in a world that does anything: servers that answer, hang, refuse, close, revoke and
//! drain, links that break, clocks that jump, and guests and operators that end it all.

use std::collections::BTreeMap;

use ve_core::{
    client::{
        Client,
        io::{Attempt, ConnectError, Effect, Input, ServerIndex, Settings},
    },
    grant::Grant,
    id::{LicenseId, SessionId},
    reason::ReasonCode,
    time::{Elapsed, Now},
};

use crate::{
    oracle::{Oracle, State},
    story::{at, grant, license, refusal},
};

/// Something that the world does. It fits the moment or not: both must be survived.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// A server does what it is waited for: a connection stands, a login is granted.
    Well(ServerIndex, Terms),
    /// A server says something, whether it fits or not.
    Says(ServerIndex, Said),
    /// The same, but of the attempt before.
    SaysLate(ServerIndex, Said),
    GuestEnded,
    GuestFailed,
    StopRequested,
    /// Time passes, and every deadline is kept.
    Pass(u64),
    /// Time passes while nobody looks at the clock.
    Sleep(u64),
    /// The wall clock is set by so many seconds.
    SetClock(i64),
}

/// What a server says, or what comes of the connection to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    Connected,
    Unreachable,
    Unverified,
    OtherProtocol,
    /// Found so many milliseconds too late.
    LinkLost(u64),
    Granted(Terms),
    Refused(ReasonCode),
    Revoked(ReasonCode),
    Closing,
    LoggedOut,
}

/// What is granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) grace_ms: u64,
    pub(crate) check_interval_ms: u64,
    /// Whether the server still knows the session that a login names.
    pub(crate) knows_session: bool,
    /// The license that the host is at home with; server 0 has license 0, and so on.
    pub(crate) home: Option<u8>,
}

/// How long it took until it stayed so, in milliseconds; `None`: it never did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Healed {
    pub(crate) licensed_ms: Option<u64>,
    pub(crate) at_home_ms: Option<u64>,
}

/// A client, and what the world knows of it.
#[derive(Debug)]
pub(crate) struct World {
    client: Client,
    now: Elapsed,
    clock_set: i64,
    servers: usize,
    pub(crate) oracle: Oracle,
    /// Everything that came out, with its moment.
    pub(crate) effects: Vec<(Elapsed, Effect)>,
    /// The last attempts to reach each server.
    attempts: BTreeMap<ServerIndex, Vec<Attempt>>,
    sessions: u64,
}

impl World {
    /// With a client that has just started.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut world = Self {
            client: Client::new(settings.clone()),
            now: Elapsed(1),
            clock_set: 0,
            servers: settings.servers,
            oracle: Oracle::new(settings),
            effects: vec![],
            attempts: BTreeMap::new(),
            sessions: 0,
        };
        world.input(Input::Start);
        world
    }

    pub(crate) fn act(&mut self, act: Act) {
        match act {
            Act::Pass(ms) => self.pass(ms),
            Act::Sleep(ms) => self.now = self.now.plus_ms(ms),
            Act::SetClock(seconds) => self.clock_set += seconds,
            Act::GuestEnded => self.input(Input::GuestEnded),
            Act::GuestFailed => self.input(Input::GuestFailed),
            Act::StopRequested => self.input(Input::StopRequested),
            Act::Well(server, terms) => self.does_well(self.attempt(server, 0), terms),
            Act::Says(server, said) => self.says(self.attempt(server, 0), said),
            Act::SaysLate(server, said) => self.says(self.attempt(server, 1), said),
        }
    }

    /// The attempt to reach a server that was `before` the last one.
    fn attempt(&self, server: ServerIndex, before: usize) -> Attempt {
        let attempts = self.attempts.get(&server);
        attempts.and_then(|all| all.iter().rev().nth(before)).copied().unwrap_or(0)
    }

    fn does_well(&mut self, attempt: Attempt, terms: Terms) {
        let Some(line) = self.oracle.lines.get(&attempt) else { return };
        let said = match line.state {
            State::Making => Said::Connected,
            State::LoginOut | State::CheckOut(_) => Said::Granted(terms),
            State::LogoutOut(_) => Said::LoggedOut,
            State::Open | State::Useless => return,
        };
        self.says(attempt, said);
    }

    fn says(&mut self, attempt: Attempt, said: Said) {
        let not_connected = |why| Input::NotConnected { attempt, why };
        let input = match said {
            Said::Connected => Input::Connected { attempt, licenses: self.licenses(attempt) },
            Said::Unreachable => not_connected(ConnectError::Unreachable("gone".into())),
            Said::Unverified => not_connected(ConnectError::Unverified {
                why: "unknown".into(),
                refusal: Some(refusal(ReasonCode::LicenseNotAvailable)),
            }),
            Said::OtherProtocol => not_connected(ConnectError::ProtocolVersion("7".into())),
            Said::LinkLost(late_ms) => Input::LinkLost { attempt, why: "cut".into(), late_ms },
            Said::Granted(terms) => Input::Granted { attempt, grant: self.grant(attempt, terms) },
            Said::Refused(code) => Input::Refused { attempt, refusal: refusal(code) },
            Said::Revoked(code) => Input::Revoked { attempt, refusal: refusal(code) },
            Said::Closing => Input::Closing { attempt },
            Said::LoggedOut => Input::LoggedOut { attempt },
        };
        self.input(input);
    }

    fn licenses(&self, attempt: Attempt) -> Vec<LicenseId> {
        let server = self.oracle.lines.get(&attempt).map(|line| line.server);
        let number = server.and_then(|server| u8::try_from(server).ok());
        number.map(license).into_iter().collect()
    }

    /// No two sessions are the same, but those that are resumed or checked.
    fn grant(&mut self, attempt: Attempt, terms: Terms) -> Grant {
        let line = self.oracle.lines.get(&attempt);
        let known = line.and_then(|line| match line.state {
            State::CheckOut(_) => line.seat(),
            _ => line.named.filter(|_| terms.knows_session),
        });
        let session = known.unwrap_or_else(|| {
            self.sessions += 1;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&self.sessions.to_be_bytes());
            SessionId(id)
        });
        let Terms { grace_ms, check_interval_ms, home, .. } = terms;
        Grant { session, grace_ms, check_interval_ms, home: home.map(license), ..grant(1) }
    }

    /// From now on the network and the servers are well, for `ms`; every answer takes a moment. The
    /// host is at home with the license `home`.
    pub(crate) fn heal(&mut self, ms: u64, home: Option<u8>) -> Healed {
        let (since, end) = (self.now, self.now.plus_ms(ms));
        let (grace_ms, check_interval_ms) = (60_000, 60_000);
        let terms = Terms { grace_ms, check_interval_ms, knows_session: true, home };
        let preferred = self.server_of(home);
        let mut due: BTreeMap<Attempt, Elapsed> = BTreeMap::new();
        let mut healed = Healed::default();
        while !self.oracle.over {
            let by = self.oracle.licensed_by();
            let after_ms = self.now.since_ms(since);
            let note =
                |held: bool, at: &mut Option<u64>| *at = held.then(|| at.unwrap_or(after_ms));
            note(by.is_some(), &mut healed.licensed_ms);
            note(by == Some(preferred), &mut healed.at_home_ms);
            due.retain(|attempt, _| self.oracle.lines.contains_key(attempt));
            for (attempt, line) in &self.oracle.lines {
                if line.state != State::Open {
                    let moment_ms = 1 + (attempt * 37 + self.now.0) % 200;
                    due.entry(*attempt).or_insert(self.now.plus_ms(moment_ms));
                }
            }
            let next_answer = due.iter().min_by_key(|(_, at)| **at).map(|(a, at)| (*at, *a));
            let deadline = self.client.deadline().unwrap_or(end).max(self.now);
            match next_answer {
                Some((at, attempt)) if at <= deadline.min(end) => {
                    self.now = at;
                    due.remove(&attempt);
                    self.does_well(attempt, terms);
                }
                _ if deadline < end => {
                    self.now = deadline;
                    self.input(Input::Tick);
                }
                _ => break,
            }
        }
        healed
    }

    /// The server that has this license; without one, the first that is configured.
    fn server_of(&self, home: Option<u8>) -> ServerIndex {
        home.map(usize::from).filter(|&server| server < self.servers).unwrap_or(0)
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(deadline) = self.client.deadline().filter(|&deadline| deadline <= end) {
            self.now = self.now.max(deadline);
            self.input(Input::Tick);
        }
        self.now = end;
    }

    fn input(&mut self, input: Input) {
        self.oracle.hears(self.now, &input);
        let granted = matches!(input, Input::Granted { .. });
        let Now { elapsed, wall } = at(self.now);
        self.client.handle(Now { elapsed, wall: wall.plus_seconds(self.clock_set) }, input);
        while let Some(effect) = self.client.poll() {
            if let Effect::Connect { attempt, server } = effect {
                self.attempts.entry(server).or_default().push(attempt);
            }
            self.oracle.sees(self.now, &effect, granted);
            self.effects.push((self.now, effect));
        }
        self.oracle.check(self.now, self.client.deadline());
    }
}
