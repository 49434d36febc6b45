//! Importing: entries from a file, all of them or none.

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
    string::String,
    vec::Vec,
};

use super::{Node, capacity::Capacity, registering::registration_news};
use crate::{
    id::{HostKey, LicenseId},
    node::{
        append::Waiting,
        enroll::Then,
        event::{AppendError, Event, RegisteredBy, RetiredHost},
        io::{Note, Ticket},
    },
    reason::{ReasonCode, Refusal},
    registry::{HostEntry, HostState, MAX_HOSTS, entry::MAX_REVISION, hosts::Change},
    time::{Now, Utc},
};

/// How many of an import's registrations the ledger hears of in one go, so that logins need not wait
/// for all of them.
const AUDITED_AT_ONCE: usize = 256;

/// How many hosts of an import the log names; of more than that it hears the number.
const MAX_NOTED: usize = 100;

/// The imports that are under way.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// Those that wait for the ledger, which hears of retirements first.
    recording: BTreeMap<Ticket, Recording>,
    /// Those that wait for the registry.
    enrolling: BTreeMap<Ticket, Enrolling>,
    /// Whose registration the ledger has not heard of yet, and whether it is hearing of some.
    unaudited: VecDeque<HostKey>,
    auditing: bool,
}

#[derive(Debug)]
struct Recording {
    entries: Vec<HostEntry>,
    retired: Vec<HostKey>,
}

/// Who gets an instance by an import, and who is retired by it.
#[derive(Debug, Default)]
struct Enrolling {
    registered: Vec<HostKey>,
    retired: Vec<HostKey>,
}

impl Node {
    /// The administrator imports entries.
    pub(in crate::node) fn import(
        &mut self,
        now: Now,
        ticket: Ticket,
        mut entries: Vec<HostEntry>,
    ) {
        // In the order of the registry's trees each step is near the one before.
        entries.sort_unstable_by_key(|entry| entry.host);
        if let Err(refusal) = self.may_import(&entries) {
            return self.reply(ticket, Err(refusal));
        }
        let retired = entries
            .iter()
            .filter(|entry| entry.state == HostState::Retired && !self.is_retired(entry.host));
        let retired: Vec<(HostKey, RetiredHost)> = retired
            .map(|entry| {
                let (name, home) = (entry.seen.name.clone(), entry.home.clone());
                let identity = entry.identity.clone();
                (entry.host, RetiredHost { at: now.wall, name, home, identity })
            })
            .collect();
        if retired.is_empty() {
            return self.import_all(now, ticket, &entries, Vec::new());
        }
        // All in one append, however many: what is refused has retired no one.
        let (mut events, mut hosts) = (Vec::new(), Vec::new());
        for (host, known) in retired {
            let RetiredHost { at, name, home, identity } = known.clone();
            events.push(Event::HostRetired { host, name, home, here: true, at, identity });
            hosts.push(host);
            self.begin_imported_retirement(host, known);
        }
        self.hosts.imports.recording.insert(ticket, Recording { entries, retired: hosts });
        self.commit(now, events, Waiting::Import(ticket));
    }

    fn is_retired(&self, host: HostKey) -> bool {
        let entry = self.hosts.registry.find(host);
        self.is_retiring(host) || entry.is_some_and(|entry| entry.state == HostState::Retired)
    }

    /// The ledger knows whom an import retires: the rest is judged again, and taken.
    pub(in crate::node) fn import_recorded(&mut self, now: Now, ticket: Ticket) {
        let Some(Recording { entries, retired }) = self.hosts.imports.recording.remove(&ticket)
        else {
            return;
        };
        let Err(refusal) = self.may_import(&entries) else {
            return self.import_all(now, ticket, &entries, retired);
        };
        self.retire_imported(&retired);
        let sentence =
            format!("{} The hosts that it retires are retired all the same.", refusal.sentence);
        self.reply(ticket, Err(Refusal { sentence, ..refusal }));
    }

