//! What must be true, computed from what the clients were told and the ledger holds.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    grant::Grant,
    id::{LicenseId, SessionId},
    license::{Lease, License},
    node::io::{Answer, RequestId, Ticket},
};

use super::{
    installing::{GRACE_MS, MOST_SEATS},
    step::Fate,
    world::{Asked, AskedLogin, World},
};
use crate::harness::{Disk, HEARTBEAT_TIMEOUT_MS, fold, license, name};

/// The longest that is charged for a boot: twice grace, time-out, and the longest lease.
const MOST_FOR_A_BOOT_MS: u64 = 2 * (2 * GRACE_MS + HEARTBEAT_TIMEOUT_MS) + 120_000;

impl World {
    pub(super) fn hear(&mut self, request: RequestId) {
        let answer = self.server.answer(request).unwrap();
        if let Answer::Granted(grant) = &answer {
            self.check_hours(grant);
            self.assert_durable(grant.session);
            self.assert_promised(grant);
        }
        match (self.asked[&request].clone(), &answer) {
            (Asked::Login(login), Answer::Granted(grant)) => {
                self.check_witness(login.shown.as_ref(), grant);
                self.check_newcomer(&login, grant);
                self.clients.granted(login.emulator, login.link, grant);
            }
            (Asked::Check(_, session), Answer::Granted(grant)) => {
                assert_eq!(grant.session, session);
                self.clients.checked(grant);
            }
            (Asked::Check(_, session), Answer::Refused(_)) => {
                self.clients.revoked(session, self.server.lived());
            }
            _ => {}
        }
    }

    /// The administrator was told that all is durable, or not.
    pub(super) fn hear_reply(&mut self, ticket: Ticket, settled: bool) {
        let Some(last) = self.questions.remove(&ticket) else { return };
        let waits = self.server.ledger.waiting.front().is_some_and(|(id, _)| *id <= last);
        assert!(!settled || !waits, "what waits was called durable");
    }

    /// A session that is granted is in the ledger, and was never closed there.
    fn assert_durable(&self, id: SessionId) {
        let held = fold(&self.server.ledger.durable).sessions;
        assert!(held.iter().any(|session| session.id == id), "granted without a durable seat");
    }

    /// So is what the grant promises, and with a lease through the grace period a client may run no
    /// longer than that.
    fn assert_promised(&self, grant: &Grant) {
        let held = fold(&self.server.ledger.durable).sessions;
        let Some(record) = held.iter().find(|session| session.id == grant.session) else { return };
        assert!(grant.lease_ms <= record.promised_lease_ms, "promised and not written down");
        let runs_ms = grant.grace_ms + HEARTBEAT_TIMEOUT_MS;
        assert!(self.lease != Lease::Grace || runs_ms <= record.promised_lease_ms);
    }

    /// What a client has shown counts in its own grant already.
    fn check_witness(&self, shown: Option<&Grant>, grant: &Grant) {
        let Some(shown) = shown else { return };
        let (before, after) = (&shown.marks, &grant.marks);
        if shown.license_id == grant.license_id {
            assert!(after.license_version >= before.license_version, "the version went back");
            let same_version = after.license_version == before.license_version;
            assert!(!same_version || after.hours_used_ms >= before.hours_used_ms, "hours");
        }
        let seen = self.server.node.versions_seen().get(&shown.license_id).copied();
        assert!(seen >= Some(before.license_version), "a version was forgotten again");
        assert!(after.time >= before.time, "the time mark went back");
    }

    /// With a lease through the grace period no one who does not run yet gets a seat beside as many
    /// emulators as there are instances: those that may run by the clients' own rules, whatever the
    /// ledger knows of them.
    fn check_newcomer(&self, login: &AskedLogin, grant: &Grant) {
        let AskedLogin { emulator, instances, .. } = login;
        let running = self.clients.running_under(&grant.license_id, self.server.lived());
        if self.lease != Lease::Grace || running.contains(emulator) {
            return;
        }
        let of = |instances: &BTreeMap<_, u32>| instances.get(&grant.license_id).copied();
        let most = of(instances).max(of(&self.instances())).unwrap_or(0);
        assert!(
            running.len() < most as usize,
            "vm{} of host {} is one too many beside {running:?}",
            emulator.1,
            emulator.0
        );
    }

    /// How many instances each license has now.
    pub(super) fn instances(&self) -> BTreeMap<LicenseId, u32> {
        let views = self.server.node.licenses(self.server.now());
        let sum = |license: &License| license.sections.iter().map(|s| s.instances).sum();
        views.map(|view| (view.license.id.clone(), sum(view.license))).collect()
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
        for (number, most) in (1..).zip(MOST_SEATS) {
            let id = license(number).build_id();
            let held = sessions.iter().filter(|session| session.license_id == id).count();
            assert!(held <= most, "the ledger has {held} sessions of {id}");
        }
    }

    /// Who believes to be licensed is. And with a lease through the grace period every emulator that
    /// may still be running has a seat in its name, unless the ledger that knew it is gone.
    fn check_clients(&self) {
        let live: BTreeSet<SessionId> = self
            .server
            .node
            .sessions(self.server.now())
            .filter(|session| session.state == "live")
            .map(|session| session.record.id)
            .collect();
        for client in self.clients.all.values().filter(|client| client.link.is_some()) {
            assert!(
                live.contains(&client.session()),
                "a client believes in a session that is gone"
            );
        }
        if self.lease != Lease::Grace {
            return;
        }
        let sessions = fold(&self.server.ledger.durable).sessions;
        let running = self.clients.running(self.server.lived());
        for (host, number) in running.filter(|emulator| !self.clients.forgotten.contains(emulator))
        {
            let has_seat = sessions.iter().any(|session| {
                session.host.0[0] == host && session.emulator == name(&format!("vm{number}"))
            });
            assert!(has_seat, "vm{number} of host {host} runs on and its seat is gone");
        }
    }

    /// The hours that clients are told of never go down, and never outrun the clock, but for what a
    /// wrong wall clock may add at a boot.
    fn check_hours(&mut self, grant: &Grant) {
        let used_ms = grant.marks.hours_used_ms;
        let key = (grant.license_id.to_string(), grant.marks.license_version);
        let passed_ms = self.server.lived().since_ms(self.installed_at[&key]);
        // The time mark counts whole seconds.
        let most_ms = passed_ms + self.boots * (MOST_FOR_A_BOOT_MS + 1_000);
        assert!(used_ms <= most_ms, "{used_ms} ms were charged, {most_ms} ms is all there was");
        let before = self.used_ms.insert(key, used_ms).unwrap_or(0);
        assert!(used_ms >= before, "hours went down");
    }

    /// Everything works again: then every question is answered and every end comes to its end.
    pub(crate) fn heal(&mut self) {
        while !self.server.ledger.waiting.is_empty() {
            self.settle(1, Fate::Written);
        }
        self.server.ledger.disk = Disk::Fine;
        self.pass(15_000);
        self.check();
        for (request, asked) in &self.asked {
            let link = match asked {
                Asked::Login(login) => login.link,
                Asked::Check(link, _) | Asked::Logout(link) => *link,
            };
            if self.server.is_open(link) {
                assert!(self.server.answer(*request).is_some(), "{asked:?} was never answered");
            }
        }
        assert!(self.questions.is_empty(), "the administrator was never answered");
        let states = self.server.states();
        assert!(!states.iter().any(|state| ["opening", "closing"].contains(state)), "{states:?}");
    }
}
