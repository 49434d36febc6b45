//! A server, its clients, and what must be true of them.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    grant::Grant,
    id::{LinkId, SessionId},
    license::Lease,
    node::{
        event::Record,
        io::{Answer, Ask, Effect, Input, RequestId},
    },
    time::Elapsed,
};

use super::{
    client::{Clients, Emulator},
    step::Step,
};
use crate::harness::{
    Disk, LicenseBuilder, SectionBuilder, Server, emulator, fold, license, machine, name, section,
};

/// Long enough to matter, short enough to end within a run.
const GRACE_MS: u64 = 60_000;

/// A question that was asked.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Login(LinkId, Emulator),
    Check(LinkId, SessionId),
    Logout(LinkId),
}

pub(crate) struct World {
    server: Server,
    lease: Lease,
    clients: Clients,
    links: Vec<(LinkId, u8)>,
    asked: BTreeMap<RequestId, Asked>,
    /// How many answers the clients have heard.
    heard: usize,
    pings: Vec<(LinkId, SessionId)>,
    story: Vec<Effect>,
    /// The versions that an installation uses next: of license 1, of license 2.
    versions: [u32; 2],
    /// The most seats that any version of license 1 and 2 ever had.
    most_seats: [usize; 2],
    /// Whether an update ever took seats or sections away.
    shrunk: bool,
    used_ms: BTreeMap<(String, u32), u64>,
    installed_at: BTreeMap<(String, u32), Elapsed>,
}

impl World {
    pub(crate) fn new(lease: Lease) -> Self {
        let mut world = Self {
            server: Server::with([]),
            lease,
            clients: Clients::default(),
            links: Vec::new(),
            asked: BTreeMap::new(),
            heard: 0,
            pings: Vec::new(),
            story: Vec::new(),
            versions: [1, 1],
            most_seats: [3, 1],
            shrunk: false,
            used_ms: BTreeMap::new(),
            installed_at: BTreeMap::new(),
        };
        world.server.ledger.disk = Disk::Slow;
        world.install(0);
        world
    }

    /// Everything that the server ever did.
    pub(crate) fn story(&self) -> (&[Effect], &BTreeMap<RequestId, Answer>, &[Record]) {
        (&self.story, self.server.answers(), &self.server.ledger.durable)
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match *step {
            Step::OpenLink { host } => {
                let link = self.server.link(host);
                self.links.push((link, host));
            }
            Step::CloseLink { which, silence_ms } => self.close(which, silence_ms),
            Step::Login { which, emulator, run, size, returns } => {
                self.login(which, emulator, run, size, returns);
            }
            Step::Check { which } => self.check_session(which),
            Step::Logout { which } => self.logout(which),
            Step::Pong { which, runs } => self.pong(which, runs),
            Step::Settle { count, succeed } => {
                for _ in 0..count {
                    self.server.settle_one(succeed);
                    self.listen();
                }
            }
            Step::Pass { duration_ms } => self.pass(duration_ms),
            Step::Release { which } => {
                self.server.release(which);
            }
            Step::Install { what } => self.install(what),
            Step::Machine { cores } => self.server.input(Input::Machine(machine(cores))),
            Step::SetWallClock { seconds } => self.server.step_wall_clock(seconds),
            Step::Restart { down_ms, durable_unheard } => self.restart(down_ms, durable_unheard),
            Step::Drain => self.server.input(Input::Drain),
        }
        self.listen();
    }

    /// Time passes in pieces, so that the clients hear everything when it is said.
    fn pass(&mut self, duration_ms: u64) {
        let end = self.server.now().elapsed.plus_ms(duration_ms);
        while self.server.now().elapsed < end {
            let next = self.server.node.deadline().min(end);
            let piece_ms = next.since_ms(self.server.now().elapsed);
            self.server.pass(piece_ms);
            self.listen();
        }
    }

    fn link(&self, which: usize) -> Option<(LinkId, u8)> {
        let at = which.checked_rem(self.links.len())?;
        Some(self.links[at])
    }

    fn close(&mut self, which: usize, silence_ms: u64) {
        let Some((link, _)) = self.link(which) else { return };
        self.links.retain(|(other, _)| *other != link);
        let last_heard = Elapsed(self.server.now().elapsed.0 - silence_ms);
        self.clients.closed(link, last_heard);
        self.server.close_silent(link, silence_ms);
    }

    fn login(&mut self, which: usize, number: u8, run: u8, size: u8, returns: bool) {
        let Some((link, host)) = self.link(which) else { return };
        let known = self.clients.0.get(&(host, number));
        let mut login = emulator(&format!("vm{number}")).run(run);
        login = match size {
            0 => login,
            1 => login.cpus(4),
            2 => login.passphrase("1111-2222"),
            _ => login.hardware("Charon-SSP/4V"),
        };
        if let Some(client) = known.filter(|_| returns) {
            login = login.session(client.session);
        }
        let request = self.server.ask_login(link, login);
        self.asked.insert(request, Asked::Login(link, (host, number)));
    }

