//! A client in a world that does anything, and what must be true of it all the same.

use ve_core::{
    client::{
        Client,
        io::{Attempt, ConnectError, Effect, Input, Settings, Told},
    },
    grant::Grant,
    id::SessionId,
    reason::ReasonCode,
    time::Elapsed,
};

use crate::story::{at, grant, refusal};

/// Something that the world does. It fits the moment or not: both must be survived.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Connected,
    Unreachable,
    Unverified,
    LinkLost,
    Granted {
        session: u8,
        grace_ms: u64,
        check_interval_ms: u64,
    },
    Refused,
    Revoked,
    LoggedOut,
    GuestEnded,
    GuestFailed,
    StopRequested,
    /// A grant of the attempt before.
    LateGrant,
    /// Time passes, and every deadline is kept.
    Pass(u64),
    /// Time passes while nobody looks at the clock.
    Sleep(u64),
}

/// A license as the world knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum License {
    None,
    Held,
    Lost { ends: Elapsed, grace_ms: u64 },
}

/// A guest as the world knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guest {
    NotStarted,
    Runs,
    Stopped,
    Ended,
}

/// The connection of the current attempt, as the world knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Down,
    Up,
    /// A login or check is out.
    Asked,
}

/// A client, and what the world knows of it.
#[derive(Debug)]
pub(crate) struct World {
    client: Client,
    settings: Settings,
    now: Elapsed,
    /// Everything that came out, with its moment.
    pub(crate) effects: Vec<(Elapsed, Effect)>,
    attempt: Attempt,
    line: Line,
    license: License,
    last_grant: Option<Grant>,
    guest: Guest,
    /// Whether the guest was ever asked to shut down.
    guest_asked: bool,
    stop_requested: bool,
    over: bool,
}

