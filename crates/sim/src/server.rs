//! A license server's shell: the node and its driver, the ledger's writer, starts and ends. It does
//! what the product's own shell does, in simulated time.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    id::{HostKey, LicenseId, LinkId, SessionId},
    license::{Lease, Mode},
    node::{
        Node, Settings,
        event::{Record, Remembered},
        io::{AppendId, Effect, EnrollId, Input, Note, Ticket},
    },
    registry::Batch,
    time::SECOND_MS,
};
use ve_documents::keys::SigningKey;
use ve_store::Store;
use ve_wire::limits::HEARTBEAT_TIMEOUT_MS;

use crate::{
    Bug, Plan,
    clock::{At, Clock},
    disk::{Disk, Health},
    fact::Fact,
    network::Side,
    random::Random,
    roll::Roll,
    vendor::{self, Signed, Terms, Vendor},
    world::{Event, World},
    writing::Writing,
};

/// How long a draining server leaves its clients, in milliseconds.
const DRAIN_MS: u64 = 2 * SECOND_MS;

/// From how many emulators or hosts on licenses have room for most of them.
const CROWD: u32 = 200;

/// A server: its machine, its disk, its licenses, and its process while it runs.
pub(crate) struct Server {
    pub(crate) key: SigningKey,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    pub(crate) roll: Roll,
    /// Whether it connects to its peer by itself.
    pub(crate) dials: bool,
    /// The credential that it has shown its peer.
    pub(crate) shown: Option<String>,
    pub(crate) powered: bool,
    /// The process stands still.
    pub(crate) hung: bool,
    /// Since when, or when it did last.
    pub(crate) hung_at: At,
    pub(crate) process: Option<Process>,
    runs: u64,
    /// The license files in its home.
    pub(crate) installed: BTreeMap<LicenseId, Signed>,
    /// Every version that the vendor has signed for it, the newest last.
    pub(crate) issued: Vec<Signed>,
    pub(crate) longest_grace_ms: u64,
    /// Copies of the ledger that somebody has kept.
    pub(crate) copies: Vec<Copy>,
    /// The links that the shell has and has told the node of.
    pub(crate) open_links: BTreeSet<LinkId>,
}

/// What somebody has kept of a home: the ledger, and the registry of the same moment.
pub(crate) struct Copy {
    pub(crate) ledger: Vec<u8>,
    pub(crate) roll: Vec<u8>,
}

/// What of a home is replaced by something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Registry,
    /// The ledger as well.
    Home,
}

/// A run of the server's program.
pub(crate) struct Process {
    pub(crate) number: u64,
    pub(crate) node: Node,
    pub(crate) ready: bool,
    pub(crate) draining: bool,
    pub(crate) appends: Writing<(AppendId, Vec<Record>)>,
    pub(crate) enrolls: Writing<(EnrollId, Batch)>,
    tick_at: Option<At>,
    pub(crate) tickets: BTreeMap<Ticket, Asked>,
    pub(crate) last_ticket: Ticket,
    /// For [`Bug::SessionShared`].
    pub(crate) last_fresh: Option<SessionId>,
}

/// What an administrator waits for.
pub(crate) enum Asked {
    /// A license, by its ID and version.
    Installed(LicenseId, u32),
    Retired(HostKey),
}

