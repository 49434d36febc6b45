//! A server with its links, its ledger and its clocks.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    fingerprint::{Component, Machine, Reading},
    id::{HostKey, LinkId, SessionId, SessionNumber},
    license::{License, Verified},
    node::{
        Node, Settings,
        event::{Event, Record},
        io::{Answer, Ask, Effect, Input, Note, RequestId, Ticket, UnusableLicense},
    },
    reason::Refusal,
    time::{Elapsed, Now, Utc},
};

use super::{
    LicenseBuilder, LoginBuilder, digest,
    ledger::{Disk, Ledger, fold},
    license::SERVER_KEY,
    name, session_id,
};

/// 2026-03-01 12:00:00.
pub(crate) const WALL_AT_START: Utc = Utc(1_772_366_400);

/// After this silence a link is dead.
pub(crate) const HEARTBEAT_TIMEOUT_MS: u64 = 6_000;

/// How long the machine had been up when the server started for the first time, in milliseconds.
const BOOTED_BEFORE_MS: u64 = 1_000_000;

/// The machine that the stories' licenses are bound to, with this many cores (4 is right).
pub(crate) fn machine(cores: u8) -> Machine {
    Machine {
        readings: BTreeMap::from([
            (Component::CpuCores, Reading::Known(vec![digest(cores)])),
            (Component::MachineId, Reading::Known(vec![digest(1)])),
        ]),
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) node: Node,
    pub(crate) ledger: Ledger,
    /// Everything it did but appends and answers, since it was last taken.
    pub(crate) effects: Vec<Effect>,
    licenses: Vec<License>,
    now: Now,
    answers: BTreeMap<RequestId, Answer>,
    answered: Vec<RequestId>,
    open: BTreeSet<LinkId>,
    last_name: u64,
}

impl Server {
    /// A server at its first start, ready, with these licenses.
    pub(crate) fn with(licenses: impl IntoIterator<Item = LicenseBuilder>) -> Self {
        let now = Now { elapsed: Elapsed(BOOTED_BEFORE_MS), wall: WALL_AT_START };
        let mut server = Self {
            node: Node::new(settings(), fold(&[]), now),
            ledger: Ledger::new(),
            effects: Vec::new(),
            licenses: licenses.into_iter().map(LicenseBuilder::build).collect(),
            now,
            answers: BTreeMap::new(),
            answered: Vec::new(),
            open: BTreeSet::new(),
            last_name: 0,
        };
        server.start();
        server
    }

    /// A server that was killed learns of its surroundings and begins to serve.
    pub(crate) fn start(&mut self) {
        self.input(Input::Machine(machine(4)));
        self.announce_licenses();
        self.input(Input::Ready);
    }

    /// The server is killed and started again `down_ms` later. Appends that wait are lost.
    pub(crate) fn restart_after(&mut self, down_ms: u64) {
        self.kill(down_ms);
        self.start();
    }

    /// The server is killed; another one, which is not ready yet, remembers what the ledger has.
    pub(crate) fn kill(&mut self, down_ms: u64) {
        self.move_clocks(down_ms);
        self.ledger.waiting.clear();
        self.ledger.disk = Disk::Fine;
        self.open.clear();
        self.effects.clear();
        self.node = Node::new(settings(), fold(&self.ledger.durable), self.now);
    }

    /// Installs these licenses in place of all others.
    pub(crate) fn install(&mut self, licenses: impl IntoIterator<Item = LicenseBuilder>) {
        self.licenses = licenses.into_iter().map(LicenseBuilder::build).collect();
        self.announce_licenses();
    }

    pub(crate) fn announce_licenses(&mut self) {
        self.announce(Vec::new());
    }

    /// Announces the licenses, and some that can't be used.
    pub(crate) fn announce(&mut self, unusable: Vec<UnusableLicense>) {
        let trusted = self.licenses.iter().cloned().map(Verified::vouch).collect();
        self.input(Input::Licenses { trusted, unusable });
        self.tick_if_due();
    }

