//! A server and its clients, and what happens to them.

use std::collections::BTreeMap;

use ve_core::{
    grant::Grant,
    id::{LicenseId, LinkId, SessionId},
    license::Lease,
    node::{
        event::Record,
        io::{Answer, AppendId, Ask, Effect, Input, RequestId, Ticket},
    },
    time::Elapsed,
};

use super::{
    client::{Clients, Emulator},
    step::{Fate, Step},
};
use crate::harness::{Disk, Server, emulator, machine, witness};

/// A question that was asked.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Login(Box<AskedLogin>),
    Check(LinkId, SessionId),
    Logout(LinkId),
}

/// A login, and what it may count on.
#[derive(Debug, Clone)]
pub(super) struct AskedLogin {
    pub(super) link: LinkId,
    pub(super) emulator: Emulator,
    /// The grant that was shown.
    pub(super) shown: Option<Grant>,
    /// The instances of each license then: a login may be decided before an update takes some away.
    pub(super) instances: BTreeMap<LicenseId, u32>,
}

pub(crate) struct World {
    pub(super) server: Server,
    pub(super) lease: Lease,
    pub(super) clients: Clients,
    links: Vec<(LinkId, u8)>,
    pub(super) asked: BTreeMap<RequestId, Asked>,
    /// How many answers the clients have heard.
    heard: usize,
    pings: Vec<(LinkId, SessionId)>,
    /// The administrator's questions that wait, and the last append that each is about.
    pub(super) questions: BTreeMap<Ticket, AppendId>,
    backup: Vec<Record>,
    story: Vec<Effect>,
    /// The versions that an installation uses next: of license 1, of license 2.
    pub(super) versions: [u32; 2],
    /// Whether an update ever took seats or sections away.
    pub(super) shrunk: bool,
    pub(super) used_ms: BTreeMap<(String, u32), u64>,
    pub(super) installed_at: BTreeMap<(String, u32), Elapsed>,
    pub(super) boots: u64,
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
            questions: BTreeMap::new(),
            backup: Vec::new(),
            story: Vec::new(),
            versions: [1, 1],
            shrunk: false,
            used_ms: BTreeMap::new(),
            installed_at: BTreeMap::new(),
            boots: 0,
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
            Step::Settle { count, fate } => self.settle(count, fate),
            Step::AskWhetherSettled => self.ask_whether_settled(),
            Step::Pass { duration_ms } => self.pass(duration_ms),
            Step::Release { which } => {
                self.server.release(which);
            }
            Step::Install { what } => self.install(what),
            Step::Machine { cores } => self.server.input(Input::Machine(machine(cores))),
            Step::SetWallClock { seconds } => self.server.step_wall_clock(seconds),
            Step::Restart { down_ms, durable_unheard } => {
                for _ in 0..durable_unheard {
                    self.server.ledger.settle_one(true);
                }
                self.restart(|server| server.kill(down_ms));
            }
            Step::Reboot { down_ms, wall_error_s } => {
                self.boots += 1;
                self.restart(|server| server.crash(down_ms, wall_error_s));
            }
            Step::BackUp => self.backup = self.server.backup(),
            Step::Restore { lost } => self.restore(lost),
            Step::Drain => self.server.input(Input::Drain),
        }
        self.listen();
    }

    pub(super) fn settle(&mut self, count: usize, fate: Fate) {
        for _ in 0..count {
            match fate {
                Fate::Written => drop(self.server.settle_one(true)),
                Fate::Failed => drop(self.server.settle_one(false)),
                Fate::Reserved => self.server.reserve_one(),
            }
            self.listen();
        }
    }

    /// The administrator asks whether all is durable.
    fn ask_whether_settled(&mut self) {
        let last = self.server.ledger.waiting.back().map_or(0, |(id, _)| *id);
        self.server.settle();
        self.questions.insert(self.server.latest_ticket(), last);
    }

    /// Time passes in pieces, so that the clients hear everything when it is said.
    pub(super) fn pass(&mut self, duration_ms: u64) {
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
        let last_heard = Elapsed(self.server.lived().0.saturating_sub(silence_ms));
        self.clients.closed(link, last_heard);
        self.server.close_silent(link, silence_ms);
    }

    /// A client shows its latest grant whenever it has one, and names its session only as long as
    /// its emulator runs.
    fn login(&mut self, which: usize, number: u8, run: u8, size: u8, returns: bool) {
        let Some((link, host)) = self.link(which) else { return };
        let known = self.clients.all.get(&(host, number));
        let mut login = emulator(&format!("vm{number}")).run(run);
        login = match size {
            0 => login,
            1 => login.cpus(4),
            2 => login.passphrase("1111-2222"),
            _ => login.hardware("Charon-SSP/4V"),
        };
        if let Some(client) = known {
            login = login.showing_witness(witness(&client.grant));
            if returns && client.runs(self.server.lived()) {
                login = login.session(client.session());
            }
        }
        let asked = AskedLogin {
            link,
            emulator: (host, number),
            shown: known.map(|client| client.grant.clone()),
            instances: self.instances(),
        };
        let request = self.server.ask_login(link, login);
        self.asked.insert(request, Asked::Login(Box::new(asked)));
    }

    fn check_session(&mut self, which: usize) {
        let believing = self
            .clients
            .all
            .values()
            .filter_map(|client| client.link.map(|link| (link, client.session())));
        let Some((link, session)) = believing.cycle().nth(which) else { return };
        let request = self.server.ask(link, Ask::Check(session));
        self.asked.insert(request, Asked::Check(link, session));
    }

    /// A client logs out, over any link of its host.
    fn logout(&mut self, which: usize) {
        let Some((link, host)) = self.link(which) else { return };
        let own = self.clients.all.iter().find(|((of, _), _)| *of == host);
        let Some(session) = own.map(|(_, client)| client.session()) else { return };
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

    fn restart(&mut self, end: impl FnOnce(&mut Server)) {
        self.clients.server_lost(self.server.lived());
        self.links.clear();
        self.pings.clear();
        self.questions.clear();
        end(&mut self.server);
        self.used_ms = self
            .server
            .ledger
            .remember()
            .meters
            .into_iter()
            .map(|((id, version), metered)| ((id.to_string(), version), metered.used_ms))
            .collect();
        self.server.ledger.disk = Disk::Slow;
        self.server.start();
    }

    /// An older ledger, or an empty one, is put in place, and the store knows what that means.
    fn restore(&mut self, lost: bool) {
        let records = if lost { Vec::new() } else { self.backup.clone() };
        let ledger = &mut self.server.ledger;
        ledger.durable = records;
        ledger.reserve.clear();
        ledger.lack_holders();
        self.restart(|server| server.kill(1_000));
        let known = self.server.ledger.remember().sessions;
        let is_known = |id| known.iter().any(|session| session.id == id);
        let unknown = self.clients.all.iter().filter(|(_, client)| !is_known(client.session()));
        self.clients.forgotten = unknown.map(|(emulator, _)| *emulator).collect();
    }

    /// The clients hear what the server said.
    pub(super) fn listen(&mut self) {
        for effect in std::mem::take(&mut self.server.effects) {
            match &effect {
                Effect::Revoke { session, link, .. } => {
                    assert!(self.server.is_open(*link), "a revocation over a closed link");
                    self.clients.revoked(*session, self.server.lived());
                }
                Effect::Ping { link, session } => {
                    assert!(self.server.is_open(*link), "a ping over a closed link");
                    self.pings.push((*link, *session));
                }
                Effect::Reply { ticket, outcome } => self.hear_reply(*ticket, outcome.is_ok()),
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
}
