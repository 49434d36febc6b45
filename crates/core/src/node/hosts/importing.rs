//! Importing: entries from a file, all of them or none.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use super::{Node, registering::registration_news};
use crate::{
    id::{HostKey, LicenseId},
    node::{
        append::Waiting,
        enroll::Then,
        event::{AppendError, Event, RegisteredBy, RetiredHost},
        io::Ticket,
    },
    reason::{ReasonCode, Refusal},
    registry::{HostEntry, HostState, MAX_HOSTS, entry::MAX_REVISION},
    time::Now,
};

/// The imports that are under way.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// Those that wait for the ledger, which hears of retirements first.
    recording: BTreeMap<Ticket, Vec<HostEntry>>,
    /// Those that wait for the registry: who gets an instance by them.
    enrolling: BTreeMap<Ticket, Vec<HostKey>>,
    /// Those that are no news beside what is on its way to the registry, and may come to nothing.
    again: BTreeMap<Ticket, Vec<HostEntry>>,
}

impl Node {
    /// The administrator imports entries.
    pub(in crate::node) fn import(&mut self, now: Now, ticket: Ticket, entries: Vec<HostEntry>) {
        if let Err(refusal) = self.may_import(&entries) {
            return self.reply(ticket, Err(refusal));
        }
        let retired = entries
            .iter()
            .filter(|entry| entry.state == HostState::Retired && !self.is_retired(entry.host));
        let retired: Vec<(HostKey, RetiredHost)> = retired
            .map(|entry| {
                let (name, home) = (entry.seen.name.clone(), entry.home.clone());
                (entry.host, RetiredHost { at: now.wall, name, home })
            })
            .collect();
        if retired.is_empty() {
            return self.import_all(now, ticket, entries);
        }
        let mut events = Vec::new();
        for (host, known) in retired {
            let RetiredHost { at, name, home } = known.clone();
            events.push(Event::HostRetired { host, name, home, here: true, at });
            self.begin_imported_retirement(host, known);
        }
        self.hosts.imports.recording.insert(ticket, entries);
        self.commit(now, events, Waiting::Import(ticket));
    }

    fn is_retired(&self, host: HostKey) -> bool {
        let entry = self.hosts.registry.find(host);
        self.is_retiring(host) || entry.is_some_and(|entry| entry.state == HostState::Retired)
    }

    /// The ledger knows whom an import retires: the rest is judged again, and taken.
    pub(in crate::node) fn import_recorded(&mut self, now: Now, ticket: Ticket) {
        let Some(entries) = self.hosts.imports.recording.remove(&ticket) else { return };
        match self.may_import(&entries) {
            Ok(()) => self.import_all(now, ticket, entries),
            Err(refusal) => self.reply(ticket, Err(refusal)),
        }
    }

    /// The ledger did not take whom an import retires.
    pub(in crate::node) fn import_failed(&mut self, ticket: Ticket, error: &AppendError) {
        self.hosts.imports.recording.remove(&ticket);
        let sentence = format!("{error}; nothing was imported.");
        self.reply(ticket, Err(Refusal::new(ReasonCode::ServerBusy, sentence)));
    }

    fn import_all(&mut self, now: Now, ticket: Ticket, entries: Vec<HostEntry>) {
        let mut changes = Vec::new();
        let mut registered = Vec::new();
        for entry in &entries {
            let host = entry.host;
            let was_active = self.hosts.registry.find(host).is_some_and(HostEntry::is_active);
            let Some(change) = self.hosts.registry.merge(entry, None) else { continue };
            if change.entry.is_active() && !was_active {
                registered.push(host);
            }
            changes.push(change);
        }
        self.take_host_news(now);
        let count = changes.len();
        if count == 0 && !entries.iter().any(|entry| self.is_on_its_way(entry.host)) {
            return self.reply(ticket, Ok(String::from("nothing of it was news")));
        }
        if count == 0 {
            self.hosts.imports.again.insert(ticket, entries);
        }
        self.hosts.imports.enrolling.insert(ticket, registered);
        self.enroll(changes, None, None, Then::Imported(ticket, count));
    }

    fn is_on_its_way(&self, host: HostKey) -> bool {
        let number = self.hosts.registry.number(host);
        number.is_some_and(|number| self.enrolls.is_under_way(number))
    }