    fn check_session(&mut self, which: usize) {
        let believing = self
            .clients
            .0
            .values()
            .filter_map(|client| client.link.map(|link| (link, client.session)));
        let Some((link, session)) = believing.cycle().nth(which) else { return };
        let request = self.server.ask(link, Ask::Check(session));
        self.asked.insert(request, Asked::Check(link, session));
    }

    /// A client logs out, over any link of its host.
    fn logout(&mut self, which: usize) {
        let Some((link, host)) = self.link(which) else { return };
        let own = self.clients.0.iter().find(|((of, _), _)| *of == host);
        let Some(session) = own.map(|(_, client)| client.session) else { return };
        self.clients.stopped(session);
        let request = self.server.ask(link, Ask::Logout(session));
        self.asked.insert(request, Asked::Logout(link));
    }

    fn pong(&mut self, which: usize, runs: bool) {
        let Some(at) = which.checked_rem(self.pings.len()) else { return };
        let (link, session) = self.pings.remove(at);
        if !self.server.is_open(link) {
            return;
        }
        if !runs {
            self.clients.stopped(session);
        }
        self.server.pong(link, session, runs);
    }

    fn restart(&mut self, down_ms: u64, durable_unheard: usize) {
        for _ in 0..durable_unheard {
            self.server.ledger.settle_one(true);
        }
        self.clients.server_lost(self.server.now().elapsed);
        self.links.clear();
        self.pings.clear();
        self.server.kill(down_ms);
        self.used_ms = fold(&self.server.ledger.durable)
            .hours_used_ms
            .into_iter()
            .map(|((id, version), used_ms)| ((id.to_string(), version), used_ms))
            .collect();
        self.server.ledger.disk = Disk::Slow;
        self.server.start();
    }

    fn install(&mut self, what: u8) {
        let first = |world: &Self| world.license(1).with(large(2)).with(guarded());
        let second = |world: &Self| {
            world.license(2).hours(1).with(section("HOURS").hardware("Charon-SSP/4V").instances(1))
        };
        let licenses = match what {
            0 | 1 => vec![first(self), second(self)],
            2 => {
                self.versions[0] += 1;
                self.shrunk = true;
                vec![self.license(1).with(large(1)).with(guarded()), second(self)]
            }
            3 => {
                self.versions[0] += 1;
                vec![self.license(1).with(guarded()).with(large(2)), second(self)]
            }
            4 => vec![second(self)],
            5 => {
                self.versions[0] += 1;
                self.shrunk = true;
                vec![self.license(1).with(guarded()), second(self)]
            }
            6 => {
                self.versions[0] += 1;
                let soon = self.server.now().wall.plus_seconds(30);
                vec![first(self).expires(soon), second(self)]
            }
            7 => {
                self.versions[1] += 1;
                vec![first(self), second(self)]
            }
            8 => {
                // Somebody puts an old file back.
                vec![first(self).version(1), second(self).version(1)]
            }
            _ => vec![],
        };
        for license in &licenses {
            let license = license.clone().build();
            let key = (license.id.to_string(), license.version);
            self.installed_at.entry(key).or_insert(self.server.now().elapsed);
        }
        self.server.install(licenses);
        self.listen();
    }

    fn license(&self, number: u32) -> LicenseBuilder {
        let version = self.versions[number as usize - 1];
        license(number).version(version).lease(self.lease).grace_ms(GRACE_MS)
    }

    /// The clients hear what the server said.
    fn listen(&mut self) {
        for effect in std::mem::take(&mut self.server.effects) {
            match &effect {
                Effect::Revoke { session, link, .. } => {
                    assert!(self.server.is_open(*link), "a revocation over a closed link");
                    self.clients.revoked(*session, self.server.now().elapsed);
                }
                Effect::Ping { link, session } => {
                    assert!(self.server.is_open(*link), "a ping over a closed link");
                    self.pings.push((*link, *session));
                }
                _ => {}
            }
            self.story.push(effect);
        }
        let news = self.server.answered()[self.heard..].to_vec();
        self.heard += news.len();
        for request in news {
            self.hear(request);
        }
    }

    fn hear(&mut self, request: RequestId) {
        let answer = self.server.answer(request).unwrap();
        if let Answer::Granted(grant) = &answer {
            self.check_hours(grant);
        }
        match (self.asked[&request], &answer) {
            (Asked::Login(link, emulator), Answer::Granted(grant)) => {
                self.assert_durable(grant.session);
                self.clients.granted(emulator, link, grant);
            }
            (Asked::Check(_, session), Answer::Granted(grant)) => {
                assert_eq!(grant.session, session);
                self.assert_durable(session);
            }
            (Asked::Check(_, session), Answer::Refused(_)) => {
                self.clients.revoked(session, self.server.now().elapsed);
            }
            _ => {}
        }
    }

