//! The hosts of AutoVE mode: machines that come and go, what each keeps of its registration, and what
//! it says of itself.

use std::collections::BTreeMap;

use ve_core::{
    id::{HostKey, LicenseId},
    license::Mode,
    node::io::{AutoVeRules, Input},
    registry::{HostFacts, Receipt, RememberedHosts},
    time::{MINUTE_MS, SECOND_MS},
};
use ve_documents::receipt;
use ve_store::HostStore;
use ve_wire::{
    convert::{self, FactsShown},
    limits::MAX_RECEIPTS,
    proto,
};

use crate::{
    Bug,
    client::{Host, Seat},
    clock::{At, Clock},
    fact::Fact,
    papers::Papers,
    random::{Hash, Random},
    vendor::name,
    world::{Event, World},
};

/// What there is in a place for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Vacant,
    Host,
    /// A running copy of another host, with its key.
    Clone,
}

/// The receipts that a host keeps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receipts {
    /// By home, with the moment they came.
    kept: BTreeMap<LicenseId, (At, String)>,
    /// A copy that somebody has made.
    copy: BTreeMap<LicenseId, (At, String)>,
    /// Another host's.
    pub(crate) stolen: Option<String>,
}

impl Receipts {
    /// The home that the newest one names.
    pub(crate) fn home(&self) -> Option<LicenseId> {
        let newest = self.kept.iter().max_by_key(|(_, (at, _))| *at);
        newest.map(|(home, _)| home.clone())
    }

    /// What is shown: the newest first.
    fn shown(&self) -> Vec<String> {
        let mut kept: Vec<_> = self.kept.values().collect();
        kept.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let own = kept.into_iter().map(|(_, text)| text.clone());
        own.chain(self.stolen.clone()).take(MAX_RECEIPTS).collect()
    }

    /// Somebody keeps a copy, or puts the copy back that is there.
    pub(crate) fn swap_copy(&mut self) {
        let copy = std::mem::replace(&mut self.copy, self.kept.clone());
        if !copy.is_empty() {
            self.kept = copy;
        }
    }

    pub(crate) fn lose(&mut self) {
        self.kept.clear();
    }

    /// Any of them.
    pub(crate) fn any(&self) -> Option<String> {
        self.kept.values().next().map(|(_, text)| text.clone())
    }
}

/// The hosts of a run and their emulators, one to three each. Some places are still vacant.
pub(crate) fn hosts(random: &mut Random, count: usize) -> (Vec<Host>, Vec<Seat>) {
    let vacant = (count / 4).max(2);
    let mut hosts: Vec<Host> = (0..count + vacant).map(|_| Host::new(random)).collect();
    for (place, host) in hosts.iter_mut().enumerate() {
        host.papers = Papers::new(random);
        host.slot = if place < count { Slot::Host } else { Slot::Vacant };
    }
    let mut seats = Vec::new();
    for host in 0..hosts.len() {
        for number in 0..random.pick(&[1, 1, 1, 1, 2, 2, 3]) {
            seats.push(Seat::on_host(random, host, number));
        }
    }
    (hosts, seats)
}

impl World {
    /// Which of the two servers connects to the other; maybe both do.
    pub(crate) fn choose_dialers(&mut self) {
        if self.plan.mode == Mode::General {
            return;
        }
        for host in 0..self.hosts.len() {
            self.tell_boot(host);
        }
        let dialers = self.random.pick(&[[true, true], [true, false], [false, true]]);
        for (server, dials) in dialers.into_iter().enumerate() {
            self.servers[server].dials = dials;
        }
    }

    pub(crate) fn feed_rules(&mut self, server: usize) {
        if self.plan.mode == Mode::AutoVe {
            let has_peer = self.servers[server].dials;
            self.feed(server, Input::AutoVe(AutoVeRules { has_peer, ..AutoVeRules::default() }));
        }
    }

    /// A start reads the registry.
    pub(crate) fn open_roll(&mut self, server: usize) -> RememberedHosts {
        if self.plan.mode == Mode::General {
            return RememberedHosts::empty(ve_core::id::SpanId([0; 16]));
        }
        let span = ve_core::id::SpanId(self.random.bytes());
        let this = &mut self.servers[server];
        let knows_hosts = this.disk.ledger().knows_hosts();
        this.roll.begin(span, knows_hosts);
        let mut remembered = this.roll.remember().expect("a simulated disk can be read");
        if self.plan.bug == Some(Bug::RegistryForgotten) {
            remembered.entries.clear();
        }
        self.checks.see(self.at, &Fact::RollRead { server, remembered: &remembered });
        match self.plan.bug {
            Some(Bug::RegistryUnread) => remembered.entries.clear(),
            Some(Bug::RetirementsForgotten) => {
                remembered.entries.retain(|(_, entry)| entry.is_active());
            }
            _ => {}
        }
        remembered
    }

    /// A host has booted, or is there for the first time.
    pub(crate) fn tell_boot(&mut self, host: usize) {
        let Host { key, slot, .. } = &self.hosts[host];
        if self.plan.mode == Mode::AutoVe && *slot != Slot::Vacant {
            let clone = *slot == Slot::Clone;
            let fact = Fact::HostBooted { host, key: *key, clone };
            self.checks.see(self.at, &fact);
        }
    }

    /// What a host says of itself to an AutoVE server.
    pub(crate) fn facts_of(&self, host: usize) -> Option<proto::HostFacts> {
        let this = &self.hosts[host];
        (self.plan.mode == Mode::AutoVe).then(|| {
            convert::facts_message(&FactsShown {
                name: name(&format!("host-{host}")),
                platform: None,
                boot: this.clock.boot,
                identity: this.papers.shown(),
                receipts: this.receipts.shown(),
            })
        })
    }