    /// An import is durable, or has failed.
    pub(in crate::node) fn imported(
        &mut self,
        now: Now,
        ticket: Ticket,
        count: usize,
        outcome: Result<(), AppendError>,
    ) {
        let registered = self.hosts.imports.enrolling.remove(&ticket).unwrap_or_default();
        self.take_host_news(now);
        if let Some(entries) = self.hosts.imports.again.remove(&ticket) {
            return self.import(now, ticket, entries);
        }
        if let Err(error) = outcome {
            let sentence =
                format!("the registry can't be written: {}; nothing was imported.", error.0);
            let refusal = Refusal::new(ReasonCode::ServerBusy, sentence);
            return self.reply(ticket, Err(refusal));
        }
        let mut events = Vec::new();
        for host in registered {
            let Some(entry) = self.hosts.registry.find(host) else { continue };
            let (name, home) = (entry.seen.name.clone(), entry.home.clone());
            let address = entry.seen.address.clone();
            let by = RegisteredBy::Import;
            let (event, note) = registration_news(host, name, address, home, by);
            events.push(event);
            self.note(note);
        }
        if !events.is_empty() {
            self.commit(now, events, Waiting::NoOne);
        }
        let were = if count == 1 { "1 entry was" } else { &format!("{count} entries were") };
        self.reply(ticket, Ok(format!("{were} news")));
    }

    /// Whether all of these may be taken in; else what is wrong with the first that may not.
    fn may_import(&self, entries: &[HostEntry]) -> Result<(), Refusal> {
        let Some(capacity) = self.capacity() else {
            let sentence =
                "no AutoVE license is served here, so there is no registry to import to.";
            return Err(Refusal::new(ReasonCode::LicenseNotAvailable, sentence));
        };
        let mut hosts = BTreeSet::new();
        let (mut fresh, mut gained, mut lost) = (0, 0, 0);
        for entry in entries {
            if !hosts.insert(entry.host) {
                return Err(wrong(entry, "is named twice."));
            }
            self.may_import_entry(entry)?;
            let known = self.hosts.registry.find(entry.host);
            fresh += usize::from(known.is_none());
            let takes = |entry: &HostEntry| entry.is_active() && entry.home == capacity.license_id;
            let before = known.is_some_and(takes);
            let after = known.map_or_else(|| takes(entry), |known| takes(&known.merge(entry)));
            gained += u64::from(after && !before);
            lost += u64::from(before && !after);
        }
        if self.hosts.registry.len() + fresh > MAX_HOSTS {
            let sentence = format!("the registry would have more than {MAX_HOSTS} hosts.");
            return Err(Refusal::new(ReasonCode::BadRequest, sentence));
        }
        if gained > lost && gained - lost > capacity.free() {
            let sentence = format!(
                "{} more hosts would be at home here, and {} instances are free: {}.",
                gained - lost,
                capacity.free(),
                capacity.in_words()
            );
            return Err(Refusal::new(ReasonCode::InstanceLimit, sentence));
        }
        Ok(())
    }

    fn may_import_entry(&self, entry: &HostEntry) -> Result<(), Refusal> {
        if !(1..=MAX_REVISION).contains(&entry.revision) {
            return Err(wrong(entry, &format!("has no revision between 1 and {MAX_REVISION}.")));
        }
        if entry.state != HostState::Retired && self.is_retired(entry.host) {
            return Err(wrong(entry, "is retired, which no import takes back."));
        }
        if !self.is_known_home(&entry.home) {
            let words = format!(
                "is at home with license {}, which is neither this server's nor its peer's.",
                entry.home
            );
            return Err(wrong(entry, &words));
        }
        Ok(())
    }

    fn is_known_home(&self, home: &LicenseId) -> bool {
        self.hosts.own.as_ref() == Some(home)
            || self.peers.license_id() == Some(home)
            || self.versions.contains_key(home)
    }
}

fn wrong(entry: &HostEntry, words: &str) -> Refusal {
    let sentence = format!("host {} ({}) {words}", entry.host, entry.seen.name);
    Refusal::new(ReasonCode::BadRequest, sentence)
}