impl Server {
    pub(crate) fn new(
        random: &mut Random,
        vendor: &Vendor,
        terms: Terms,
        server: usize,
        plan: &Plan,
    ) -> Self {
        let key = vendor::key(random);
        let clients = u32::try_from(plan.clients).unwrap_or(u32::MAX);
        // Too few for all of a model, or enough.
        // A crowd that is refused for days asks for most of what a large run can do.
        let shares = if clients < CROWD { [15, 40, 60, 100] } else { [45, 55, 70, 100] };
        let instances = (clients * random.pick(&shares) / 100).max(1);
        let hours = u32::try_from(random.between(20, 400)).unwrap_or(20);
        let by_hours = server == 1 && (plan.mode == Mode::General || random.percent(50));
        let hours = by_hours.then_some(hours);
        let license =
            vendor::first_license(plan.mode, server, key.public(), terms, hours, instances);
        let signed = vendor.sign(&license);
        Self {
            key,
            clock: Clock::new(random, 0),
            disk: Disk::new(),
            roll: Roll::new(),
            dials: false,
            shown: None,
            powered: true,
            hung: false,
            hung_at: 0,
            process: None,
            runs: 0,
            longest_grace_ms: license.grace_ms,
            installed: BTreeMap::from([(license.id.clone(), signed.clone())]),
            issued: vec![signed],
            copies: Vec::new(),
            open_links: BTreeSet::new(),
        }
    }

    pub(crate) fn appends_under_way(&self) -> usize {
        self.process.as_ref().map_or(0, |process| process.appends.len() + process.enrolls.len())
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.hung
            && self.process.as_ref().is_some_and(|process| process.ready && !process.draining)
    }
}

impl World {
    pub(crate) fn start_server(&mut self, server: usize) {
        let at = self.at;
        let bug = self.plan.bug;
        let this = &mut self.servers[server];
        if this.process.is_some() {
            return;
        }
        let reboot = !this.powered;
        if reboot {
            this.powered = true;
            this.clock.reboot(&mut self.random, at);
        }
        let remembered = this.disk.remember().expect("a simulated disk can be read");
        let remembered = match bug {
            Some(Bug::SessionsForgotten) => Remembered { sessions: Vec::new(), ..remembered },
            Some(Bug::MeterReset) => Remembered { meters: BTreeMap::new(), ..remembered },
            _ => remembered,
        };
        self.checks.see(at, &Fact::ServerStarted { server, remembered: &remembered, reboot });
        self.tell_of_disk(server);
        let remembered = match bug {
            Some(Bug::NewcomersFirst) => Remembered { sessions: Vec::new(), ..remembered },
            Some(Bug::RetirementsForgotten) => {
                Remembered { retired_hosts: BTreeMap::new(), ..remembered }
            }
            _ => remembered,
        };
        let remembered_hosts = self.open_roll(server);
        let this = &mut self.servers[server];
        let settings = Settings {
            server_key: this.key.public(),
            boot: this.clock.boot,
            heartbeat_timeout_ms: HEARTBEAT_TIMEOUT_MS.into(),
        };
        this.runs += 1;
        let number = this.runs;
        this.process = Some(Process {
            number,
            node: Node::new(settings, remembered, &remembered_hosts, this.clock.now(at)),
            ready: false,
            draining: false,
            appends: Writing::default(),
            enrolls: Writing::default(),
            tick_at: None,
            tickets: BTreeMap::new(),
            last_ticket: 0,
            last_fresh: None,
        });
        self.feed(server, Input::Machine(vendor::machine(server)));
        self.feed_rules(server);
        self.feed_licenses(server);
        if bug == Some(Bug::ServedTooEarly) {
            self.feed(server, Input::Ready);
        }
        let ready_at = at + self.random.between(50, 3_000);
        self.queue.plan(ready_at, Event::ServerReady { server, process: number });
    }

    /// The administrator's tool has its answer.
    fn hear_reply(&mut self, server: usize, ticket: Ticket, done: bool) {
        let process = self.servers[server].process.as_mut();
        let asked = process.and_then(|process| process.tickets.remove(&ticket));
        match asked {
            Some(Asked::Installed(id, version)) if done => {
                let fact = Fact::InstallAcknowledged { server, id: &id, version };
                self.checks.see(self.at, &fact);
            }
            Some(Asked::Retired(host)) => self.hear_retired(server, host, done),
            _ => {}
        }
    }

    /// Tells the invariants of a disk that takes nothing at all.
    pub(crate) fn tell_of_disk(&mut self, server: usize) {
        let this = &self.servers[server];
        if this.disk.health == Health::Failing {
            let now = this.clock.now(self.at);
            self.checks.see(self.at, &Fact::MarksRefused { server, now });
        }
    }

