//! A server with its links, its ledger and its clocks.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    fingerprint::{Component, Machine, Reading},
    grant::{Grant, Witness},
    id::{BootId, HostKey, LinkId, SessionId, SessionNumber},
    license::{Credential, License, Verified},
    node::{
        Node, Settings,
        event::{Event, Record},
        io::{Answer, Ask, Effect, Input, Note, RequestId, Ticket, UnusableLicense},
    },
    reason::Refusal,
    registry::HostEntry,
    time::{Elapsed, Now, Utc},
};

use super::{
    LicenseBuilder, LoginBuilder, RegistryFile, digest,
    ledger::{Disk, Ledger, fold},
    license::SERVER_KEY,
    name, session_id,
};

mod seen;
mod talk;

/// 2026-03-01 12:00:00.
pub(crate) const WALL_AT_START: Utc = Utc(1_772_366_400);

/// After this silence a link is dead.
pub(crate) const HEARTBEAT_TIMEOUT_MS: u64 = 6_000;

/// How long the machine had been up when the server started for the first time, in milliseconds.
const BOOTED_BEFORE_MS: u64 = 1_000_000;

/// How long a machine has been up when its server starts after a boot, in milliseconds.
const JUST_BOOTED_MS: u64 = 20_000;

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
    pub(crate) registry: RegistryFile,
    /// Everything it did but appends and answers, since it was last taken.
    pub(crate) effects: Vec<Effect>,
    licenses: Vec<License>,
    now: Now,
    answers: BTreeMap<RequestId, Answer>,
    answered: Vec<RequestId>,
    open: BTreeSet<LinkId>,
    last_name: u64,
    /// Counted up at every boot.
    boot: u8,
    /// A clock that no one sees and that nothing stops.
    lived: Elapsed,
}

impl Server {
    /// A server at its first start, ready, with these licenses.
    pub(crate) fn with(licenses: impl IntoIterator<Item = LicenseBuilder>) -> Self {
        let now = Now { elapsed: Elapsed(BOOTED_BEFORE_MS), wall: WALL_AT_START };
        let mut registry = RegistryFile::default();
        let mut server = Self {
            node: Node::new(settings(1), fold(&[]), &registry.begin(), now),
            ledger: Ledger::new(),
            registry,
            effects: Vec::new(),
            licenses: licenses.into_iter().map(LicenseBuilder::build).collect(),
            now,
            answers: BTreeMap::new(),
            answered: Vec::new(),
            open: BTreeSet::new(),
            last_name: 0,
            boot: 1,
            lived: Elapsed(BOOTED_BEFORE_MS),
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

    /// The same, with these licenses.
    pub(crate) fn start_with(&mut self, licenses: impl IntoIterator<Item = LicenseBuilder>) {
        self.licenses = licenses.into_iter().map(LicenseBuilder::build).collect();
        self.start();
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
        self.registry.waiting.clear();
        self.registry.set_disk(Disk::Fine);
        self.ledger.disk = Disk::Fine;
        self.open.clear();
        self.effects.clear();
        self.node = Node::new(
            settings(self.boot),
            self.ledger.remember(),
            &self.registry.begin(),
            self.now,
        );
    }

    /// The machine crashes, and boots again `down_ms` later; its wall clock may be wrong then.
    pub(crate) fn reboot_after(&mut self, down_ms: u64, wall_error_s: i64) {
        self.crash(down_ms, wall_error_s);
        self.start();
    }

    /// The machine crashes and boots again; its server is not ready yet.
    pub(crate) fn crash(&mut self, down_ms: u64, wall_error_s: i64) {
        self.move_clocks(down_ms);
        self.boot += 1;
        self.now.elapsed = Elapsed(JUST_BOOTED_MS);
        self.step_wall_clock(wall_error_s);
        self.kill(0);
    }

    /// The ledger as it is now, for a restore.
    pub(crate) fn backup(&self) -> Vec<Record> {
        self.ledger.durable.clone()
    }

    /// The server is killed, and starts again with an older ledger in the place of its own.
    pub(crate) fn restore(&mut self, backup: Vec<Record>) {
        self.ledger.durable = backup;
        self.ledger.reserve.clear();
        self.restart_after(1_000);
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

    /// What the clock says that nothing stops.
    pub(crate) fn lived(&self) -> Elapsed {
        self.lived
    }

    fn move_clocks(&mut self, duration_ms: u64) {
        self.lived = self.lived.plus_ms(duration_ms);
        let before_s = self.now.elapsed.0 / 1_000;
        self.now.elapsed = self.now.elapsed.plus_ms(duration_ms);
        let passed_s = (self.now.elapsed.0 / 1_000 - before_s).cast_signed();
        self.now.wall = self.now.wall.plus_seconds(passed_s);
    }

    /// Somebody sets the wall clock, forward or back.
    pub(crate) fn step_wall_clock(&mut self, seconds: i64) {
        self.now.wall = self.now.wall.plus_seconds(seconds);
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

    /// Settles the change of the registry that waits longest; whether there was one.
    pub(crate) fn settle_enrolled(&mut self, succeeds: bool) -> bool {
        let Some((id, outcome)) = self.registry.settle_one(succeeds) else { return false };
        self.input(Input::Enrolled { id, outcome });
        true
    }

    /// Settles the append that waits longest with what the reserve says to it.
    pub(crate) fn reserve_one(&mut self) {
        if let Some((id, outcome)) = self.ledger.reserve_one() {
            self.input(Input::Appended { id, outcome });
        }
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
            Effect::Enroll { id, batch } => {
                if let Some(outcome) = self.registry.enroll(id, batch) {
                    self.node.handle(self.now, Input::Enrolled { id, outcome });
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
}

/// What a grant proves when it is shown again.
pub(crate) fn witness(grant: &Grant) -> Witness {
    Witness {
        session: grant.session,
        license_id: grant.license_id.clone(),
        lease_ms: grant.lease_ms,
        marks: grant.marks.clone(),
    }
}

fn settings(boot: u8) -> Settings {
    Settings {
        server_key: SERVER_KEY,
        boot: BootId([boot; 16]),
        heartbeat_timeout_ms: HEARTBEAT_TIMEOUT_MS,
    }
}
