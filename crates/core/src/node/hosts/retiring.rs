//! Retiring: a host's instance becomes free, for ever. The ledger hears of it first, so that no copy
//! of the registry brings the host back; then the registry; then the administrator.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec,
    vec::Vec,
};

use super::{
    Node,
    admission::{moved, retired},
};
use crate::{
    id::HostKey,
    node::{
        append::Waiting,
        enroll::Then,
        event::{AppendError, Event, Remembered, RetiredHost},
        io::{Note, Ticket},
    },
    reason::{ReasonCode, Refusal},
    registry::{
        HostEntry, HostState, PlatformIdentity, RememberedHosts, Seen, entry::MAX_REVISION,
    },
    text::Name,
    time::Now,
};

/// How many retirements the ledger hears of in one go after it was lost.
const RECORDED_AT_ONCE: usize = 256;

/// A host that is retired while the registry does not say so yet.
#[derive(Debug)]
struct UnderWay {
    /// Who waits for it.
    ticket: Option<Ticket>,
    /// What it is made from when the registry knows nothing of the host.
    known: RetiredHost,
    /// Whether the ledger has it.
    recorded: bool,
    /// Whether it is on its way to the registry.
    enrolling: bool,
    /// Whether it is nothing if the ledger does not take it: it is part of an import.
    imported: bool,
}

/// The retirements that are under way.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    hosts: BTreeMap<HostKey, UnderWay>,
    /// Their machines, as far as they are known.
    machines: BTreeSet<(PlatformIdentity, HostKey)>,
}

impl Retiring {
    /// What the ledger knows is written to the registry again, wherever that lacks it.
    pub(super) fn new(remembered: &Remembered) -> Self {
        let mut retiring = Self::default();
        for (host, known) in &remembered.retired_hosts {
            retiring.remember(*host, known.clone());
        }
        retiring
    }

    pub(super) fn has(&self, host: HostKey) -> bool {
        self.hosts.contains_key(&host)
    }

    /// Whether a host of this machine is among them.
    pub(super) fn has_machine(&self, identity: &PlatformIdentity) -> bool {
        let first = (identity.clone(), HostKey([0; 32]));
        self.machines.range(first..).next().is_some_and(|(machine, _)| machine == identity)
    }

    /// The ledger knows that a host is retired, and the registry is being told.
    fn remember(&mut self, host: HostKey, known: RetiredHost) {
        if !self.has(host) {
            let (recorded, enrolling, imported) = (true, false, false);
            self.begin(host, UnderWay { ticket: None, known, recorded, enrolling, imported });
        }
    }

    fn begin(&mut self, host: HostKey, under_way: UnderWay) {
        self.end(host);
        if let Some(identity) = &under_way.known.identity {
            self.machines.insert((identity.clone(), host));
        }
        self.hosts.insert(host, under_way);
    }

    fn end(&mut self, host: HostKey) {
        let ended = self.hosts.remove(&host);
        if let Some(identity) = ended.and_then(|under_way| under_way.known.identity) {
            self.machines.remove(&(identity, host));
        }
    }
}

impl Node {
    pub(super) fn is_retiring(&self, host: HostKey) -> bool {
        self.hosts.retiring.has(host)
    }

    /// The administrator retires a host.
    pub(in crate::node) fn retire(&mut self, now: Now, ticket: Ticket, host: HostKey) {
        let Some(entry) = self.hosts.registry.find(host) else {
            return self.reply_no_host(ticket, format!("no host {host} is registered."));
        };
        if entry.state == HostState::Retired {
            return self.reply(ticket, Ok(String::from("retired already")));
        }
        if entry.state == HostState::Moved {
            let sentence = format!(
                "host {host} has no instance: another key of its machine has it; retire that."
            );
            return self.reply_no_host(ticket, sentence);
        }
        if self.hosts.retiring.has(host) {
            let sentence = "the host is being retired; ask again.";
            return self.reply(ticket, Err(Refusal::new(ReasonCode::ServerBusy, sentence)));
        }
        let name = entry.seen.name.clone();
        let (home, identity) = (entry.home.clone(), entry.identity.clone());
        let at = now.wall;
        let known =
            RetiredHost { at, name: name.clone(), home: home.clone(), identity: identity.clone() };
        self.begin_retirement(host, Some(ticket), known);
        self.hosts.missing.count_retired(&home);
        let event = Event::HostRetired { host, name, home, here: true, at, identity };
        let mut events = vec![event];
        events.extend(self.homed_without_one(host));
        self.commit(now, events, Waiting::NoOne);
        self.revoke_sessions_of(now, host, &retired());
    }

