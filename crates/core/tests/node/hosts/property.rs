//! Whatever happens to hosts in whatever order, capacity is never exceeded, and what was
//! acknowledged is not forgotten.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use ve_core::{id::SessionId, node::io::RequestId};

use super::*;
use crate::harness::Disk;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    Login { host: u8, emulator: u8, boot: u8, shows: bool },
    Check { which: usize },
    Close { which: usize },
    Logout { which: usize },
    Retire { host: u8 },
    PeerComes { serves: bool },
    PeerGoes,
    PeerTells { host: u8, home: bool, revision: u64, retired: bool },
    Import { host: u8 },
    Install { instances: u32 },
    Slow,
    Settle { enrolls: usize, appends: usize, succeeds: bool },
    Pass { duration_ms: u64 },
    Restart { loses_registry: bool },
}

fn anything() -> impl Strategy<Value = Step> {
    let host = || 1_u8..7;
    prop_oneof![
        12 => (host(), 0_u8..2, 1_u8..3, any::<bool>())
            .prop_map(|(host, emulator, boot, shows)| Step::Login { host, emulator, boot, shows }),
        4 => (0_usize..9).prop_map(|which| Step::Check { which }),
        3 => (0_usize..9).prop_map(|which| Step::Close { which }),
        2 => (0_usize..9).prop_map(|which| Step::Logout { which }),
        1 => host().prop_map(|host| Step::Retire { host }),
        2 => any::<bool>().prop_map(|serves| Step::PeerComes { serves }),
        2 => Just(Step::PeerGoes),
        3 => (host(), any::<bool>(), 1_u64..5, prop::bool::weighted(0.1)).prop_map(
            |(host, home, revision, retired)| Step::PeerTells { host, home, revision, retired }
        ),
        1 => host().prop_map(|host| Step::Import { host }),
        1 => (1_u32..5).prop_map(|instances| Step::Install { instances }),
        2 => Just(Step::Slow),
        6 => (0_usize..4, 0_usize..4, prop::bool::weighted(0.8)).prop_map(
            |(enrolls, appends, succeeds)| Step::Settle { enrolls, appends, succeeds }
        ),
        4 => prop_oneof![0_u64..3_000, 3_000_u64..200_000]
            .prop_map(|duration_ms| Step::Pass { duration_ms }),
        1 => prop::bool::weighted(0.2)
            .prop_map(|loses_registry| Step::Restart { loses_registry }),
    ]
}

struct World {
    server: Server,
    peer: Option<Peer>,
    peer_serves: bool,
    instances: u32,
    version: u32,
    asked: BTreeMap<RequestId, (LinkId, u8)>,
    heard: usize,
    /// Who is served, by what they were told: session, link and host.
    served: Vec<(LinkId, SessionId, u8)>,
    receipts: BTreeMap<u8, Receipt>,
    /// Who was told, durably, that a host is retired.
    retired: BTreeSet<u8>,
    asked_to_retire: BTreeMap<u64, u8>,
}

