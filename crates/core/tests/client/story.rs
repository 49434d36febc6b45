//! The one helper of all stories: does what the table says, and compares what comes out.

use ve_core::{
    client::{
        Client,
        io::{Attempt, ConnectError, Effect, Input, ServerIndex, Settings, Told},
    },
    grant::{Grant, Marks},
    id::{LicenseId, SessionId},
    reason::{ReasonCode, Refusal},
    time::{Elapsed, HOUR_MS, MINUTE_MS, Now, SECOND_MS, Utc},
};

use crate::written::written;

/// The wall clock when the machine booted.
pub(crate) const WALL_AT_BOOT: Utc = Utc(1_600_000_000);

/// What happens. What a server says belongs to the last attempt, unless [`Do::At`] names a server.
#[derive(Debug, Clone)]
pub(crate) enum Do {
    Start,
    Connected,
    /// The same; it shows a credential for [`license`] of this number.
    Shows(u8),
    Unreachable,
    Unverified(Option<ReasonCode>),
    OtherProtocol,
    LinkLost,
    /// The same, found so many milliseconds too late: the machine slept.
    LinkLostAsleep(u64),
    /// For session 1.
    Granted,
    GrantedTo(Box<Grant>),
    Refused(ReasonCode),
    Revoked(ReasonCode),
    LoggedOut,
    GuestEnded,
    GuestFailed,
    StopRequested,
    /// The clock runs to the next deadline, which must be there.
    Next,
    /// The clock runs on for so many milliseconds, and every deadline on the way is kept.
    After(u64),
    /// Like [`Self::After`], but what the search for a license does and tells is left out; every
    /// attempt hangs.
    Searching(u64),
    /// So many milliseconds pass without a look at the clock: the machine sleeps.
    Sleep(u64),
    /// Something of the attempt before the last one.
    Late(Box<Self>),
    /// The server is about to stop.
    Closing,
    /// Something of the last attempt to reach this server.
    At(ServerIndex, Box<Self>),
    /// The wall clock is set by so many seconds.
    SetClock(i64),
}

/// Something that the primary says, or that comes of the connection to it.
pub(crate) fn primary(step: Do) -> Do {
    Do::At(0, Box::new(step))
}

/// The same of the backup.
pub(crate) fn backup(step: Do) -> Do {
    Do::At(1, Box::new(step))
}

/// A client, and its clock.
#[derive(Debug)]
pub(crate) struct Story {
    client: Client,
    now: Elapsed,
    /// By how much the wall clock was set, in seconds.
    clock_set: i64,
    /// Who each attempt is to reach; the first attempt is number 1.
    attempts: Vec<ServerIndex>,
    servers: usize,
    /// What the wall clock said whenever the license was told to be back.
    pub(crate) restored_at: Vec<Utc>,
}

/// One server, no patience at start, the defaults of everything else.
pub(crate) fn settings() -> Settings {
    Settings {
        servers: 1,
        home: None,
        start_wait_ms: 0,
        shutdown_lead_ms: 10 * MINUTE_MS,
        shutdown_timeout_ms: 5 * MINUTE_MS,
        primary_probe_ms: MINUTE_MS,
        seed: 42,
    }
}

/// A primary and a backup, else [`settings`].
pub(crate) fn two() -> Settings {
    Settings { servers: 2, ..settings() }
}

/// Two hours of grace, a check every hour, for session `number`.
pub(crate) fn grant(number: u8) -> Grant {
    let name = |text: &str| text.parse().expect("a name");
    Grant {
        home: None,
        receipt: None,
        session: SessionId([number; 16]),
        license_id: "01.00000001.002.044".parse().expect("a license ID"),
        customer: name("Stromasys/Testing"),
        product_code: name("Charon-SSP/ALL"),
        virtual_hardware: name("Charon-SSP/4M"),
        instances: 4,
        max_cpu: 4,
        max_memory_mb: 512,
        major: 4,
        minor: 2,
        expires: None,
        remaining_ms: None,
        grace_ms: 2 * HOUR_MS,
        check_interval_ms: HOUR_MS,
        lease_ms: 2 * MINUTE_MS,
        marks: Marks::default(),
    }
}

