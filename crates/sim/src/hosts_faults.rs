//! What goes wrong in AutoVE mode alone, and what people do there.

use ve_core::{
    id::HostKey,
    node::io::Input,
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};
use ve_store::Store;

use crate::{
    disk::Health,
    fact::Fact,
    faults::Undo,
    profile::Fault,
    roster::Slot,
    server::{Asked, Copy, Part},
    vendor,
    world::{DAY_MS, Event, World},
};

impl World {
    pub(crate) fn strike_hosts(&mut self, fault: Fault, server: usize, host: usize) {
        let is_host = self.hosts[host].slot == Slot::Host && self.hosts[host].runs();
        match fault {
            Fault::NewHost => drop(self.start_host(None)),
            Fault::Terminate if is_host => {
                self.gone.push(self.hosts[host].key);
                self.end_host(host);
            }
            Fault::Retire => self.retire_one(server, host),
            Fault::Clone if is_host => {
                if let Some(clone) = self.start_host(Some(host)) {
                    self.end_within(10 * MINUTE_MS, DAY_MS, Undo::Clone(clone));
                }
            }
            Fault::CloneApart if is_host => {
                if let Some(clone) = self.start_host(Some(host)) {
                    self.network.peer_cuts.push((self.faults, None));
                    self.end_within(10 * MINUTE_MS, HOUR_MS, Undo::Cut(self.faults));
                    self.end_within(6 * HOUR_MS, DAY_MS, Undo::Clone(clone));
                    self.reassess();
                }
            }
            Fault::NewKey if is_host => self.lose_state(host),
            Fault::ClaimIdentity if is_host => self.claim_identity(host),
            Fault::RetireMachine if is_host => {
                self.ask_to_retire(server, self.hosts[host].key);
                self.end_within(SECOND_MS, HOUR_MS, Undo::Key(host));
            }
            Fault::LoseReceipts if is_host => {
                self.hosts[host].receipts.lose();
                self.tell_receipts(host);
            }
            Fault::OldReceipts if is_host => {
                self.hosts[host].receipts.swap_copy();
                self.tell_receipts(host);
            }
            Fault::StolenReceipt if is_host => {
                let from = self.random.index(self.hosts.len());
                self.hosts[host].receipts.stolen = self.hosts[from].receipts.any();
            }
            Fault::CutPeers => self.cut_peers(None),
            Fault::OneWayPeers => self.cut_peers(Some(server)),
            Fault::KillBoth => {
                let powered = self.random.percent(50);
                (0..2).for_each(|server| self.kill(server, powered));
            }
            Fault::LoseRegistry => self.replace_registry(server, Part::Registry, true),
            Fault::LoseBothRegistries => {
                (0..2).for_each(|server| self.replace_registry(server, Part::Registry, true));
            }
            Fault::OldRegistry => self.replace_registry(server, Part::Registry, false),
            Fault::OldHome => self.replace_registry(server, Part::Home, false),
            Fault::SlowRegistry | Fault::FullRegistry | Fault::FailingRegistry => {
                self.harm_registry(server, fault);
            }
            Fault::Replace => self.replace_license(server),
            _ => {}
        }
    }

    /// Minutes, or days.
    fn cut_peers(&mut self, towards: Option<usize>) {
        self.network.peer_cuts.push((self.faults, towards));
        let longest = self.random.pick(&[MINUTE_MS, 3 * HOUR_MS, 2 * DAY_MS]);
        self.end_within(SECOND_MS, longest, Undo::Cut(self.faults));
        self.reassess();
    }

    /// Mostly one that is gone, now and then one that runs.
    fn retire_one(&mut self, server: usize, host: usize) {
        let gone = !self.gone.is_empty() && self.random.percent(80);
        let key =
            if gone { self.gone[self.random.index(self.gone.len())] } else { self.hosts[host].key };
        self.ask_to_retire(server, key);
    }