    pub(crate) fn server_ready(&mut self, server: usize, process: u64) {
        let at = self.at;
        if self.servers[server].hung {
            return self.queue.plan(at + 100, Event::ServerReady { server, process });
        }
        let Some(running) = self.running(server, process) else { return };
        running.ready = true;
        let now = self.servers[server].clock.now(at);
        self.checks.see(at, &Fact::ServerReady { server, now });
        if self.plan.bug != Some(Bug::ServedTooEarly) {
            self.feed(server, Input::Ready);
        }
        if self.servers[server].dials {
            self.queue.plan(at, Event::Dial { server, process });
        }
    }

    /// The process, if it is still this run.
    pub(crate) fn running(&mut self, server: usize, process: u64) -> Option<&mut Process> {
        self.servers[server].process.as_mut().filter(|running| running.number == process)
    }

    /// Hands the node what happened and does what it decides.
    pub(crate) fn feed(&mut self, server: usize, input: Input) {
        let this = &mut self.servers[server];
        let now = this.clock.now(self.at);
        let Some(process) = &mut this.process else { return };
        process.node.handle(now, input);
        self.carry_out(server);
    }

    fn carry_out(&mut self, server: usize) {
        loop {
            let Some(process) = &mut self.servers[server].process else { return };
            let Some(effect) = process.node.poll() else { break };
            self.carry_out_one(server, effect);
        }
        self.plan_server_tick(server);
    }

    fn carry_out_one(&mut self, server: usize, effect: Effect) {
        let now = self.servers[server].clock.now(self.at);
        match effect {
            Effect::Append { id, records } => {
                self.checks.see(self.at, &Fact::Appending { server, records: &records, now });
                self.submit(server, id, records);
            }
            Effect::Answer { link, request, answer } => {
                let Server { disk, roll, .. } = &self.servers[server];
                let ledger = disk.ledger();
                let fact =
                    Fact::Answered { server, link, request, answer: &answer, ledger, roll, now };
                self.checks.see(self.at, &fact);
                self.send_answer(server, link, request, answer);
            }
            Effect::Revoke { link, session, refusal } => {
                let fact = Fact::Revoking { server, link, session, refusal: &refusal, now };
                self.checks.see(self.at, &fact);
                self.send_revoked(server, link, session, &refusal);
            }
            Effect::Ping { link, session } => self.send_ping(link, session),
            Effect::Closing { link } => self.send_closing(link),
            Effect::Reply { ticket, outcome } => self.hear_reply(server, ticket, outcome.is_ok()),
            Effect::Enroll { id, batch } => self.enroll(server, id, batch),
            Effect::TellPeer { link, message } => self.tell_peer(server, link, &message),
            Effect::RefusePeer { link, refusal } => self.refuse_peer(server, link, refusal),
            Effect::Note(Note::HostCloned { .. }) if self.plan.bug == Some(Bug::ClonesUnnoted) => {}
            Effect::Note(note) => {
                self.checks.see(self.at, &Fact::Noted { server, note: &note, now });
            }
        }
    }

    fn plan_server_tick(&mut self, server: usize) {
        let this = &mut self.servers[server];
        let Some(process) = &mut this.process else { return };
        let at = this.clock.when(process.node.deadline()).max(self.at);
        if process.tick_at.is_none_or(|planned| at < planned || planned < self.at) {
            process.tick_at = Some(at);
            self.queue.plan(at, Event::ServerTick { server, process: process.number });
        }
    }

    pub(crate) fn server_tick(&mut self, server: usize, process: u64) {
        let at = self.at;
        let hung = self.servers[server].hung;
        let Some(running) = self.running(server, process) else { return };
        if running.tick_at != Some(at) || hung {
            return;
        }
        running.tick_at = None;
        self.feed(server, Input::Tick);
    }