    /// A session that is granted is in the ledger, and was never closed there.
    fn assert_durable(&self, id: SessionId) {
        let held = fold(&self.server.ledger.durable).sessions;
        assert!(held.iter().any(|session| session.id == id), "granted without a durable seat");
    }

    /// What must be true after every step.
    pub(crate) fn check(&mut self) {
        self.check_seats();
        self.check_ledger();
        self.check_clients();
    }

    /// Sessions that run or may come back never outnumber the seats of their section, and no
    /// emulator has two.
    fn check_seats(&self) {
        let now = self.server.now();
        let mut emulators = BTreeSet::new();
        let mut held: BTreeMap<(String, usize), u32> = BTreeMap::new();
        for session in self.server.node.sessions(now) {
            let record = session.record;
            if session.state != "closing" {
                let emulator = (record.host, record.emulator.clone());
                assert!(emulators.insert(emulator), "two sessions of {}", record.emulator);
            }
            if ["live", "left"].contains(&session.state) {
                *held.entry((record.license_id.to_string(), record.section)).or_default() += 1;
            }
        }
        for view in self.server.node.licenses(now) {
            for (index, section) in view.license.sections.iter().enumerate() {
                let held = held.get(&(view.license.id.to_string(), index)).copied().unwrap_or(0);
                assert!(held <= section.instances, "{held} sessions in {}", section.code);
            }
        }
    }

    /// Nor do they in the ledger, at any moment.
    fn check_ledger(&self) {
        let sessions = fold(&self.server.ledger.durable).sessions;
        let emulators: BTreeSet<_> =
            sessions.iter().map(|session| (session.host, session.emulator.clone())).collect();
        assert_eq!(emulators.len(), sessions.len(), "the ledger knows an emulator twice");
        if self.shrunk {
            return;
        }
        for (number, most) in (1..).zip(self.most_seats) {
            let id = license_id(number);
            let held = sessions.iter().filter(|session| session.license_id.as_str() == id).count();
            assert!(held <= most, "the ledger has {held} sessions of {id}");
        }
    }

    /// Who believes to be licensed is. And with a lease through the grace period every emulator that
    /// may still be running has a seat in its name.
    fn check_clients(&self) {
        let now = self.server.now();
        let live: BTreeSet<SessionId> = self
            .server
            .node
            .sessions(now)
            .filter(|session| session.state == "live")
            .map(|session| session.record.id)
            .collect();
        for client in self.clients.0.values().filter(|client| client.link.is_some()) {
            assert!(live.contains(&client.session), "a client believes in a session that is gone");
        }
        if self.lease != Lease::Grace {
            return;
        }
        let sessions = fold(&self.server.ledger.durable).sessions;
        for (host, number) in self.clients.running(now.elapsed) {
            let has_seat = sessions.iter().any(|session| {
                session.host.0[0] == host && session.emulator == name(&format!("vm{number}"))
            });
            assert!(has_seat, "vm{number} of host {host} runs on and its seat is gone");
        }
    }

    /// The hours that clients are told of never go down, and never outrun the clock.
    fn check_hours(&mut self, grant: &Grant) {
        let used_ms = grant.marks.hours_used_ms;
        let key = (grant.license_id.to_string(), grant.marks.license_version);
        let since = self.installed_at[&key];
        assert!(used_ms <= self.server.now().elapsed.since_ms(since), "more than has passed");
        let before = self.used_ms.insert(key, used_ms).unwrap_or(0);
        assert!(used_ms >= before, "hours went down");
    }

    /// Everything works again: then every question is answered and every end comes to its end.
    pub(crate) fn heal(&mut self) {
        self.server.ledger.disk = Disk::Fine;
        while self.server.settle_one(true) {
            self.listen();
        }
        self.pass(15_000);
        self.check();
        for (request, asked) in &self.asked {
            let (Asked::Login(link, _) | Asked::Check(link, _) | Asked::Logout(link)) = *asked;
            if self.server.is_open(link) {
                assert!(self.server.answer(*request).is_some(), "{asked:?} was never answered");
            }
        }
        let states = self.server.states();
        assert!(!states.iter().any(|state| ["opening", "closing"].contains(state)), "{states:?}");
    }
}

fn large(instances: u32) -> SectionBuilder {
    section("LARGE").instances(instances)
}

fn guarded() -> SectionBuilder {
    section("GUARDED").max_cpu(2).instances(1).passphrase("1111-2222")
}

fn license_id(number: u32) -> String {
    format!("01.00000001.002.{number:03}")
}