impl World {
    /// With a client that has just started.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut world = Self {
            client: Client::new(settings.clone()),
            settings: settings.clone(),
            now: Elapsed(1),
            effects: vec![],
            attempt: 0,
            line: Line::Down,
            license: License::None,
            last_grant: None,
            guest: Guest::NotStarted,
            guest_asked: false,
            stop_requested: false,
            over: false,
        };
        world.input(Input::Start);
        world
    }

    /// Whether the program has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the guest runs, under a license, and nobody has asked for its end.
    pub(crate) fn is_well(&self) -> bool {
        self.guest == Guest::Runs && self.license == License::Held
    }

    /// Whether something has begun to end the guest, or there is none.
    pub(crate) fn is_ending(&self) -> bool {
        self.guest != Guest::Runs || self.stop_requested
    }

    pub(crate) fn act(&mut self, act: Act) {
        let attempt = self.attempt;
        let refusal = || refusal(ReasonCode::InstanceLimit);
        let not_connected = |why| Input::NotConnected { attempt, why };
        self.input(match act {
            Act::Pass(ms) => return self.pass(ms),
            Act::Sleep(ms) => {
                self.now = self.now.plus_ms(ms);
                return;
            }
            Act::Connected => Input::Connected { attempt },
            Act::Unreachable => not_connected(ConnectError::Unreachable("gone".into())),
            Act::Unverified => not_connected(ConnectError::Unverified {
                why: "unknown".into(),
                refusal: Some(refusal()),
            }),
            Act::LinkLost => Input::LinkLost { attempt, why: "cut".into(), late_ms: 0 },
            Act::Granted { session, grace_ms, check_interval_ms } => {
                let session = SessionId([session; 16]);
                let grant = Grant { session, grace_ms, check_interval_ms, ..grant(1) };
                Input::Granted { attempt, grant }
            }
            Act::Refused => Input::Refused { attempt, refusal: refusal() },
            Act::Revoked => Input::Revoked { attempt, refusal: refusal() },
            Act::LoggedOut => Input::LoggedOut { attempt },
            Act::GuestEnded => Input::GuestEnded,
            Act::GuestFailed => Input::GuestFailed,
            Act::StopRequested => Input::StopRequested,
            Act::LateGrant => Input::Granted { attempt: attempt.wrapping_sub(1), grant: grant(9) },
        });
    }

    /// From now on the network and the server are well, for `ms`.
    pub(crate) fn heal(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while self.now < end && !self.over {
            match self.line {
                Line::Asked => self.act(Act::Granted {
                    session: 1,
                    grace_ms: 60_000,
                    check_interval_ms: 60_000,
                }),
                Line::Up => self.act(Act::Pass(200)),
                Line::Down => {
                    self.act(Act::Connected);
                    self.act(Act::Pass(50));
                }
            }
        }
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
        self.expect(&input);
        let granted = matches!(input, Input::Granted { .. });
        self.client.handle(at(self.now), input);
        let before = self.effects.len();
        while let Some(effect) = self.client.poll() {
            self.see(&effect, granted);
            self.effects.push((self.now, effect));
        }
        let new = &self.effects[before..];
        let exits = new.iter().filter(|(_, effect)| matches!(effect, Effect::Exit(_))).count();
        assert!(exits <= 1 && (exits == 0 || self.over), "one exit");
        self.check();
    }

    /// What an input means, before the client has a say.
    fn expect(&mut self, input: &Input) {
        match input {
            Input::Granted { attempt, grant }
                if *attempt == self.attempt && self.line == Line::Asked =>
            {
                self.line = Line::Up;
                self.license = License::Held;
                self.last_grant = Some(grant.clone());
            }
            Input::Refused { attempt, .. } if *attempt == self.attempt => self.line = Line::Up,
            Input::StopRequested => self.stop_requested = true,
            Input::GuestEnded | Input::GuestFailed => {
                if let Guest::Runs | Guest::Stopped = self.guest {
                    self.guest = Guest::Ended;
                }
            }
            _ => {}
        }
    }

    /// What comes out, and whether it may.
    fn see(&mut self, effect: &Effect, granted: bool) {
        assert!(!self.over, "{effect:?} after the exit");
        match effect {
            Effect::Connect { attempt, server } => {
                assert!(*attempt > self.attempt, "attempts are counted");
                assert!(*server < self.settings.servers);
                assert_ne!(self.license, License::Held, "a license needs no other connection");
                (self.attempt, self.line) = (*attempt, Line::Down);
            }
            Effect::Login { session } => {
                let known = self.last_grant.as_ref().map(|grant| grant.session);
                assert_eq!(*session, known, "a client comes back with its session");
                self.line = Line::Asked;
            }
            Effect::Check { session } => {
                assert_eq!(self.license, License::Held);
                assert_eq!(Some(*session), self.last_grant.as_ref().map(|grant| grant.session));
                self.line = Line::Asked;
            }
            Effect::Logout { .. } => self.line = Line::Up,
            Effect::Disconnect => self.disconnected(),
            Effect::StartGuest => {
                assert!(granted && self.license == License::Held, "only under a license");
                assert_eq!(self.guest, Guest::NotStarted, "only once");
                self.guest = Guest::Runs;
            }
            Effect::ShutDownGuest => self.see_shutdown(),
            Effect::StopGuest => self.see_stop(),
            Effect::Tell(_) | Effect::RunHook(_) => {}
            Effect::Exit(_) => {
                let ended = matches!(self.guest, Guest::NotStarted | Guest::Ended);
                assert!(ended, "never before the guest's end");
                self.over = true;
            }
        }
    }

    fn disconnected(&mut self) {
        self.line = Line::Down;
        if let (License::Held, Some(grant)) = (self.license, &self.last_grant) {
            let ends = self.now.plus_ms(grant.grace_ms);
            self.license = License::Lost { ends, grace_ms: grant.grace_ms };
        }
    }

    fn last_told(&self) -> Option<&Told> {
        self.effects.iter().rev().find_map(|(_, effect)| match effect {
            Effect::Tell(told) => Some(told),
            _ => None,
        })
    }

    fn see_shutdown(&mut self) {
        assert_eq!(self.guest, Guest::Runs);
        self.guest_asked = true;
        if let Some(Told::ShutdownForLicense(_)) = self.last_told() {
            let License::Lost { ends, grace_ms } = self.license else { panic!("without a loss") };
            let lead_ms = self.settings.shutdown_lead_ms.min(grace_ms / 2);
            assert!(self.now.plus_ms(lead_ms) >= ends, "asked too early");
        } else {
            assert!(self.stop_requested, "asked on nobody's account");
        }
    }

    fn see_stop(&mut self) {
        assert_eq!(self.guest, Guest::Runs, "stopped once");
        assert!(self.guest_asked, "a guest gets its clean shutdown first");
        self.guest = Guest::Stopped;
        if let Some(Told::GraceEnded) = self.last_told() {
            let License::Lost { ends, .. } = self.license else { panic!("without a loss") };
            assert!(self.now >= ends, "stopped too early");
        } else {
            assert_eq!(self.last_told(), Some(&Told::StoppedForOperator));
            assert!(self.stop_requested, "stopped on nobody's account");
        }
    }

    /// What is true whenever the client has done its work.
    fn check(&self) {
        let deadline = self.client.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "a busy loop");
        if self.guest == Guest::Runs {
            assert!(deadline.is_some(), "nobody would look after the guest");
            match self.license {
                License::Held => {}
                License::Lost { ends, .. } => {
                    assert!(self.now < ends, "runs without a license");
                    assert!(deadline.is_some_and(|deadline| deadline <= ends), "too late");
                }
                License::None => panic!("runs and was never licensed"),
            }
        }
        assert!(!self.over || deadline.is_none(), "it is over");
    }
}