    fn ask_to_retire(&mut self, server: usize, key: HostKey) {
        if !self.servers[server].is_ready() {
            return;
        }
        if let Some(process) = &mut self.servers[server].process {
            process.last_ticket += 1;
            let ticket = process.last_ticket;
            process.tickets.insert(ticket, Asked::Retired(key));
            self.checks.see(self.at, &Fact::RetireAsked { server, host: key });
            self.feed(server, Input::Retire { ticket, host: key });
        }
    }

    /// The administrator is told that a host is retired, or that it is not.
    pub(crate) fn hear_retired(&mut self, server: usize, host: HostKey, done: bool) {
        if done {
            self.gone.retain(|key| *key != host);
        }
        let crate::server::Server { disk, roll, .. } = &self.servers[server];
        let ledger = disk.ledger();
        let fact = Fact::RetireAnswered { server, host, done, ledger, roll };
        self.checks.see(self.at, &fact);
    }

    /// Somebody keeps a copy of a server's home.
    pub(crate) fn keep_copy(&mut self, server: usize) {
        let this = &mut self.servers[server];
        let copy = Copy { ledger: this.disk.copy(), roll: this.roll.copy() };
        this.copies.push(copy);
    }

    /// The registry is gone or an older one is put in its place, maybe with the ledger beside it.
    fn replace_registry(&mut self, server: usize, part: Part, lost: bool) {
        self.keep_copy(server);
        self.end_process(server, true);
        let kept = self.random.index(self.servers[server].copies.len());
        let everything = self.random.percent(50);
        let this = &mut self.servers[server];
        let copy = &this.copies[kept];
        this.roll.replace((!lost).then(|| copy.roll.clone()));
        self.checks.see(self.at, &Fact::RollReplaced { server, roll: &this.roll });
        if part == Part::Home {
            this.disk.replace(this.copies[kept].ledger.clone(), everything);
            let remembered = this.disk.remember().expect("a simulated disk can be read");
            self.checks.see(self.at, &Fact::LedgerReplaced { server, remembered: &remembered });
        }
        let at = self.at + self.random.between(SECOND_MS, 10 * MINUTE_MS);
        self.queue.plan(at, Event::ServerStarts { server });
    }

    fn harm_registry(&mut self, server: usize, fault: Fault) {
        let slow_ms = self.random.between(50, 6_000);
        let roll = &mut self.servers[server].roll;
        match fault {
            Fault::SlowRegistry => roll.slow_ms = slow_ms,
            Fault::FullRegistry => roll.health = Health::Full,
            _ => roll.health = Health::Failing,
        }
        self.end_within(5 * SECOND_MS, HOUR_MS, Undo::Roll(server));
    }

    /// The vendor gives the customer another license for this server, and the old one goes.
    fn replace_license(&mut self, server: usize) {
        if !self.servers[server].is_ready() {
            return;
        }
        let newest = self.servers[server].issued.last().expect("one was issued at first").clone();
        let signed = self.vendor.sign(&vendor::successor(&newest.license, self.faults));
        while let Some((id, _)) = self.servers[server].installed.pop_first() {
            self.checks.see(self.at, &Fact::Removed { server, id: &id });
        }
        self.issue(server, signed);
        self.install_newest(server);
    }

    /// At the end every host is one machine, everything works, and the licenses are what they were or
    /// have room for all.
    pub(crate) fn settle_hosts(&mut self) {
        for host in 0..self.hosts.len() {
            self.end_clone(host);
            self.end_claim(host);
        }
        let ample = self.random.percent(60);
        for server in 0..2 {
            let newest = self.servers[server].issued.last().expect("one was issued at first");
            let (newest, hosts) = (newest.license.clone(), self.hosts.len());
            let before = newest.sections.first().map_or(1, |section| section.instances);
            let instances =
                if ample { 4 * u32::try_from(hosts).unwrap_or(u32::MAX) } else { before };
            let signed = self.vendor.sign(&vendor::ample_license(&newest, instances));
            self.issue(server, signed);
            self.install_newest(server);
        }
    }
}