    /// The ledger has heard from the peer that a host is retired: it is refused from now on, whatever
    /// becomes of the registry's entry.
    pub(in crate::node) fn remember_retirement(&mut self, now: Now, entry: &HostEntry) {
        let (name, home) = (entry.seen.name.clone(), entry.home.clone());
        self.hosts.missing.count_retired(&entry.home);
        let identity = entry.identity.clone();
        self.hosts
            .retiring
            .remember(entry.host, RetiredHost { at: now.wall, name, home, identity });
    }

    fn begin_retirement(&mut self, host: HostKey, ticket: Option<Ticket>, known: RetiredHost) {
        let imported = ticket.is_none();
        let under_way = UnderWay { ticket, known, recorded: false, enrolling: false, imported };
        self.hosts.retiring.begin(host, under_way);
    }

    /// An import retires a host.
    pub(super) fn begin_imported_retirement(&mut self, host: HostKey, known: RetiredHost) {
        self.begin_retirement(host, None, known);
    }

    fn reply_no_host(&mut self, ticket: Ticket, sentence: String) {
        self.reply(ticket, Err(Refusal::new(ReasonCode::InstanceNotRegistered, sentence)));
    }

    /// Whether the ledger is still being told that a host is retired: that may come to nothing.
    pub(super) fn is_being_recorded(&self, host: HostKey) -> bool {
        self.hosts.retiring.hosts.get(&host).is_some_and(|under_way| !under_way.recorded)
    }

    /// An import has retired a host durably.
    pub(super) fn end_imported_retirement(&mut self, host: HostKey) {
        self.hosts.retiring.end(host);
    }

    /// The ledger has retired a host for an import that came to nothing. The next review tells the
    /// registry of this one alone.
    pub(super) fn retire_after_all(&mut self, host: HostKey) -> Option<Note> {
        let under_way = self.hosts.retiring.hosts.get_mut(&host)?;
        (under_way.imported, under_way.enrolling) = (false, false);
        Some(Note::HostRetired { host, name: under_way.known.name.clone(), here: true })
    }

    /// The ledger has a retirement: the registry is next.
    pub(in crate::node) fn retirement_recorded(&mut self, host: HostKey) {
        let Some(under_way) = self.hosts.retiring.hosts.get_mut(&host) else { return };
        if under_way.imported {
            // The registry is told with all the rest of the import.
            (under_way.recorded, under_way.enrolling) = (true, true);
            return;
        }
        let name = under_way.known.name.clone();
        let known = core::mem::replace(&mut under_way.recorded, true);
        let enrolling = core::mem::replace(&mut under_way.enrolling, true);
        if !known {
            self.note(Note::HostRetired { host, name, here: true });
        }
        if !enrolling {
            self.enroll_retirement(host);
        }
    }

    /// The ledger did not take a retirement, which is tried again. Whether it is one of ours.
    pub(in crate::node) fn retirement_delayed(&mut self, host: HostKey) -> bool {
        let Some(under_way) = self.hosts.retiring.hosts.get_mut(&host) else { return false };
        if under_way.imported {
            self.hosts.retiring.end(host);
            return false;
        }
        if let Some(ticket) = under_way.ticket.take() {
            let sentence = "the ledger can't be written; the host is refused from now on, and its \
                            retirement is written down when that is possible.";
            self.reply(ticket, Err(Refusal::new(ReasonCode::ServerBusy, sentence)));
        }
        true
    }

    fn enroll_retirement(&mut self, host: HostKey) {
        let Some(UnderWay { known, .. }) = self.hosts.retiring.hosts.get(&host) else { return };
        let entry = match self.hosts.registry.find(host) {
            Some(entry) if entry.state == HostState::Retired => entry.clone(),
            Some(entry) => HostEntry {
                state: HostState::Retired,
                revision: entry.revision.saturating_add(1).min(MAX_REVISION),
                ..entry.clone()
            },
            None => forgotten(host, known),
        };
        let change = self.hosts.registry.put(entry, None);
        self.enroll(vec![change], None, None, Then::Retired(host));
    }

    /// A retirement is durable in the registry, or has failed; then it is tried again.
    pub(in crate::node) fn retired(
        &mut self,
        now: Now,
        host: HostKey,
        outcome: Result<(), AppendError>,
    ) {
        let Some(under_way) = self.hosts.retiring.hosts.get_mut(&host) else { return };
        under_way.enrolling = false;
        let ticket = under_way.ticket.take();
        let reply = match outcome {
            Ok(()) => {
                self.hosts.retiring.end(host);
                Ok(String::from("retired; its instance is free"))
            }
            Err(error) => {
                let sentence = format!(
                    "the registry can't be written: {}; the host is refused from now on, and its \
                     instance becomes free when that is possible.",
                    error.0
                );
                Err(Refusal::new(ReasonCode::ServerBusy, sentence))
            }
        };
        self.take_host_news(now);
        if let Some(ticket) = ticket {
            self.reply(ticket, reply);
        }
    }