    /// The ledger did not take whom an import retires.
    pub(in crate::node) fn import_failed(&mut self, ticket: Ticket, error: &AppendError) {
        self.hosts.imports.recording.remove(&ticket);
        let sentence = format!("{error}; nothing was imported.");
        self.reply(ticket, Err(Refusal::new(ReasonCode::ServerBusy, sentence)));
    }

    /// Takes all of it in, as one change of the registry.
    fn import_all(
        &mut self,
        now: Now,
        ticket: Ticket,
        entries: &[HostEntry],
        retired: Vec<HostKey>,
    ) {
        let mut changes = Vec::new();
        let (mut registered, mut count) = (Vec::new(), 0);
        for entry in entries {
            let host = entry.host;
            let was_active = self.hosts.registry.find(host).is_some_and(HostEntry::is_active);
            if let Some(change) = self.hosts.registry.merge(entry, None) {
                count += 1;
                if change.entry.is_active() && !was_active {
                    registered.push(host);
                }
                changes.push(change);
            } else {
                // Known, but perhaps by a change that will come to nothing: it becomes durable with this.
                changes.extend(self.change_again(host));
            }
        }
        self.take_host_news(now);
        self.hosts.imports.enrolling.insert(ticket, Enrolling { registered, retired });
        if changes.is_empty() {
            return self.imported(now, ticket, count, Ok(()));
        }
        self.enroll(changes, None, None, Then::Imported(ticket, count));
    }

    fn change_again(&mut self, host: HostKey) -> Option<Change> {
        let registry = &mut self.hosts.registry;
        let number = registry.number(host)?;
        if !self.enrolls.is_under_way(number) {
            return None;
        }
        let entry = registry.find(host)?.clone();
        Some(registry.put(entry, None))
    }

    /// An import is durable, or has failed.
    pub(in crate::node) fn imported(
        &mut self,
        now: Now,
        ticket: Ticket,
        count: usize,
        outcome: Result<(), AppendError>,
    ) {
        let imported = self.hosts.imports.enrolling.remove(&ticket).unwrap_or_default();
        self.take_host_news(now);
        if let Err(error) = outcome {
            let mut sentence =
                format!("the registry can't be written: {}; nothing was imported.", error.0);
            if !imported.retired.is_empty() {
                sentence.push_str(" The hosts that it retires are refused from now on.");
                self.retire_imported(&imported.retired);
            }
            return self.reply(ticket, Err(Refusal::new(ReasonCode::ServerBusy, sentence)));
        }
        for host in &imported.retired {
            self.end_imported_retirement(*host);
        }
        self.note_imported(&imported);
        self.hosts.imports.unaudited.extend(imported.registered);
        self.audit_imports(now);
        let reply = match count {
            0 => String::from("nothing of it was news"),
            1 => String::from("1 entry was news"),
            _ => format!("{count} entries were news"),
        };
        self.reply(ticket, Ok(reply));
    }

    /// The ledger knows whom an import retires that came to nothing otherwise.
    fn retire_imported(&mut self, hosts: &[HostKey]) {
        let notes: Vec<Note> =
            hosts.iter().filter_map(|host| self.retire_after_all(*host)).collect();
        self.note_all(notes, 0, hosts.len());
    }

    fn note_imported(&mut self, Enrolling { registered, retired }: &Enrolling) {
        let mut notes: Vec<Note> = Vec::new();
        if registered.len() + retired.len() <= MAX_NOTED {
            let news = registered.iter().filter_map(|host| self.import_news(*host));
            notes.extend(news.map(|(_, note)| note));
            let entries = retired.iter().filter_map(|host| self.hosts.registry.find(*host));
            notes.extend(entries.map(|entry| {
                let name = entry.seen.name.clone();
                Note::HostRetired { host: entry.host, name, here: true }
            }));
        }
        self.note_all(notes, registered.len(), retired.len());
    }