    pub(crate) fn now(&self) -> Now {
        self.now
    }

    /// Lets time pass, on both clocks, with every tick that the node asks for.
    pub(crate) fn pass(&mut self, duration_ms: u64) {
        let end = self.now.elapsed.plus_ms(duration_ms);
        while self.node.deadline() <= end {
            let due = self.node.deadline().since_ms(self.now.elapsed);
            self.move_clocks(due);
            self.tick();
        }
        let rest = end.since_ms(self.now.elapsed);
        self.move_clocks(rest);
    }

    fn tick_if_due(&mut self) {
        if self.node.deadline() <= self.now.elapsed {
            self.tick();
        }
    }

    /// One tick, after which the node must not ask for another at once.
    fn tick(&mut self) {
        self.input(Input::Tick);
        assert!(self.node.deadline() > self.now.elapsed, "a tick must move the deadline on");
    }

    fn move_clocks(&mut self, duration_ms: u64) {
        let before_s = self.now.elapsed.0 / 1_000;
        self.now.elapsed = self.now.elapsed.plus_ms(duration_ms);
        let passed_s = (self.now.elapsed.0 / 1_000 - before_s).cast_signed();
        self.now.wall = self.now.wall.plus_seconds(passed_s);
    }

    /// Somebody sets the wall clock, forward or back.
    pub(crate) fn step_wall_clock(&mut self, seconds: i64) {
        self.now.wall = self.now.wall.plus_seconds(seconds);
    }

    /// A client of this host connects.
    pub(crate) fn link(&mut self, host: u8) -> LinkId {
        let link = LinkId(self.fresh());
        let address = name(&format!("10.0.0.{host}:{}", 40_000 + link.0));
        self.input(Input::LinkOpened { link, host: HostKey([host; 32]), address });
        self.open.insert(link);
        link
    }

    /// A link closes; its last bytes came right now.
    pub(crate) fn close(&mut self, link: LinkId) {
        self.close_silent(link, 0);
    }

    /// A link closes; its last bytes came `silence_ms` ago.
    pub(crate) fn close_silent(&mut self, link: LinkId, silence_ms: u64) {
        self.open.remove(&link);
        let last_heard = Elapsed(self.now.elapsed.0 - silence_ms);
        self.input(Input::LinkClosed { link, last_heard });
    }

    /// Asks, and names the question.
    pub(crate) fn ask(&mut self, link: LinkId, ask: Ask) -> RequestId {
        let request = self.fresh();
        self.input(Input::Request { link, request, ask });
        request
    }

    /// The requests that were answered, in the order of their answers.
    pub(crate) fn answered(&self) -> &[RequestId] {
        &self.answered
    }

    /// Every answer there has been.
    pub(crate) fn answers(&self) -> &BTreeMap<RequestId, Answer> {
        &self.answers
    }

    /// Whether a link is open.
    pub(crate) fn is_open(&self, link: LinkId) -> bool {
        self.open.contains(&link)
    }

    /// The answer to a question, if there is one by now.
    pub(crate) fn answer(&self, request: RequestId) -> Option<Answer> {
        self.answers.get(&request).cloned()
    }

    pub(crate) fn ask_login(&mut self, link: LinkId, login: LoginBuilder) -> RequestId {
        let fresh = session_id(self.fresh());
        self.ask(link, Ask::Login { login: login.build(), fresh })
    }

    pub(crate) fn login(&mut self, link: LinkId, login: LoginBuilder) -> Option<Answer> {
        let request = self.ask_login(link, login);
        self.answer(request)
    }

    /// A login from a new link of this host.
    pub(crate) fn login_from(&mut self, host: u8, login: LoginBuilder) -> Option<Answer> {
        let link = self.link(host);
        self.login(link, login)
    }

    pub(crate) fn check(&mut self, link: LinkId, session: SessionId) -> Option<Answer> {
        let request = self.ask(link, Ask::Check(session));
        self.answer(request)
    }

