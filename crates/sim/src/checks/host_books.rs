//! The simulator's own books of hosts: what is durable of them where, who was let run since when, and
//! which servers are in contact. Kept from facts alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ve_core::{
    id::{HostKey, LicenseId, LinkId},
    node::{
        event::{Event, Record, RegisteredBy, Remembered},
        io::Answer,
        peer::{PeerMessage, PeerStatus},
    },
    registry::{Batch, HostEntry, HostState, PlatformIdentity},
};

use super::alive::Alive;
use crate::{clock::At, fact::Fact, roll::Roll};

/// What is known of all hosts.
#[derive(Default)]
pub(crate) struct HostBooks {
    pub(crate) servers: [HomeBook; 2],
    /// The keys of the machines, by place.
    pub(crate) places: BTreeMap<usize, HostKey>,
    /// The place of each emulator.
    pub(crate) place_of: Vec<usize>,
    /// Which links surely work.
    pub(crate) alive: Alive,
}

/// What is known of a server's registry and its peer.
#[derive(Default)]
pub(crate) struct HomeBook {
    /// What is durable.
    pub(crate) entries: BTreeMap<HostKey, HostEntry>,
    /// What is being written, in order.
    pub(crate) under_way: VecDeque<Vec<HostEntry>>,
    /// Whom the ledger knows as retired.
    pub(crate) retired: BTreeSet<HostKey>,
    /// What machines those are, as far as the ledger knows.
    ledger_machines: BTreeSet<PlatformIdentity>,
    /// Whose sessions the ledger knew when the server started.
    pub(crate) remembered: BTreeSet<HostKey>,
    /// The links over which the peer has said how it stands.
    pub(crate) contact: BTreeMap<LinkId, PeerStatus>,
    /// Since when there is contact, and nothing has disturbed it.
    pub(crate) contact_since: Option<At>,
    /// When something happened last that may take the right to run from a host that had it.
    pub(crate) unsettled_at: At,
    /// The keys that are durably retired, by the machines that had them.
    retired_machines: BTreeMap<PlatformIdentity, BTreeSet<HostKey>>,
    /// Who was let run, when last, and at home with which license.
    pub(crate) granted: BTreeMap<HostKey, (At, Option<LicenseId>)>,
}

impl HomeBook {
    /// Whether a host at home with this license counts there, so that it needs no instance here.
    pub(crate) fn is_carried(&self, home: &LicenseId) -> bool {
        self.contact.values().any(|it| it.license_id == *home && it.serves.is_ok())
    }

    /// Whether a host has an instance, durably.
    pub(crate) fn has_active(&self, host: HostKey) -> bool {
        self.entries.get(&host).is_some_and(HostEntry::is_active)
    }

    /// Whether a key of this machine is durably retired, in the ledger or in the registry.
    pub(crate) fn has_retired_machine(&self, identity: &PlatformIdentity) -> bool {
        let is_retired = |host: &HostKey| {
            let entry = self.entries.get(host);
            entry.is_some_and(|entry| {
                entry.state == HostState::Retired && entry.identity.as_ref() == Some(identity)
            })
        };
        let mut keys = self.retired_machines.get(identity).into_iter().flatten();
        self.ledger_machines.contains(identity) || keys.any(is_retired)
    }

    fn index_retired(&mut self, host: HostKey) {
        if let Some(entry) = self.entries.get(&host)
            && entry.state == HostState::Retired
            && let Some(identity) = &entry.identity
        {
            self.retired_machines.entry(identity.clone()).or_default().insert(host);
        }
    }