    /// Writes to the registry what the ledger knows and the registry does not, once the server is
    /// ready.
    pub(super) fn retry_retirements(&mut self) {
        if !self.ready {
            return;
        }
        let (registry, enrolls) = (&self.hosts.registry, &self.enrolls);
        let is_retired = |host: HostKey| {
            registry.find(host).is_some_and(|entry| entry.state == HostState::Retired)
                && registry.number(host).is_some_and(|number| !enrolls.is_under_way(number))
        };
        // What is on its way is judged when it is there.
        let is_done = |host: HostKey, under_way: &UnderWay| {
            !under_way.enrolling && under_way.recorded && is_retired(host)
        };
        let under_way = self.hosts.retiring.hosts.iter();
        let done: Vec<HostKey> = under_way
            .filter(|(host, under_way)| is_done(**host, under_way))
            .map(|(host, _)| *host)
            .collect();
        for host in done {
            self.hosts.retiring.end(host);
        }
        let due: Vec<HostKey> = (self.hosts.retiring.hosts.iter())
            .filter(|(_, under_way)| under_way.recorded && !under_way.enrolling)
            .map(|(host, _)| *host)
            .collect();
        for host in due {
            self.retirement_recorded(host);
        }
    }

    /// Writes to the ledger whom only the registry knows as retired: the ledger was lost, and is the
    /// second copy. What it refuses comes with the next start.
    pub(super) fn record_retirements(&mut self, now: Now) {
        if !self.ready || self.appends.are_failing() || self.hosts.unrecorded.is_empty() {
            return;
        }
        let left = self.hosts.unrecorded.len().saturating_sub(RECORDED_AT_ONCE);
        let hosts = self.hosts.unrecorded.split_off(left);
        let entries = hosts.into_iter().filter_map(|host| self.hosts.registry.find(host));
        let events = entries.map(|entry| retired_elsewhere(entry, now)).collect();
        self.commit(now, events, Waiting::NoOne);
    }

    /// Takes all sessions of a host back.
    fn revoke_sessions_of(&mut self, now: Now, host: HostKey, refusal: &Refusal) {
        let own = self.hosts.own.as_ref();
        let sessions = self.sessions.of_host(host);
        let of_own = sessions.filter(|session| Some(&session.record.license_id) == own);
        let numbers: Vec<_> = of_own.map(|session| session.record.number).collect();
        for number in numbers {
            self.revoke(now, number, refusal);
        }
    }

    /// Takes the sessions back of a host whose entry has ended. One that has only moved loses none
    /// that is merely left: no one may come back to it anyway, and moving may still fail.
    pub(super) fn revoke_if_ended(&mut self, now: Now, host: HostKey) {
        match self.hosts.registry.find(host).map(|entry| entry.state) {
            Some(HostState::Retired) => self.revoke_sessions_of(now, host, &retired()),
            Some(HostState::Moved) if self.alive_here(host).next().is_some() => {
                self.revoke_sessions_of(now, host, &moved());
            }
            _ => {}
        }
    }
}

/// Who is retired by the registry, and not by the ledger.
pub(super) fn unrecorded(remembered: &Remembered, hosts: &RememberedHosts) -> Vec<HostKey> {
    let retired = hosts.entries.iter().filter(|(_, entry)| entry.state == HostState::Retired);
    let unknown = retired.filter(|(_, entry)| !remembered.retired_hosts.contains_key(&entry.host));
    unknown.map(|(_, entry)| entry.host).collect()
}

/// A retired host that the registry has forgotten.
fn forgotten(host: HostKey, known: &RetiredHost) -> HostEntry {
    let address: Name = "unknown".parse().unwrap_or_else(|_| known.name.clone());
    HostEntry {
        host,
        home: known.home.clone(),
        revision: 1,
        state: HostState::Retired,
        registered: known.at,
        identity: known.identity.clone(),
        seen: Seen { at: known.at, name: known.name.clone(), platform: None, address },
    }
}

/// What the ledger is told of a host that was retired, but not by an administrator of this server.
pub(in crate::node) fn retired_elsewhere(entry: &HostEntry, now: Now) -> Event {
    Event::HostRetired {
        host: entry.host,
        name: entry.seen.name.clone(),
        home: entry.home.clone(),
        here: false,
        at: now.wall,
        identity: entry.identity.clone(),
    }
}