    pub(crate) fn logout(&mut self, link: LinkId, session: SessionId) -> Option<Answer> {
        let request = self.ask(link, Ask::Logout(session));
        self.answer(request)
    }

    pub(crate) fn probe(&mut self, link: LinkId, login: LoginBuilder) -> Option<Answer> {
        let request = self.ask(link, Ask::Probe(login.build()));
        self.answer(request)
    }

    pub(crate) fn pong(&mut self, link: LinkId, session: SessionId, runs: bool) {
        self.input(Input::Pong { link, session, runs });
    }

    /// The administrator releases a session; the reply, once there is one.
    pub(crate) fn release(&mut self, number: u64) -> Option<Result<String, Refusal>> {
        let ticket: Ticket = self.fresh();
        self.input(Input::Release { ticket, number: SessionNumber(number) });
        self.effects.iter().find_map(|effect| match effect {
            Effect::Reply { ticket: replied, outcome } if *replied == ticket => {
                Some(outcome.clone())
            }
            _ => None,
        })
    }

    /// Lets every append that waits become durable, and what follows from it.
    pub(crate) fn catch_up(&mut self) {
        self.ledger.disk = Disk::Fine;
        while self.settle_one(true) {}
    }

    /// Settles the append that waits longest; whether there was one.
    pub(crate) fn settle_one(&mut self, succeeds: bool) -> bool {
        let Some((id, outcome)) = self.ledger.settle_one(succeeds) else { return false };
        self.input(Input::Appended { id, outcome });
        true
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.node.handle(self.now, input);
        while let Some(effect) = self.node.poll() {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Append { id, records } => {
                if let Some(outcome) = self.ledger.append(id, records) {
                    self.node.handle(self.now, Input::Appended { id, outcome });
                }
            }
            Effect::Answer { link, request, answer } => {
                assert!(self.open.contains(&link), "an answer over a closed link");
                self.answered.push(request);
                let twice = self.answers.insert(request, answer);
                assert!(twice.is_none(), "request {request} was answered twice");
            }
            other => self.effects.push(other),
        }
    }

    fn fresh(&mut self) -> u64 {
        self.last_name += 1;
        self.last_name
    }

    /// What it told the log since the effects were last cleared.
    pub(crate) fn notes(&self) -> Vec<&Note> {
        let notes = self.effects.iter().filter_map(|effect| match effect {
            Effect::Note(note) => Some(note),
            _ => None,
        });
        notes.collect()
    }

    /// The revocations that it sent since the effects were last cleared.
    pub(crate) fn revocations(&self) -> Vec<(LinkId, SessionId, &Refusal)> {
        let revocations = self.effects.iter().filter_map(|effect| match effect {
            Effect::Revoke { link, session, refusal } => Some((*link, *session, refusal)),
            _ => None,
        });
        revocations.collect()
    }

    /// The links that it pinged since the effects were last cleared.
    pub(crate) fn pings(&self) -> Vec<LinkId> {
        let pings = self.effects.iter().filter_map(|effect| match effect {
            Effect::Ping { link, .. } => Some(*link),
            _ => None,
        });
        pings.collect()
    }

    /// The state of every session, oldest first: `live`, `left` …
    pub(crate) fn states(&self) -> Vec<&'static str> {
        self.node.sessions(self.now).map(|session| session.state).collect()
    }

    /// The number of the newest session.
    pub(crate) fn newest(&self) -> u64 {
        self.node.sessions(self.now).map(|session| session.record.number.0).max().unwrap()
    }

    /// The durable events, oldest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.ledger.durable.iter().map(|record: &Record| &record.event)
    }

    /// Run time on the meter of the first license, in milliseconds.
    pub(crate) fn used_ms(&self) -> u64 {
        self.node.used_ms(self.now, &self.licenses[0])
    }
}

fn settings() -> Settings {
    Settings { server_key: SERVER_KEY, heartbeat_timeout_ms: HEARTBEAT_TIMEOUT_MS }
}
