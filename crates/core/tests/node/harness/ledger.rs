//! A ledger that a story can slow down and break.

use std::collections::{BTreeMap, VecDeque};

use ve_core::{
    id::SessionNumber,
    node::{
        event::{AppendError, Event, Metered, Record, Remembered, RetiredHost, SessionRecord},
        io::{AppendId, Durable},
    },
};

use super::server::WALL_AT_START;

/// What the disk does with an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Durable at once.
    Fine,
    /// Kept waiting until the story lets it go.
    Slow,
    /// Refused at once.
    Full,
    /// Full, but there is a reserve for marks.
    Reserve,
}

/// The ledger of a server.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) disk: Disk,
    pub(crate) durable: Vec<Record>,
    /// The marks in the reserve.
    pub(crate) reserve: Vec<Record>,
    pub(crate) waiting: VecDeque<(AppendId, Vec<Record>)>,
    /// How many appends there have been.
    pub(crate) appends: usize,
}

type Outcome = Result<Durable, AppendError>;

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            disk: Disk::Fine,
            durable: Vec::new(),
            reserve: Vec::new(),
            waiting: VecDeque::new(),
            appends: 0,
        }
    }

    /// Forgets everything.
    pub(crate) fn lose(&mut self) {
        *self = Self::new();
    }

    /// Takes an append; its outcome, unless the disk is slow.
    pub(crate) fn append(&mut self, id: AppendId, records: Vec<Record>) -> Option<Outcome> {
        self.appends += 1;
        match self.disk {
            // Nothing overtakes what waits.
            _ if !self.waiting.is_empty() => {
                self.waiting.push_back((id, records));
                None
            }
            Disk::Fine => {
                self.take(records);
                Some(Ok(Durable::Ledger))
            }
            Disk::Slow => {
                self.waiting.push_back((id, records));
                None
            }
            Disk::Full => Some(Err(full())),
            Disk::Reserve => Some(self.reserve(records)),
        }
    }

    /// Takes records, and holds the rule that every store does.
    fn take(&mut self, records: Vec<Record>) {
        for record in records {
            let last = self.durable.last().map_or(0, |last| last.position);
            assert!(record.position > last, "position {} after {last}", record.position);
            self.durable.push(record);
        }
    }

    fn reserve(&mut self, records: Vec<Record>) -> Outcome {
        let is_mark = |record: &Record| {
            let event = &record.event;
            matches!(
                event,
                Event::HoursUsed { .. } | Event::TimeMarked { .. } | Event::LicenseSeen { .. }
            )
        };
        if !records.iter().all(is_mark) {
            return Err(full());
        }
        self.reserve.extend(records);
        Ok(Durable::Reserve)
    }

    /// What a server finds at its start.
    pub(crate) fn remember(&self) -> Remembered {
        fold(self.durable.iter().chain(&self.reserve))
    }

    /// Whoever put it there knows that it may lack holders of seats.
    pub(crate) fn lack_holders(&mut self) {
        let position = self.durable.last().map_or(0, |last| last.position) + 1;
        let event = Event::HoldersUnknown { unknown: true };
        self.durable.push(Record { position, at: WALL_AT_START, event });
    }

    /// Settles the append that waits longest.
    pub(crate) fn settle_one(&mut self, succeeds: bool) -> Option<(AppendId, Outcome)> {
        let (id, records) = self.waiting.pop_front()?;
        if succeeds {
            self.take(records);
            Some((id, Ok(Durable::Ledger)))
        } else {
            Some((id, Err(full())))
        }
    }

    /// Settles the append that waits longest into the reserve, if that takes it.
    pub(crate) fn reserve_one(&mut self) -> Option<(AppendId, Outcome)> {
        let (id, records) = self.waiting.pop_front()?;
        let outcome = self.reserve(records);
        Some((id, outcome))
    }
}

fn full() -> AppendError {
    AppendError("no space left on device".to_string())
}

/// What a ledger's records add up to.
pub(crate) fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Remembered {
    let mut remembered = Remembered::default();
    let mut sessions: BTreeMap<SessionNumber, SessionRecord> = BTreeMap::new();
    let mut blocked = BTreeMap::new();
    for record in records {
        remembered.position = remembered.position.max(record.position);
        match &record.event {
            Event::SessionOpened(session) => {
                remembered.last_session = remembered.last_session.max(session.number.0);
                session.replaces.map(|predecessor| sessions.remove(&predecessor));
                blocked.remove(&(session.host, session.emulator.clone()));
                sessions.insert(session.number, session.clone());
            }
            Event::SessionClosed { number, .. } => {
                sessions.remove(number);
            }
            Event::RunBlocked(run) => {
                blocked.insert((run.host, run.emulator.clone()), run.clone());
            }
            Event::LicenseSeen { license_id, version } => {
                let seen = remembered.versions.entry(license_id.clone()).or_default();
                *seen = (*seen).max(*version);
            }
            Event::HoursUsed { license_id, version, used_ms, charged_to } => {
                let read = Metered { used_ms: *used_ms, charged_to: Some(*charged_to) };
                let key = (license_id.clone(), *version);
                let known = remembered.meters.entry(key).or_insert(read);
                if known.used_ms <= read.used_ms {
                    *known = read;
                }
            }
            Event::SessionPromised { number, lease_ms, through_grace } => {
                if let Some(session) = sessions.get_mut(number) {
                    session.promised_lease_ms = session.promised_lease_ms.max(*lease_ms);
                    session.promised_grace |= through_grace;
                }
            }
            Event::SessionPlaced { number, section, product_code } => {
                if let Some(session) = sessions.get_mut(number) {
                    session.section = *section;
                    session.product_code = product_code.clone();
                }
            }
            Event::HoldersUnknown { unknown } => remembered.may_lack_holders = *unknown,
            Event::TimeMarked { mark } => {
                remembered.time_mark = remembered.time_mark.max(Some(*mark));
            }
            Event::HostRetired { host, name, home, at, identity, .. } => {
                let retired = RetiredHost {
                    at: *at,
                    name: name.clone(),
                    home: home.clone(),
                    identity: identity.clone(),
                };
                remembered.retired_hosts.entry(*host).or_insert(retired);
            }
            Event::HostsHomed { home, count } => {
                remembered.homed.insert(home.clone(), *count);
            }
            Event::HostRegistered { .. } | Event::Denied(_) => {}
        }
    }
    remembered.sessions = sessions.into_values().collect();
    remembered.blocked = blocked.into_values().collect();
    remembered
}