/// A license of this number.
pub(crate) fn license(number: u8) -> LicenseId {
    format!("01.00000001.002.{number:03}").parse().expect("a license ID")
}

/// [`grant`] for a host that is at home with this license.
pub(crate) fn at_home_with(home: u8, session: u8) -> Do {
    Do::GrantedTo(Grant { home: Some(license(home)), ..grant(session) }.into())
}

/// [`grant`], but with a grace period of so many milliseconds.
pub(crate) fn grant_with_grace(grace_ms: u64) -> Grant {
    Grant { grace_ms, ..grant(1) }
}

pub(crate) fn refusal(code: ReasonCode) -> Refusal {
    Refusal::new(code, "for a reason.")
}

/// Both clocks at a moment since boot.
pub(crate) fn at(elapsed: Elapsed) -> Now {
    let seconds = i64::try_from(elapsed.0 / SECOND_MS).expect("a short story");
    Now { elapsed, wall: WALL_AT_BOOT.plus_seconds(seconds) }
}

impl Story {
    /// Before the start.
    pub(crate) fn new(settings: Settings) -> Self {
        let servers = settings.servers;
        let client = Client::new(settings);
        Self {
            client,
            now: Elapsed(5_000),
            clock_set: 0,
            attempts: vec![],
            servers,
            restored_at: vec![],
        }
    }

    /// With a guest that runs under `grant`.
    pub(crate) fn running_with(settings: Settings, grant: Grant) -> Self {
        let mut story = Self::new(settings);
        story.goes(&[
            (Do::Start, &["tell tries 0", "connect 0"]),
            (Do::Connected, &["login"]),
            (Do::GrantedTo(grant.into()), &["tell licensed by 0", "START"]),
        ]);
        story
    }

    /// With a guest that runs under [`grant`].
    pub(crate) fn running() -> Self {
        Self::running_with(settings(), grant(1))
    }

    /// With a guest that runs under session 1 of the primary; there is a backup.
    pub(crate) fn on_primary() -> Self {
        let mut story = Self::new(two());
        story.goes(&[
            (Do::Start, &["tell tries 0", "connect 0"]),
            (primary(Do::Connected), &["login at 0"]),
            (primary(Do::Granted), &["tell licensed by 0", "START"]),
        ]);
        story
    }

    /// With a guest that runs under session 2 of the backup.
    pub(crate) fn on_backup() -> Self {
        let mut story = Self::new(two());
        story.goes(&[
            (Do::Start, &["tell tries 0", "connect 0"]),
            (primary(Do::Unreachable), &["tell tries 1", "connect 1"]),
            (backup(Do::Connected), &["login at 1"]),
            (backup(Do::GrantedTo(grant(2).into())), &["tell licensed by 1", "START"]),
        ]);
        story
    }

    /// Does what the table says; what comes out must be what stands beside it.
    #[track_caller]
    pub(crate) fn goes(&mut self, table: &[(Do, &[&str])]) {
        for (line, (step, expected)) in table.iter().enumerate() {
            let found = self.step(step.clone());
            assert_eq!(found, *expected, "line {line}: {step:?}");
        }
    }

    /// How long until the next deadline, in milliseconds.
    #[track_caller]
    pub(crate) fn pause_ms(&self) -> u64 {
        self.client.deadline().expect("a deadline").since_ms(self.now)
    }

    /// Keeps one deadline after the other, until `effect` is among what comes out.
    #[track_caller]
    pub(crate) fn until(&mut self, effect: &str) {
        let comes = |_| self.step(Do::Next).iter().any(|found| found == effect);
        assert!((0..10_000).any(comes), "no {effect}");
    }