    /// The process runs on after it stood still.
    pub(crate) fn thaw(&mut self, server: usize) {
        if !std::mem::replace(&mut self.servers[server].hung, false) {
            return;
        }
        // What has come is read before or after time is looked at: both happen.
        let tick_first = self.random.percent(50);
        if tick_first {
            self.feed(server, Input::Tick);
        }
        self.read_what_has_come(server);
        let Some(process) = &mut self.servers[server].process else { return };
        let number = process.number;
        if std::mem::take(&mut process.appends.done_unseen) {
            self.disk_done(server, number);
        }
        self.thaw_peers(server, number);
        self.feed(server, Input::Tick);
        self.reassess();
    }

    /// The server is told to end; its clients are told, and have a moment to log out.
    pub(crate) fn drain(&mut self, server: usize) {
        let Some(process) = &mut self.servers[server].process else { return };
        process.draining = true;
        let number = process.number;
        self.feed(server, Input::Drain);
        let at = self.at + self.random.between(100, DRAIN_MS);
        self.queue.plan(at, Event::Drained { server, process: number });
    }

    /// Its links are closed, what was decided is written, and the process ends.
    pub(crate) fn drained(&mut self, server: usize, process: u64) {
        if self.running(server, process).is_none() {
            return;
        }
        let links: Vec<LinkId> = self.servers[server].open_links.iter().copied().collect();
        for link in links {
            self.close_end(link, Side::Server, true);
        }
        // Nothing is written by a process that stands still.
        while !self.servers[server].hung && self.servers[server].appends_under_way() > 0 {
            self.disk_done(server, process);
            self.roll_done(server, process);
        }
        self.end_process(server, true);
    }

    /// The process is gone, whatever it was doing. With its machine it goes silently.
    pub(crate) fn end_process(&mut self, server: usize, tells: bool) {
        let at = self.at;
        let this = &mut self.servers[server];
        let Some(process) = this.process.take() else { return };
        // What stood still before it ended has done nothing since.
        let active = if std::mem::replace(&mut this.hung, false) { this.hung_at } else { at };
        self.tear(server, &process);
        self.tear_roll(server, &process);
        self.close_all_peer_ends(server, tells);
        let now = self.servers[server].clock.now(active);
        self.checks.see(at, &Fact::ServerStopped { server, now });
        self.servers[server].open_links.clear();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            let Some(this) = self.links.get_mut(&link) else { continue };
            if this.server == server && this.server_end.is_open() {
                this.server_end = crate::network::End::Closed;
                this.to_server.stuck.clear();
                if tells {
                    self.transmit(link, Side::Client, crate::network::Message::End);
                }
            }
        }
        self.reassess();
    }

    /// Gives the node the licenses in the home, checked as a server checks them.
    pub(crate) fn feed_licenses(&mut self, server: usize) {
        let files: Vec<Signed> = self.servers[server].installed.values().cloned().collect();
        let texts = files.iter().map(|signed| self.spoil_license(signed));
        let trusted = texts.filter_map(|text| self.vendor.verify(&text)).collect();
        self.feed(server, Input::Licenses { trusted, unusable: Vec::new() });
        self.introduce_anew(server);
    }

    /// What a shell with a bug reads from a license file.
    fn spoil_license(&self, signed: &Signed) -> String {
        let mut license = signed.license.clone();
        match (self.plan.bug, license.lease) {
            (Some(Bug::GraceLeaseIgnored), Lease::Grace) => license.lease = Lease::For(SECOND_MS),
            (Some(Bug::MoreInstances), _) => {
                license.sections.iter_mut().for_each(|section| section.instances *= 2);
            }
            _ => return signed.text.clone(),
        }
        self.vendor.sign(&license).text
    }

    pub(crate) fn tell_installed(&mut self, server: usize) {
        let now = self.servers[server].clock.now(self.at);
        for signed in self.servers[server].installed.values() {
            let fact = Fact::Installed { server, license: &signed.license, now };
            self.checks.see(self.at, &fact);
        }
    }
}
