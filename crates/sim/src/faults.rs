//! What goes wrong, what people do, and how each of it comes to its end.

use ve_core::{
    node::io::Input,
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};
use ve_store::Store;

use crate::{
    disk::Health,
    fact::Fact,
    network::{Cut, Side},
    profile::Fault,
    server::Asked,
    vendor::{self, Signed},
    world::{DAY_MS, Event, World},
};

/// The end of a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Undo {
    Cut(u64),
    Flaky,
    Disk(usize),
    ServerClock(usize),
    HostClock(usize),
    Wake(usize),
    Boot(usize),
    Thaw(usize),
    License(usize),
    /// The registry's disk.
    Roll(usize),
    Clone(usize),
    /// What a host shows of its provider.
    Papers(usize),
    /// A machine that was retired has another key.
    Key(usize),
}

impl World {
    /// The next fault, unless everything is to heal.
    pub(crate) fn strike(&mut self) {
        if self.healed {
            return;
        }
        self.plan_fault();
        self.faults += 1;
        let fault = self.plan.profile.fault(self.plan.mode, &mut self.random);
        let server = self.random.index(self.servers.len());
        let host = self.random.index(self.hosts.len());
        match fault {
            Fault::Drain => self.restart(server),
            Fault::Kill => self.kill(server, true),
            Fault::PowerLoss => self.kill(server, false),
            Fault::Hang => self.hang(server),
            Fault::CutServer => self.cut(Some(server), Vec::new(), None),
            Fault::CutHosts => {
                let hosts = self.some_hosts();
                self.cut(None, hosts, None);
            }
            Fault::OneWay => {
                let hosts = self.some_hosts();
                let to = self.random.pick(&[Side::Server, Side::Client]);
                self.cut(Some(server), hosts, Some(to));
            }
            Fault::Flaky => {
                self.network.flaky = self.plan.profile.is_flaky();
                self.end_within(MINUTE_MS, HOUR_MS, Undo::Flaky);
            }
            Fault::SlowDisk | Fault::FullDisk | Fault::FailingDisk | Fault::ReadOnlyDisk => {
                self.harm_disk(server, fault);
            }
            Fault::Restore | Fault::LoseLedger => self.replace_ledger(server, fault),
            Fault::ServerClock => self.jump_server_clock(server),
            Fault::HostClock => {
                self.hosts[host].clock.wall_off = self.jump();
                self.end_within(MINUTE_MS, DAY_MS, Undo::HostClock(host));
            }
            Fault::Sleep => {
                self.sleep(host);
                self.end_within(SECOND_MS, 5 * HOUR_MS, Undo::Wake(host));
            }
            Fault::HostPowerLoss => {
                self.lose_host_power(host);
                self.end_within(20 * SECOND_MS, HOUR_MS, Undo::Boot(host));
            }
            Fault::KillClient => {
                let client = self.random.index(self.seats.len());
                self.end_program(client, true);
            }
            Fault::GuestEnds => {
                let client = self.random.index(self.seats.len());
                if let Some(program) = self.seats[client].program.as_ref().map(|it| it.number) {
                    self.guest_ends(client, program);
                }
            }
            Fault::Release => self.release_one(server),
            Fault::Update => self.update_license(server),
            Fault::OldLicense => self.put_old_license(server),
            Fault::Remove => self.remove_license(server),
            of_hosts => self.strike_hosts(of_hosts, server, host),
        }
    }

    pub(crate) fn end_within(&mut self, shortest_ms: u64, longest_ms: u64, undo: Undo) {
        // Short troubles are more frequent, and are healed by other means.
        let longest_ms =
            if self.random.percent(60) { longest_ms.min(20 * shortest_ms) } else { longest_ms };
        let at = self.at + self.random.between(shortest_ms, longest_ms);
        self.queue.plan(at, Event::Undo(undo));
    }