    fn set_entries<'a>(&mut self, entries: impl Iterator<Item = &'a HostEntry>) {
        self.entries = entries.map(|entry| (entry.host, entry.clone())).collect();
        self.retired_machines.clear();
        for host in self.entries.keys().copied().collect::<Vec<_>>() {
            self.index_retired(host);
        }
    }

    /// Whether a host has an instance of a license, durably or soon.
    pub(crate) fn may_be_homed(&self, license: &LicenseId) -> usize {
        let homed = |entry: &&HostEntry| entry.is_active() && entry.home == *license;
        let durable = self.entries.values().filter(homed).map(|entry| entry.host);
        let soon = self.under_way.iter().flatten().filter(homed).map(|entry| entry.host);
        durable.chain(soon).collect::<BTreeSet<_>>().len()
    }

    fn settle_contact(&mut self, at: At, was: &[(LicenseId, u32, bool)]) {
        if self.contact.is_empty() {
            self.contact_since = None;
        } else {
            self.contact_since.get_or_insert(at);
        }
        if was != self.standing() {
            self.unsettled_at = at;
        }
    }

    /// What of the peer decides who may run.
    fn standing(&self) -> Vec<(LicenseId, u32, bool)> {
        let of = |it: &PeerStatus| (it.license_id.clone(), it.instances, it.serves.is_ok());
        let mut standing: Vec<_> = self.contact.values().map(of).collect();
        standing.sort();
        standing.dedup();
        standing
    }

    /// Changes that came from elsewhere may bring older hosts, whose right is better.
    fn decide(&mut self, at: At, batch: &Batch) {
        let foreign = batch.pulled.is_some() && !batch.entries.is_empty();
        if foreign {
            self.unsettled_at = at;
        }
        self.under_way.push_back(batch.entries.iter().map(|(_, entry)| entry.clone()).collect());
    }

    fn enroll(&mut self, durable: bool) {
        let Some(entries) = self.under_way.pop_front() else { return };
        if durable {
            for entry in entries {
                let host = entry.host;
                self.entries.insert(host, entry);
                self.index_retired(host);
            }
        }
    }

    fn read(&mut self, roll: &Roll) {
        self.set_entries(roll.entries());
    }

    fn record(&mut self, at: At, records: &[Record]) {
        for Record { event, .. } in records {
            if let Event::HostRegistered { by, .. } = event
                && *by != RegisteredBy::Login
            {
                self.unsettled_at = at;
            }
        }
    }

    fn write(&mut self, records: &[Record]) {
        for Record { event, .. } in records {
            if let Event::HostRetired { host, identity, .. } = event {
                self.retired.insert(*host);
                self.ledger_machines.extend(identity.clone());
            }
        }
    }

    fn knows(&mut self, remembered: &Remembered) {
        self.retired = remembered.retired_hosts.keys().copied().collect();
        let machines = remembered.retired_hosts.values();
        self.ledger_machines = machines.filter_map(|it| it.identity.clone()).collect();
    }
}

impl HostBooks {
    pub(crate) fn new(place_of: Vec<usize>) -> Self {
        Self { place_of, ..Self::default() }
    }

    /// Whether a registry or a ledger that is left knows that a host is retired.
    pub(crate) fn is_known_as_retired(&self, host: HostKey) -> bool {
        self.servers.iter().any(|book| {
            let entry = book.entries.get(&host);
            book.retired.contains(&host) || entry.is_some_and(|it| it.state == HostState::Retired)
        })
    }

    pub(crate) fn take(&mut self, at: At, fact: &Fact<'_>) {
        self.alive.take(at, fact);
        self.take_registry_fact(at, fact);
        self.take_peer_fact(at, fact);
        match fact {
            Fact::HostBooted { host, key, .. } => {
                self.places.insert(*host, *key);
            }
            Fact::HostGone { host } => {
                self.places.remove(host);
            }
            _ => {}
        }
    }

    fn take_registry_fact(&mut self, at: At, fact: &Fact<'_>) {
        match fact {
            Fact::Enrolling { server, batch } => self.servers[*server].decide(at, batch),
            Fact::Enrolled { server, durable, .. } => self.servers[*server].enroll(*durable),
            Fact::Appending { server, records, .. } => self.servers[*server].record(at, records),
            Fact::Written { server, records } => self.servers[*server].write(records),
            Fact::RollReplaced { server, roll } => self.servers[*server].read(roll),
            Fact::LedgerReplaced { server, remembered } => self.servers[*server].knows(remembered),
            Fact::RollRead { server, remembered } => {
                let entries = remembered.entries.iter();
                self.servers[*server].set_entries(entries.map(|(_, entry)| entry));
            }
            Fact::ServerStarted { server, remembered, .. } => {
                let book = &mut self.servers[*server];
                book.knows(remembered);
                book.remembered = remembered.sessions.iter().map(|it| it.host).collect();
                book.under_way.clear();
                book.granted.clear();
                book.unsettled_at = at;
            }
            Fact::Installed { server, .. } | Fact::Removed { server, .. } => {
                self.servers[*server].unsettled_at = at;
            }
            _ => {}
        }
    }

    fn take_peer_fact(&mut self, at: At, fact: &Fact<'_>) {
        match fact {
            Fact::PeerHeard { server, link, message: PeerMessage::Status(status), .. } => {
                let book = &mut self.servers[*server];
                let was = book.standing();
                book.contact.insert(*link, status.clone());
                book.settle_contact(at, &was);
            }
            Fact::PeerClosed { server, link } => {
                let book = &mut self.servers[*server];
                let was = book.standing();
                book.contact.remove(link);
                book.settle_contact(at, &was);
            }
            Fact::PeerDisturbed { .. } => {
                for book in self.servers.iter_mut().filter(|book| book.contact_since.is_some()) {
                    book.contact_since = Some(at);
                }
            }
            _ => {}
        }
    }

    /// A grant has left a server, for a host.
    pub(crate) fn grant(&mut self, at: At, server: usize, host: HostKey, answer: &Answer) {
        if let Answer::Granted(grant) = answer {
            self.servers[server].granted.insert(host, (at, grant.home.clone()));
        }
    }
}