    /// The log hears of each host, or of all in one sentence.
    fn note_all(&mut self, notes: Vec<Note>, registered: usize, retired: usize) {
        if registered + retired > MAX_NOTED {
            return self.note(Note::HostsImported { registered, retired });
        }
        for note in notes {
            self.note(note);
        }
    }

    fn import_news(&self, host: HostKey) -> Option<(Event, Note)> {
        let entry = self.hosts.registry.find(host)?;
        let (name, home) = (entry.seen.name.clone(), entry.home.clone());
        let address = entry.seen.address.clone();
        Some(registration_news(host, name, address, home, RegisteredBy::Import))
    }

    /// Tells the ledger of the next registrations by imports, unless it is hearing of some.
    pub(in crate::node) fn audit_imports(&mut self, now: Now) {
        let imports = &mut self.hosts.imports;
        if imports.auditing || imports.unaudited.is_empty() || self.appends.are_failing() {
            return;
        }
        // At the end there is no time for pieces.
        let left = imports.unaudited.len();
        let count = if self.draining { left } else { left.min(AUDITED_AT_ONCE) };
        let hosts: Vec<HostKey> = imports.unaudited.drain(..count).collect();
        imports.auditing = true;
        let news = hosts.into_iter().filter_map(|host| self.import_news(host));
        let events = news.map(|(event, _)| event).collect();
        self.commit(now, events, Waiting::Audit);
    }

    /// The ledger has heard of some registrations, or has failed; then it is told the others later.
    pub(in crate::node) fn audited(&mut self, now: Now) {
        self.hosts.imports.auditing = false;
        self.audit_imports(now);
    }

    /// Whether all of these may be taken in; else what is wrong with the first that may not.
    fn may_import(&self, entries: &[HostEntry]) -> Result<(), Refusal> {
        let Some(capacity) = self.capacity() else {
            let sentence =
                "no AutoVE license is served here, so there is no registry to import to.";
            return Err(Refusal::new(ReasonCode::LicenseNotAvailable, sentence));
        };
        if let Some(twice) = named_twice(entries) {
            return Err(wrong(twice, "is named twice."));
        }
        let (mut fresh, mut gained, mut lost) = (0, 0, 0);
        for entry in entries {
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
        let more = gained.saturating_sub(lost);
        if more > capacity.free() {
            return Err(Refusal::new(ReasonCode::InstanceLimit, too_many(more, &capacity)));
        }
        Ok(())
    }

    fn may_import_entry(&self, entry: &HostEntry) -> Result<(), Refusal> {
        if !(1..=MAX_REVISION).contains(&entry.revision) {
            return Err(wrong(entry, &format!("has no revision between 1 and {MAX_REVISION}.")));
        }
        for at in [entry.registered, entry.seen.at] {
            if !(Utc(0)..=Utc::LAST).contains(&at) {
                return Err(wrong(entry, "has a date before 1970 or after 9999."));
            }
        }
        if entry.state == HostState::Retired && self.is_being_recorded(entry.host) {
            let sentence = format!(
                "host {} ({}) is just being retired; import it again.",
                entry.host, entry.seen.name
            );
            return Err(Refusal::new(ReasonCode::ServerBusy, sentence));
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

/// An entry whose host another one names as well; they stand in the order of their hosts.
fn named_twice(entries: &[HostEntry]) -> Option<&HostEntry> {
    entries.windows(2).find(|pair| pair[0].host == pair[1].host).map(|pair| &pair[0])
}

fn too_many(more: u64, capacity: &Capacity) -> String {
    let (free, words) = (capacity.free(), capacity.in_words());
    let hosts = if more == 1 { "1 more host" } else { &format!("{more} more hosts") };
    let instances = if free == 1 { "1 instance is" } else { &format!("{free} instances are") };
    format!("{hosts} would be at home here, and {instances} free: {words}.")
}

fn wrong(entry: &HostEntry, words: &str) -> Refusal {
    let sentence = format!("host {} ({}) {words}", entry.host, entry.seen.name);
    Refusal::new(ReasonCode::BadRequest, sentence)
}