    pub(crate) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Cut(name) => {
                self.network.cuts.retain(|cut| cut.name != name);
                self.network.peer_cuts.retain(|(cut, _)| *cut != name);
                self.reassess();
            }
            Undo::Flaky => self.network.flaky = false,
            Undo::Disk(server) => {
                self.servers[server].disk.health = Health::Sound;
                self.servers[server].disk.slow_ms = 0;
            }
            Undo::ServerClock(server) => self.servers[server].clock.wall_off = 0,
            Undo::HostClock(host) => self.hosts[host].clock.wall_off = 0,
            Undo::Wake(host) => self.wake(host),
            Undo::Boot(host) => self.boot_host(host),
            Undo::Thaw(server) => self.thaw(server),
            Undo::Roll(server) => {
                self.servers[server].roll.health = Health::Sound;
                self.servers[server].roll.slow_ms = 0;
            }
            Undo::Clone(host) => self.end_clone(host),
            Undo::Papers(host) => self.end_claim(host),
            Undo::Key(host) => self.renew_key(host),
            Undo::License(server) if self.servers[server].hung => {
                self.queue.plan(self.at + SECOND_MS, Event::Undo(undo));
            }
            Undo::License(server) => self.install_newest(server),
        }
    }

    pub(crate) fn undo_everything(&mut self) {
        self.network.cuts.clear();
        self.network.peer_cuts.clear();
        self.undo(Undo::Flaky);
        for host in 0..self.hosts.len() {
            for undo in [Undo::HostClock(host), Undo::Wake(host), Undo::Boot(host)] {
                self.undo(undo);
            }
        }
        for server in 0..self.servers.len() {
            let (disk, roll) = (Undo::Disk(server), Undo::Roll(server));
            for undo in [disk, roll, Undo::ServerClock(server), Undo::Thaw(server)] {
                self.undo(undo);
            }
            self.install_newest(server);
            self.queue.plan(self.at + 10, Event::ServerStarts { server });
        }
        self.reassess();
    }

    fn some_hosts(&mut self) -> Vec<usize> {
        let count = self.random.between(1, self.hosts.len() as u64);
        (0..count).map(|_| self.random.index(self.hosts.len())).collect()
    }

    fn cut(&mut self, server: Option<usize>, hosts: Vec<usize>, to: Option<Side>) {
        let name = self.faults;
        self.network.cuts.push(Cut { name, server, hosts, to });
        self.end_within(SECOND_MS, 6 * HOUR_MS, Undo::Cut(name));
        self.reassess();
    }

    /// A planned restart.
    fn restart(&mut self, server: usize) {
        if self.servers[server].is_ready() {
            self.drain(server);
            let at = self.at + self.random.between(3 * SECOND_MS, 10 * MINUTE_MS);
            self.queue.plan(at, Event::ServerStarts { server });
        }
    }

    /// The process is killed, or the machine loses its power.
    pub(crate) fn kill(&mut self, server: usize, powered: bool) {
        let this = &mut self.servers[server];
        this.powered &= powered;
        self.end_process(server, powered);
        let longest = self.random.pick(&[5 * SECOND_MS, MINUTE_MS, 3 * HOUR_MS]);
        let shortest = if powered { 100 } else { 4 * SECOND_MS };
        let at = self.at + self.random.between(shortest, longest);
        self.queue.plan(at, Event::ServerStarts { server });
    }

    fn hang(&mut self, server: usize) {
        if self.servers[server].process.is_some() && !self.servers[server].hung {
            self.servers[server].hung = true;
            self.servers[server].hung_at = self.at;
            self.end_within(SECOND_MS, 10 * MINUTE_MS, Undo::Thaw(server));
            self.reassess();
        }
    }

    fn harm_disk(&mut self, server: usize, fault: Fault) {
        let slow_ms = self.random.between(50, 6_000);
        let disk = &mut self.servers[server].disk;
        match fault {
            Fault::SlowDisk => disk.slow_ms = slow_ms,
            Fault::FullDisk => disk.health = Health::Full,
            _ => disk.health = Health::Failing,
        }
        self.tell_of_disk(server);
        self.end_within(5 * SECOND_MS, HOUR_MS, Undo::Disk(server));
    }

    /// The ledger is gone, or an older one is put in its place; with the reserve beside it, or
    /// without: a snapshot of the whole machine.
    fn replace_ledger(&mut self, server: usize, fault: Fault) {
        self.keep_copy(server);
        self.end_process(server, true);
        let copies = &self.servers[server].copies;
        let bytes = match fault {
            Fault::LoseLedger => Vec::new(),
            _ => copies[self.random.index(copies.len())].ledger.clone(),
        };
        let everything = self.random.percent(50);
        let disk = &mut self.servers[server].disk;
        disk.replace(bytes, everything);
        let remembered = disk.remember().expect("a simulated disk can be read");
        self.checks.see(self.at, &Fact::LedgerReplaced { server, remembered: &remembered });
        let at = self.at + self.random.between(SECOND_MS, 10 * MINUTE_MS);
        self.queue.plan(at, Event::ServerStarts { server });
    }

    /// By how many seconds a wall clock is wrong now.
    fn jump(&mut self) -> i64 {
        let day = 86_400;
        self.random.pick(&[day, -day, -400 * day, 3_600, -30, 400 * day])
    }

    fn jump_server_clock(&mut self, server: usize) {
        self.servers[server].clock.wall_off = self.jump();
        self.end_within(MINUTE_MS, DAY_MS, Undo::ServerClock(server));
    }

    fn release_one(&mut self, server: usize) {
        let numbers = self.checks.session_numbers(server);
        if numbers.is_empty() || !self.servers[server].is_ready() {
            return;
        }
        let number = numbers[self.random.index(numbers.len())];
        if let Some(process) = &mut self.servers[server].process {
            process.last_ticket += 1;
            let ticket = process.last_ticket;
            self.feed(server, Input::Release { ticket, number });
        }
    }

    fn update_license(&mut self, server: usize) {
        if self.servers[server].hung {
            return;
        }
        let newest = self.servers[server].issued.last().expect("one was issued at first").clone();
        let next = vendor::next_license(&mut self.random, &newest.license);
        let signed = self.vendor.sign(&next);
        self.issue(server, signed);
        self.install_newest(server);
    }

    pub(crate) fn issue(&mut self, server: usize, signed: Signed) {
        let this = &mut self.servers[server];
        this.longest_grace_ms = this.longest_grace_ms.max(signed.license.grace_ms);
        this.issued.push(signed);
    }

    pub(crate) fn install_newest(&mut self, server: usize) {
        let newest = self.servers[server].issued.last().expect("one was issued at first").clone();
        self.install(server, &newest);
    }

    /// Puts a license file into the home, and tells a running server, which confirms when all that
    /// follows from it is durable.
    pub(crate) fn install(&mut self, server: usize, signed: &Signed) {
        let (id, version) = (signed.license.id.clone(), signed.license.version);
        let now = self.servers[server].clock.now(self.at);
        self.servers[server].installed.insert(id.clone(), signed.clone());
        let fact = Fact::Installed { server, license: &signed.license, now };
        self.checks.see(self.at, &fact);
        if !self.servers[server].is_ready() {
            // A start reads it by itself.
            return self.feed_licenses(server);
        }
        self.feed_licenses(server);
        if let Some(process) = &mut self.servers[server].process {
            process.last_ticket += 1;
            let ticket = process.last_ticket;
            process.tickets.insert(ticket, Asked::Installed(id, version));
            self.feed(server, Input::Settle { ticket });
        }
    }

    pub(crate) fn install_ample_license(&mut self) {
        let newest = self.servers[0].issued.last().expect("one was issued at first").clone();
        let seats = u32::try_from(self.seats.len()).unwrap_or(u32::MAX);
        let ample = vendor::ample_license(&newest.license, seats);
        let signed = self.vendor.sign(&ample);
        self.issue(0, signed);
        self.install_newest(0);
    }

    fn put_old_license(&mut self, server: usize) {
        if self.servers[server].hung {
            return;
        }
        let issued = &self.servers[server].issued;
        let newest = issued.last().expect("one was issued at first");
        let of_newest = |signed: &&Signed| signed.license.id == newest.license.id;
        let old = issued.iter().find(of_newest).expect("the newest is one").clone();
        self.install(server, &old);
        self.end_within(MINUTE_MS, HOUR_MS, Undo::License(server));
    }

    fn remove_license(&mut self, server: usize) {
        if self.servers[server].hung {
            return;
        }
        let Some((id, _)) = self.servers[server].installed.pop_first() else { return };
        self.checks.see(self.at, &Fact::Removed { server, id: &id });
        self.feed_licenses(server);
        self.end_within(MINUTE_MS, HOUR_MS, Undo::License(server));
    }
}
