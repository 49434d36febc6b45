//! The world of one run: machines, people, a network, and the order in which things happen to them.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    client,
    id::{HostKey, LinkId},
    license::{Mode, Verified},
    registry::{PlatformIdentity, Receipt},
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::{
    Plan, Violation,
    checks::Checks,
    client::{Host, Seat},
    clock::At,
    fact::Fact,
    faults::Undo,
    network::{Link, Message, Network, Side},
    peering::{Peering, Talk},
    queue::Queue,
    random::Random,
    roster,
    server::Server,
    vendor::{Terms, Vendor},
};

/// A day, in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

/// How often the invariants are shown that time has passed, in milliseconds.
const WATCH_MS: u64 = 30 * SECOND_MS;

/// What is going to happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A server's process begins; its machine boots before that if it has to.
    ServerStarts {
        server: usize,
    },
    /// It has read what it needs.
    ServerReady {
        server: usize,
        process: u64,
    },
    ServerTick {
        server: usize,
        process: u64,
    },
    /// A commit has come to its end.
    DiskDone {
        server: usize,
        process: u64,
    },
    /// So has a commit of the registry.
    RollDone {
        server: usize,
        process: u64,
    },
    /// A server looks whether it should connect to its peer.
    Dial {
        server: usize,
        process: u64,
    },
    TalkArrives {
        link: LinkId,
        to: usize,
        talk: Box<Talk>,
    },
    TalkRetry {
        link: LinkId,
        to: usize,
    },
    PeerSilence {
        link: LinkId,
        server: usize,
        since: At,
    },
    PeerTimeout {
        link: LinkId,
    },
    /// A draining server's links have had their moment.
    Drained {
        server: usize,
        process: u64,
    },
    Arrives {
        link: LinkId,
        to: Side,
        message: Message,
    },
    /// Bytes that met a cut get through, or are found to still meet one.
    Retry {
        link: LinkId,
        side: Side,
    },
    /// An end has been silent for the heartbeat time-out, if it still is.
    Silence {
        link: LinkId,
        side: Side,
        since: At,
    },
    ConnectTimeout {
        link: LinkId,
    },
    ClientTick {
        client: usize,
        program: u64,
    },
    GuestEnds {
        client: usize,
        program: u64,
    },
    Launch {
        client: usize,
    },
    StopWanted {
        client: usize,
        program: u64,
    },
    Fault,
    Undo(Undo),
    Watch,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) at: At,
    pub(crate) queue: Queue<Event>,
    pub(crate) random: Random,
    pub(crate) vendor: Vendor,
    pub(crate) network: Network,
    pub(crate) peering: Peering,
    pub(crate) servers: Vec<Server>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) seats: Vec<Seat>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) last_link: u64,
    /// Keys of hosts that are gone for ever, and that nobody has retired yet.
    pub(crate) gone: Vec<HostKey>,
    /// What was found of receipts, by their hashes.
    pub(crate) receipts: BTreeMap<u64, Option<Verified<Receipt>>>,
    /// What was found of providers' documents, by hashes of both parts.
    pub(crate) identities: BTreeMap<(u64, u64), Option<Verified<PlatformIdentity>>>,
    pub(crate) checks: Checks,
    /// Signatures that were found to hold: server, and hashes of what is signed and of the signature.
    pub(crate) verified: BTreeSet<(usize, u64, u64)>,
    /// Nothing goes wrong any more.
    pub(crate) healed: bool,
    pub(crate) faults: u64,
    steps: u64,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let vendor = Vendor::new(&mut random);
        let terms = Terms::new(&mut random);
        let servers: Vec<Server> =
            (0..2).map(|server| Server::new(&mut random, &vendor, terms, server, &plan)).collect();
        let (hosts, seats) = match plan.mode {
            Mode::General => emulators(&mut random, plan.clients),
            Mode::AutoVe => roster::hosts(&mut random, plan.clients),
        };
        let mut world = Self {
            checks: Checks::new(&plan, servers.len(), &seats),
            plan,
            at: 0,
            queue: Queue::new(),
            random,
            vendor,
            network: Network::default(),
            peering: Peering::default(),
            gone: Vec::new(),
            receipts: BTreeMap::new(),
            identities: BTreeMap::new(),
            servers,
            hosts,
            seats,
            links: BTreeMap::new(),
            last_link: 0,
            verified: BTreeSet::new(),
            healed: false,
            faults: 0,
            steps: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.choose_dialers();
        for server in 0..self.servers.len() {
            self.tell_installed(server);
            self.queue.plan(0, Event::ServerStarts { server });
        }
        for client in 0..self.seats.len() {
            let at = self.random.between(SECOND_MS, HOUR_MS);
            self.queue.plan(at, Event::Launch { client });
        }
        self.queue.plan(WATCH_MS, Event::Watch);
        self.plan_fault();
    }

    pub(crate) fn plan_fault(&mut self) {
        let pause = self.plan.profile.pause_ms(&mut self.random);
        self.queue.plan(self.at + pause, Event::Fault);
    }

    /// Lets things happen until `end`, or until an invariant is broken.
    pub(crate) fn run_until(&mut self, end: At) -> Result<(), Violation> {
        while let Some((at, event)) = self.queue.next() {
            if at > end {
                self.at = end;
                self.queue.plan(at, event);
                break;
            }
            self.at = at;
            self.steps += 1;
            self.happen(event);
            if let Some(violation) = self.checks.violation() {
                return Err(violation);
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ServerStarts { server } => self.start_server(server),
            Event::ServerReady { server, process } => self.server_ready(server, process),
            Event::ServerTick { server, process } => self.server_tick(server, process),
            Event::DiskDone { server, process } => self.disk_done(server, process),
            Event::RollDone { server, process } => self.roll_done(server, process),
            Event::Dial { server, process } => self.dial(server, process),
            Event::TalkArrives { link, to, talk } => self.talk_arrives(link, to, *talk),
            Event::TalkRetry { link, to } => self.talk_retry(link, to),
            Event::PeerSilence { link, server, since } => self.peer_silence(link, server, since),
            Event::PeerTimeout { link } => self.peer_timeout(link),
            Event::Drained { server, process } => self.drained(server, process),
            Event::Arrives { link, to, message } => self.arrive(link, to, message),
            Event::Retry { link, side } => self.retry(link, side),
            Event::Silence { link, side, since } => self.silence(link, side, since),
            Event::ConnectTimeout { link } => self.connect_timeout(link),
            Event::ClientTick { client, program } => self.client_tick(client, program),
            Event::GuestEnds { client, program } => self.guest_ends(client, program),
            Event::Launch { client } => self.launch(client),
            Event::StopWanted { client, program } => self.stop_wanted(client, program),
            Event::Fault => self.strike(),
            Event::Undo(undo) => self.undo(undo),
            Event::Watch => self.watch(),
        }
    }

    /// Shows the invariants that time has passed.
    fn watch(&mut self) {
        self.queue.plan(self.at + WATCH_MS, Event::Watch);
        for (client, seat) in self.seats.iter().enumerate() {
            let host = &self.hosts[seat.host];
            if host.runs() && seat.program.is_some() {
                self.checks.see(self.at, &Fact::Watched { client, now: host.clock.now(self.at) });
            }
        }
        if self.healed {
            self.restart_released();
        }
        let appends = self.servers.iter().map(Server::appends_under_way).max().unwrap_or(0);
        let links = self.servers.iter().map(|server| server.open_links.len()).max().unwrap_or(0);
        let (events, clients) = (self.queue.len(), self.seats.len());
        self.checks.see(self.at, &Fact::Counted { events, appends, links, clients });
    }

    /// Operators start anew what an administrator has released.
    fn restart_released(&mut self) {
        let is_released = |client: &usize| self.checks.is_released(*client);
        let released: Vec<usize> = (0..self.seats.len()).filter(is_released).collect();
        for client in released {
            self.stop_for_operator(client);
        }
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Heals everything, and gives everybody time to find back.
    pub(crate) fn heal(&mut self) -> Result<(), Violation> {
        self.healed = true;
        self.undo_everything();
        match self.plan.mode {
            Mode::General => self.install_ample_license(),
            Mode::AutoVe => self.settle_hosts(),
        }
        for client in 0..self.seats.len() {
            self.seats[client].wants = !self.seats[client].misfit;
            let at = self.at + self.random.between(SECOND_MS, MINUTE_MS);
            self.queue.plan(at, Event::Launch { client });
        }
        let grace_ms = self.servers.iter().map(|server| server.longest_grace_ms).max();
        let bound = 3 * grace_ms.unwrap_or(0) + HOUR_MS;
        if self.plan.mode == Mode::AutoVe {
            self.come_in_step()?;
        }
        self.run_until(self.at + bound)?;
        match self.plan.mode {
            Mode::General => self.is_well(bound),
            Mode::AutoVe => self.hosts_are_well(bound),
        }
    }

    /// Who wants to run does, on the primary, and the backup stands idle.
    fn is_well(&mut self, bound: u64) -> Result<(), Violation> {
        let unwell = |what: String| Violation { invariant: "liveness", at_ms: self.at, what };
        let minutes = bound / MINUTE_MS;
        for (client, seat) in self.seats.iter().enumerate().filter(|(_, seat)| seat.wants) {
            let home = self.links.values().any(|link| {
                link.client == client
                    && link.server == 0
                    && link.holds.is_some()
                    && link.client_end.is_open()
                    && link.server_end.is_open()
            });
            if !home || !seat.guest_runs() {
                let state = self.checks.describe(client);
                return Err(unwell(format!(
                    "client {client} is not licensed on the primary {minutes} minutes after \
                     everything was healed: {state}"
                )));
            }
        }
        let used = |world: &Self| world.servers[1].disk.ledger().hours_used();
        let before = used(self);
        let on_backup = |link: &&Link| link.server == 1 && link.holds.is_some();
        if let Some(link) = self.links.values().find(on_backup) {
            return Err(unwell(format!(
                "client {} still holds a session of the backup {minutes} minutes after everything \
                 was healed",
                link.client
            )));
        }
        self.run_until(self.at + 10 * MINUTE_MS)?;
        if used(self) == before {
            return Ok(());
        }
        let what = "the backup's hours run on although everybody is back on the primary".to_owned();
        Err(Violation { invariant: "liveness", at_ms: self.at, what })
    }

    /// What a client machine is told once.
    pub(crate) fn client_settings(&mut self, client: usize) -> client::io::Settings {
        client::io::Settings {
            servers: self.servers.len(),
            home: self.hosts[self.seats[client].host].receipts.home(),
            start_wait_ms: self.random.pick(&[0, MINUTE_MS, 10 * MINUTE_MS]),
            shutdown_lead_ms: crate::client::SHUTDOWN_LEAD_MS,
            shutdown_timeout_ms: 5 * MINUTE_MS,
            primary_probe_ms: MINUTE_MS,
            seed: self.random.number(),
        }
    }
}

/// The emulators of general mode, two on each host.
fn emulators(random: &mut Random, count: usize) -> (Vec<Host>, Vec<Seat>) {
    let hosts = (0..count.div_ceil(2)).map(|_| Host::new(random)).collect();
    let seats = (0..count).map(|client| Seat::new(random, client)).collect();
    (hosts, seats)
}
