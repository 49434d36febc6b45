//! The end of an AutoVE run: everything works, and everybody must have what the rules give.

use ve_core::{
    id::LicenseId,
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::{
    Violation,
    checks::{
        equal,
        served_again::{Due, Rules, Who},
    },
    client::Host,
    fact::Fact,
    host_fact::short,
    roster::Slot,
    world::World,
};

/// How long two servers that reach each other may take until their registries are equal, in
/// milliseconds.
const IN_STEP_MS: u64 = 10 * MINUTE_MS;

impl World {
    /// Two servers that reach each other are soon in step.
    pub(crate) fn come_in_step(&mut self) -> Result<(), Violation> {
        self.run_until(self.at + IN_STEP_MS)?;
        // Hosts register at any time; what is new is on its way for a moment.
        let mut outcome = Ok(());
        for _ in 0..12 {
            self.run_until(self.at + 10 * SECOND_MS)?;
            outcome = equal::difference([&self.servers[0].roll, &self.servers[1].roll]);
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map_err(|what| Violation { invariant: "equal", at_ms: self.at, what })
    }

    /// Registries are equal, nobody is forgotten, and every host has what it is due.
    pub(crate) fn hosts_are_well(&mut self, bound: u64) -> Result<(), Violation> {
        self.come_in_step()?;
        let rolls = [&self.servers[0].roll, &self.servers[1].roll];
        self.checks.see(self.at, &Fact::Healed { rolls });
        if let Some(violation) = self.checks.violation() {
            return Err(violation);
        }
        let hours = bound / HOUR_MS;
        let at_ms = self.at;
        let late = |what: String| Violation {
            invariant: "served_again",
            at_ms,
            what: format!("{what}, {hours} hours after everything was healed"),
        };
        (0..self.hosts.len()).try_for_each(|host| self.host_is_well(host)).map_err(late)
    }

    /// The licenses that the servers serve, and their numbers of instances.
    fn served_licenses(&self) -> Vec<(LicenseId, usize)> {
        let of = |signed: &crate::vendor::Signed| {
            let instances = signed.license.sections.first().map_or(0, |section| section.instances);
            (signed.license.id.clone(), instances as usize)
        };
        let served = self.servers.iter().filter_map(|server| server.installed.values().next());
        served.map(of).collect()
    }

    fn host_is_well(&mut self, host: usize) -> Result<(), String> {
        let mut clients = self.clients_of(host);
        clients.retain(|client| self.seats[*client].wants);
        if self.hosts[host].slot == Slot::Vacant || clients.is_empty() {
            return Ok(());
        }
        let who = self.who(host);
        let rules = Rules { roll: &self.servers[0].roll, licenses: &self.served_licenses() };
        let due = rules.due(&who).map_err(|what| self.describe_all(what, &clients))?;
        for client in clients {
            let holding = self.links.values().filter(|link| {
                let open = link.client_end.is_open() && link.server_end.is_open();
                link.client == client && link.holds.is_some() && open
            });
            let holding: Vec<usize> = holding.map(|link| link.server).collect();
            let fits = match due {
                Due::ServedBy(server) => holding == [server] && self.seats[client].guest_runs(),
                Due::GuestOf(server) => {
                    holding.is_empty() || (holding == [server] && self.seats[client].guest_runs())
                }
                Due::Refused(_) => holding.is_empty(),
            };
            if !fits {
                let key = short(&who.key);
                let what = format!(
                    "host {key} is due {due:?}, and client {client} is licensed by servers {holding:?}"
                );
                return Err(self.describe_all(what, &[client]));
            }
        }
        Ok(())
    }

    fn who(&mut self, host: usize) -> Who {
        let runs = |(place, it): (usize, &Host)| {
            (it.slot != Slot::Vacant && place != host).then_some(it.key)
        };
        Who {
            key: self.hosts[host].key,
            others: self.hosts.iter().enumerate().filter_map(runs).collect(),
            identity: self.true_identity(host),
        }
    }

    fn describe_all(&self, what: String, clients: &[usize]) -> String {
        let states = clients.iter().map(|client| format!("; {}", self.checks.describe(*client)));
        what + &states.collect::<String>()
    }
}