impl World {
    fn new() -> Self {
        Self {
            server: Server::with([autove(3)]),
            peer: None,
            peer_serves: false,
            instances: 3,
            version: 1,
            asked: BTreeMap::new(),
            heard: 0,
            served: Vec::new(),
            receipts: BTreeMap::new(),
            retired: BTreeSet::new(),
            asked_to_retire: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Login { host, emulator: number, boot, shows } => {
                let mut said = facts().boot(boot);
                if let Some(receipt) = self.receipts.get(&host).filter(|_| shows) {
                    said = said.showing(receipt);
                }
                let link = self.server.link(host);
                let login = emulator(&format!("vm{number}")).on(said);
                let request = self.server.ask_login(link, login);
                self.asked.insert(request, (link, host));
            }
            Step::Check { which } => {
                if let Some((link, session, host)) = self.pick(which) {
                    let request = self.server.ask(link, ve_core::node::io::Ask::Check(session));
                    self.asked.insert(request, (link, host));
                }
            }
            Step::Close { which } => {
                if let Some((link, ..)) = self.pick(which) {
                    self.served.retain(|(other, ..)| *other != link);
                    self.server.close(link);
                }
            }
            Step::Logout { which } => {
                if let Some((link, session, _)) = self.pick(which) {
                    self.served.retain(|(_, other, _)| *other != session);
                    self.server.logout(link, session);
                }
            }
            Step::Retire { host } => {
                let reply = self.server.retire(host);
                self.asked_to_retire.insert(self.server.latest_ticket(), host);
                drop(reply);
            }
            Step::PeerComes { serves } => self.peer_comes(serves),
            Step::PeerGoes => {
                if let Some(peer) = self.peer.take() {
                    peer.goes(&mut self.server);
                }
            }
            Step::PeerTells { host, home, revision, retired } => {
                let home = if home { own() } else { theirs() };
                let state = if retired { HostState::Retired } else { HostState::Active };
                let told = HostEntry { revision, state, ..entry(host, home, i64::from(host)) };
                if let Some(peer) = &mut self.peer
                    && self.server.registry.waiting.is_empty()
                {
                    peer.tells(&mut self.server, vec![told]);
                }
            }
            Step::Import { host } => {
                self.server.import(vec![entry(host, own(), 0)]);
            }
            Step::Install { instances } => {
                self.version += 1;
                self.instances = instances;
                self.server.install([autove(instances).version(self.version)]);
            }
            Step::Slow => {
                self.server.registry.set_disk(Disk::Slow);
                self.server.ledger.disk = Disk::Slow;
            }
            Step::Settle { enrolls, appends, succeeds } => self.settle(enrolls, appends, succeeds),
            Step::Pass { duration_ms } => self.pass(duration_ms),
            Step::Restart { loses_registry } => self.restart(loses_registry),
        }
        self.listen();
    }

    fn pick(&self, which: usize) -> Option<(LinkId, SessionId, u8)> {
        let at = which.checked_rem(self.served.len())?;
        Some(self.served[at])
    }

    fn peer_comes(&mut self, serves: bool) {
        let told = if serves { Ok(()) } else { Err(ReasonCode::LicenseExpired) };
        self.peer_serves = serves;
        if let Some(peer) = &mut self.peer {
            return peer.stands(&mut self.server, told);
        }
        let mut peer = Peer::comes(&mut self.server, 3);
        peer.number = self.server.registry.pulled.map_or(0, |pulled| pulled.number);
        peer.stands(&mut self.server, told);
        self.peer = Some(peer);
    }

    fn settle(&mut self, enrolls: usize, appends: usize, succeeds: bool) {
        for _ in 0..enrolls {
            self.server.settle_enrolled(succeeds);
            self.listen();
        }
        for _ in 0..appends {
            self.server.settle_one(succeeds);
            self.listen();
        }
    }

    /// Time passes in pieces, so that the clients hear everything when it is said.
    fn pass(&mut self, duration_ms: u64) {
        let end = self.server.now().elapsed.plus_ms(duration_ms);
        while self.server.now().elapsed < end {
            let next = self.server.node.deadline().min(end);
            self.server.pass(next.since_ms(self.server.now().elapsed));
            self.listen();
        }
    }

    fn restart(&mut self, loses_registry: bool) {
        self.peer = None;
        self.served.clear();
        self.asked.clear();
        self.asked_to_retire.clear();
        if loses_registry {
            self.server.registry.lose();
        }
        self.server.restart_after(1_000);
    }

    /// The clients hear what they are told.
    fn listen(&mut self) {
        for (_, session, _) in self.server.revocations() {
            self.served.retain(|(_, other, _)| *other != session);
        }
        for (ticket, host) in core::mem::take(&mut self.asked_to_retire) {
            match self.server.reply_to(ticket) {
                Some(Ok(_)) => drop(self.retired.insert(host)),
                Some(Err(_)) => {}
                None => drop(self.asked_to_retire.insert(ticket, host)),
            }
        }
        self.server.effects.clear();
        let news = self.server.answered()[self.heard..].to_vec();
        self.heard += news.len();
        for request in news {
            let Some((link, host)) = self.asked.get(&request).copied() else { continue };
            if let Some(Answer::Granted(grant)) = self.server.answer(request) {
                self.hear_grant(link, host, &grant);
            }
        }
    }