    /// Does one thing.
    #[track_caller]
    pub(crate) fn step(&mut self, step: Do) -> Vec<String> {
        match step {
            Do::Next => {
                self.now = self.client.deadline().expect("a deadline");
                self.input(Input::Tick)
            }
            Do::After(ms) => self.run_until(self.now.plus_ms(ms)),
            Do::Searching(ms) => {
                let mut found = self.run_until(self.now.plus_ms(ms));
                found.retain(|effect| !is_search(effect));
                found
            }
            Do::Sleep(ms) => {
                self.now = self.now.plus_ms(ms);
                vec![]
            }
            Do::SetClock(seconds) => {
                self.clock_set += seconds;
                vec![]
            }
            Do::Late(step) => self.input(Self::said(*step, self.last_attempt() - 1)),
            Do::At(server, step) => {
                let last = self.attempts.iter().rposition(|&tried| tried == server);
                let attempt = last.map_or(0, |index| index + 1);
                self.input(Self::said(*step, number(attempt)))
            }
            step => self.input(Self::said(step, self.last_attempt())),
        }
    }

    fn last_attempt(&self) -> Attempt {
        number(self.attempts.len())
    }

    fn run_until(&mut self, end: Elapsed) -> Vec<String> {
        let mut found = vec![];
        while let Some(deadline) = self.client.deadline().filter(|&deadline| deadline <= end) {
            self.now = self.now.max(deadline);
            found.extend(self.input(Input::Tick));
        }
        self.now = end;
        found
    }

    #[track_caller]
    fn input(&mut self, input: Input) -> Vec<String> {
        let Now { elapsed, wall } = at(self.now);
        self.client.handle(Now { elapsed, wall: wall.plus_seconds(self.clock_set) }, input);
        if let Some(deadline) = self.client.deadline() {
            assert!(deadline > self.now, "a deadline that has passed would be a busy loop");
        }
        let mut found = vec![];
        while let Some(effect) = self.client.poll() {
            if let Effect::Connect { server, .. } = effect {
                self.attempts.push(server);
            }
            if let Effect::Tell(Told::Restored { wall }) = effect {
                self.restored_at.push(wall);
            }
            found.push(written(&effect, self.servers, &self.attempts));
        }
        found
    }

    fn said(step: Do, attempt: Attempt) -> Input {
        let not_connected = |why| Input::NotConnected { attempt, why };
        let link_lost =
            |late_ms| Input::LinkLost { attempt, why: "the cable was cut".into(), late_ms };
        match step {
            Do::Start => Input::Start,
            Do::Connected => Input::Connected { attempt, licenses: vec![] },
            Do::Shows(number) => Input::Connected { attempt, licenses: vec![license(number)] },
            Do::Unreachable => not_connected(ConnectError::Unreachable("nobody answers".into())),
            Do::Unverified(code) => not_connected(ConnectError::Unverified {
                why: "no credential".into(),
                refusal: code.map(refusal),
            }),
            Do::OtherProtocol => not_connected(ConnectError::ProtocolVersion("speaks 7.".into())),
            Do::LinkLost => link_lost(0),
            Do::LinkLostAsleep(late_ms) => link_lost(late_ms),
            Do::Granted => Input::Granted { attempt, grant: grant(1) },
            Do::GrantedTo(grant) => Input::Granted { attempt, grant: *grant },
            Do::Refused(code) => Input::Refused { attempt, refusal: refusal(code) },
            Do::Revoked(code) => Input::Revoked { attempt, refusal: refusal(code) },
            Do::Closing => Input::Closing { attempt },
            Do::LoggedOut => Input::LoggedOut { attempt },
            Do::GuestEnded => Input::GuestEnded,
            Do::GuestFailed => Input::GuestFailed,
            Do::StopRequested => Input::StopRequested,
            Do::Next
            | Do::After(_)
            | Do::Searching(_)
            | Do::Sleep(_)
            | Do::Late(_)
            | Do::At(..)
            | Do::SetClock(_) => panic!("no input says that"),
        }
    }
}

fn number(attempt: usize) -> Attempt {
    Attempt::try_from(attempt).expect("few attempts")
}

fn is_search(effect: &str) -> bool {
    ["connect 0", "disconnect", "tell tries 0"].contains(&effect)
        || effect.starts_with("tell no connection to 0")
}