    /// The licenses that a server's credentials name.
    pub(crate) fn shown_licenses(&self, server: usize) -> Vec<LicenseId> {
        match self.plan.mode {
            Mode::General => Vec::new(),
            Mode::AutoVe => self.servers[server].installed.keys().cloned().collect(),
        }
    }

    /// A server checks what a host says of itself.
    pub(crate) fn read_facts(&mut self, message: &proto::Login) -> Option<HostFacts> {
        let shown = convert::facts(message.facts.as_ref()?).expect("hosts here keep every limit");
        let mut receipts = Vec::new();
        for text in &shown.receipts {
            let vendor = &self.vendor;
            // The same receipt is shown again and again; its signature is checked once.
            let known = self.receipts.entry(Hash::of(text.as_bytes()));
            receipts.extend(known.or_insert_with(|| vendor.verify_receipt(text)).clone());
        }
        let identity = shown.identity.as_ref().and_then(|it| self.believe_papers(it));
        let boot = match self.plan.bug {
            Some(Bug::BootHidden) => ve_core::id::BootId([0; 16]),
            _ => shown.boot,
        };
        let (name, platform) = (shown.name, shown.platform);
        Some(HostFacts { name, platform, boot, identity, receipts })
    }

    pub(crate) fn sign_receipt(&self, server: usize, claims: Option<&Receipt>) -> String {
        let this = &self.servers[server];
        let (Some(claims), Some(signed)) = (claims, this.installed.values().next()) else {
            return String::new();
        };
        receipt::sign(claims, &signed.credential, &this.key)
    }

    /// A host keeps what comes beside a grant.
    pub(crate) fn keep_receipt(&mut self, client: usize, text: String) {
        if text.is_empty() {
            return;
        }
        let host = self.seats[client].host;
        // A server whose license was replaced a moment ago signs what nobody believes.
        let Ok(read) = receipt::read_unverified(&text) else { return };
        if read.receipt.host == self.hosts[host].key {
            let key = read.receipt.host;
            self.hosts[host].receipts.kept.insert(read.receipt.home, (self.at, text));
            self.checks.see(self.at, &Fact::ReceiptKept { host, key });
        }
    }

    /// A host that runs, any or none.
    pub(crate) fn some_host(&mut self, slot: Slot) -> Option<usize> {
        let fits = |host: &usize| self.hosts[*host].slot == slot;
        let fitting: Vec<usize> = (0..self.hosts.len()).filter(fits).collect();
        (!fitting.is_empty()).then(|| fitting[self.random.index(fitting.len())])
    }

    /// A machine starts in a vacant place; as a copy of another host if that is named.
    pub(crate) fn start_host(&mut self, original: Option<usize>) -> Option<usize> {
        let host = self.some_host(Slot::Vacant)?;
        let clock = Clock::new(&mut self.random, self.at);
        let key = HostKey(self.random.bytes());
        // A copied disk has no copy of what the provider says of the machine.
        let papers = self.new_papers();
        let copied = original.map(|original| &self.hosts[original]);
        self.hosts[host] = Host {
            key: copied.map_or(key, |copied| copied.key),
            clock,
            awake: true,
            powered: true,
            witnesses: copied.map_or_else(BTreeMap::new, |copied| copied.witnesses.clone()),
            slot: if original.is_some() { Slot::Clone } else { Slot::Host },
            receipts: copied.map_or_else(Receipts::default, |copied| copied.receipts.clone()),
            papers,
        };
        self.tell_boot(host);
        self.launch_all(host);
        Some(host)
    }

    fn launch_all(&mut self, host: usize) {
        for client in self.clients_of(host) {
            let at = self.at + self.random.between(SECOND_MS, 5 * MINUTE_MS);
            self.queue.plan(at, Event::Launch { client });
        }
    }

    /// A machine is gone, with all that was on it.
    pub(crate) fn end_host(&mut self, host: usize) {
        for client in self.clients_of(host) {
            self.end_program(client, false);
        }
        self.checks.see(self.at, &Fact::HostGone { host });
        self.hosts[host].slot = Slot::Vacant;
        self.hosts[host].receipts = Receipts::default();
        self.reassess();
    }

    pub(crate) fn end_clone(&mut self, host: usize) {
        if self.hosts[host].slot == Slot::Clone {
            self.end_host(host);
        }
    }

    /// A host's state is lost: it starts anew with another key.
    pub(crate) fn lose_state(&mut self, host: usize) {
        for client in self.clients_of(host) {
            self.end_program(client, true);
        }
        self.gone.push(self.hosts[host].key);
        self.checks.see(self.at, &Fact::HostGone { host });
        let this = &mut self.hosts[host];
        this.key = HostKey(self.random.bytes());
        this.receipts = Receipts::default();
        this.witnesses.clear();
        this.slot = Slot::Host;
        self.tell_boot(host);
    }

    /// Like [`Self::lose_state`], if there is still such a host.
    pub(crate) fn renew_key(&mut self, host: usize) {
        if !self.healed && self.hosts[host].slot == Slot::Host && self.hosts[host].runs() {
            self.lose_state(host);
        }
    }

    /// What a host has kept is not what it was; the books look at it anew.
    pub(crate) fn tell_receipts(&mut self, host: usize) {
        let any = !self.hosts[host].receipts.kept.is_empty();
        let fact = Fact::ReceiptsChanged { host, any };
        self.checks.see(self.at, &fact);
    }
}