    fn hear_grant(&mut self, link: LinkId, host: u8, grant: &Grant) {
        assert!(!self.retired.contains(&host), "a retired host was served");
        let durable = self.server.registry.entries.get(&key(host));
        let (_, entry) = durable.expect("served, and not durably registered");
        assert!(entry.is_active(), "served, and not active");
        assert!(grant.home.is_some());
        if let Some(receipt) = &grant.receipt {
            self.receipts.insert(host, Receipt::clone(receipt));
        }
        self.served.retain(|(_, session, _)| *session != grant.session);
        if self.server.is_open(link) {
            self.served.push((link, grant.session, host));
        }
        self.check_grant(host);
    }

    /// Who has just been served had a right to it, as counted from the registry and the sessions.
    fn check_grant(&self, host: u8) {
        let capacity = capacity(&self.server);
        let standing = standing(&self.server, host);
        match standing {
            Some("served" | "guest") => {}
            Some("elsewhere") => assert!(
                self.peer.is_some() && self.peer_serves,
                "served without an instance, here or at the peer"
            ),
            other => panic!("{other:?} was served with {capacity:?}"),
        }
    }

    /// Capacity, counted anew from the lists.
    fn check(&self) {
        let Some(capacity) = self.server.node.capacity() else { return };
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut oldest = Vec::new();
        for view in self.server.node.hosts_after(None) {
            *counts.entry(view.standing.as_str()).or_default() += 1;
            // One whose retirement is being written down has its instance still.
            let is_retiring = view.standing.as_str() == "retired";
            if view.entry.home == own() && view.entry.is_active() && !is_retiring {
                let is_served = view.standing.as_str() == "served";
                oldest.push((view.entry.registered, view.entry.host, is_served));
            }
        }
        let count = |standing| counts.get(standing).copied().unwrap_or(0);
        let (served, guests) = (count("served"), count("guest"));
        // One that is being retired may hold its instance until that is durable.
        assert!(guests <= capacity.guests, "{counts:?}, {capacity:?}");
        assert!(served + capacity.guests <= u64::from(self.instances), "{counts:?}, {capacity:?}");
        assert_eq!(capacity.instances, self.instances);
        // Those that are served are the oldest, and no instance is free while one is not.
        oldest.sort_unstable();
        let first_unserved = oldest.iter().position(|(_, _, is_served)| !is_served);
        if let Some(at) = first_unserved {
            assert!(oldest[at..].iter().all(|(_, _, is_served)| !is_served), "not the oldest");
        }
        for host in &self.retired {
            assert_ne!(standing(&self.server, *host), Some("served"), "retired and served");
        }
    }

    /// When everything works again, everyone is answered and guests are those who run.
    fn heal(&mut self) {
        self.server.registry.set_disk(Disk::Fine);
        self.server.ledger.disk = Disk::Fine;
        while !(self.server.registry.waiting.is_empty() && self.server.ledger.waiting.is_empty()) {
            self.settle(1, 1, true);
        }
        self.pass(20_000);
        self.listen();
        self.check();
        for (request, (link, _)) in &self.asked {
            let answered = self.server.answer(*request).is_some();
            assert!(answered || !self.server.is_open(*link), "{request} was never answered");
        }
        let written: BTreeMap<_, _> = self.server.registry.entries.clone();
        for view in self.server.node.hosts_after(None) {
            let (_, durable) = &written[&view.entry.host];
            assert_eq!(durable, view.entry, "memory and file differ");
        }
        assert_eq!(written.len(), self.server.node.hosts_after(None).count());
        // Every session ends, and with it every guest.
        let links: BTreeSet<LinkId> = self.asked.values().map(|(link, _)| *link).collect();
        for link in links.into_iter().filter(|link| self.server.is_open(*link)).collect::<Vec<_>>()
        {
            self.server.close(link);
        }
        self.pass(400_000);
        let left = self.server.node.capacity().map_or(0, |capacity| capacity.guests);
        assert_eq!((left, self.server.states().len()), (0, 0));
    }
}

#[test]
fn capacity_is_never_exceeded_and_nothing_acknowledged_is_forgotten() {
    let config = Config { failure_persistence: None, ..Config::default() };
    let config = match config.rng_seed {
        RngSeed::Random => Config { rng_seed: RngSeed::Fixed(20_260_301), ..config },
        RngSeed::Fixed(_) => config,
    };
    let outcome = TestRunner::new(config).run(&vec(anything(), 1..80), |steps| {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.heal();
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
