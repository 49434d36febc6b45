//! The engine without a disk, for tests: it can be told to fail.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ve_core::{
    id::{HostKey, SessionNumber},
    node::event::{BlockedRun, Event, Metered, Record, Remembered, RetiredHost, SessionRecord},
    text::Name,
};

use crate::{
    reserve::{Content, slots::encode},
    rules::{Limits, Marks, Shelf, only_marks},
    store::{AppendFailure, CloseError, Denied, LoadError, Store},
};

/// A ledger in memory. Clones share it: a test keeps one, to break the ledger that a writer owns or
/// to open it again.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    limits: Limits,
    ledger: Ledger,
    broken: Option<String>,
    reserve: Content,
    broken_reserve: Option<String>,
}

#[derive(Debug, Default)]
struct Ledger {
    marks: Marks,
    remembered: Remembered,
    sessions: BTreeMap<SessionNumber, SessionRecord>,
    blocked: BTreeMap<(HostKey, Name), BlockedRun>,
    records: VecDeque<Record>,
    denials: VecDeque<Denied>,
}

impl Memory {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty ledger that keeps less.
    pub fn with_limits(limits: Limits) -> Self {
        let memory = Self::default();
        memory.shared().limits = limits;
        memory
    }

    /// From now on every append fails, and this is why.
    pub fn break_with(&self, why: impl Into<String>) {
        self.shared().broken = Some(why.into());
    }

    /// Appends succeed again.
    pub fn repair(&self) {
        self.shared().broken = None;
    }

    /// From now on the reserve takes nothing either, and this is why.
    pub fn break_reserve_with(&self, why: impl Into<String>) {
        self.shared().broken_reserve = Some(why.into());
    }

    /// The reserve can be written again.
    pub fn repair_reserve(&self) {
        self.shared().broken_reserve = None;
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // No code here panics while it holds the lock.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn remember(&mut self) -> Result<Remembered, LoadError> {
        let shared = self.shared();
        let mut remembered = shared.ledger.remembered();
        shared.reserve.marks.raise(&mut remembered);
        Ok(remembered)
    }

    fn append(&mut self, batches: &[&[Record]]) -> Result<(), AppendFailure> {
        let mut shared = self.shared();
        if let Some(why) = &shared.broken {
            return Err(AppendFailure::Ledger(why.clone()));
        }
        // All rules first: what follows can't fail, so nothing has to be undone.
        let mut marks = shared.ledger.marks;
        for (index, batch) in batches.iter().enumerate() {
            let refused = |why| AppendFailure::Batch { index, why };
            batch.iter().try_for_each(|record| marks.admit(record)).map_err(refused)?;
        }
        let limits = shared.limits;
        shared.ledger.marks = marks;
        batches.iter().copied().flatten().for_each(|record| shared.ledger.take(record));
        shared.ledger.forget(limits);
        let mut content = shared.reserve.clone();
        for record in batches.iter().copied().flatten() {
            content.marks.take(record);
        }
        content.marks.prune();
        content.ledger_position = shared.ledger.marks.position;
        // As in a file: what the ledger has taken is durable, whatever becomes of the copy.
        if shared.broken_reserve.is_none() && encode(1, &content).is_ok() {
            shared.reserve = content;
        }
        Ok(())
    }

    fn reserve(&mut self, batch: &[Record]) -> Result<(), AppendFailure> {
        let mut shared = self.shared();
        let mut content = shared.reserve.clone();
        only_marks(&mut content.marks, batch)
            .map_err(|why| AppendFailure::Batch { index: 0, why })?;
        if let Some(why) = &shared.broken_reserve {
            return Err(AppendFailure::Ledger(why.clone()));
        }
        // It has the room that a file has.
        encode(1, &content).map_err(AppendFailure::Ledger)?;
        shared.reserve = content;
        Ok(())
    }

    fn records(&mut self, limit: usize) -> Result<Vec<Record>, LoadError> {
        Ok(self.shared().ledger.records.iter().rev().take(limit).cloned().collect())
    }

    fn denials(&mut self, limit: usize) -> Result<Vec<Denied>, LoadError> {
        Ok(self.shared().ledger.denials.iter().rev().take(limit).cloned().collect())
    }

    fn close(self) -> Result<(), CloseError> {
        Ok(())
    }
}

impl Ledger {
    fn remembered(&self) -> Remembered {
        Remembered {
            position: self.marks.position,
            last_session: self.marks.last_session,
            sessions: self.sessions.values().cloned().collect(),
            blocked: self.blocked.values().cloned().collect(),
            time_mark: self.marks.time,
            ..self.remembered.clone()
        }
    }

    fn take(&mut self, record: &Record) {
        self.apply(&record.event);
        match Shelf::of(&record.event) {
            Shelf::Trail => self.records.push_back(record.clone()),
            Shelf::Denials(denial) => {
                let denial = denial.clone();
                self.denials.push_back(Denied { position: record.position, at: record.at, denial });
            }
            Shelf::Mark => {}
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::SessionOpened(session) => {
                if let Some(predecessor) = session.replaces {
                    self.sessions.remove(&predecessor);
                }
                self.blocked.remove(&(session.host, session.emulator.clone()));
                self.sessions.insert(session.number, session.clone());
            }
            Event::SessionClosed { number, .. } => {
                self.sessions.remove(number);
            }
            Event::RunBlocked(run) => {
                self.blocked.insert((run.host, run.emulator.clone()), run.clone());
            }
            Event::LicenseSeen { license_id, version } => {
                let seen = self.remembered.versions.entry(license_id.clone()).or_default();
                *seen = (*seen).max(*version);
            }
            Event::HoursUsed { license_id, version, used_ms, charged_to } => {
                let metered = Metered { used_ms: *used_ms, charged_to: Some(*charged_to) };
                let key = (license_id.clone(), *version);
                let known = self.remembered.meters.entry(key).or_insert(metered);
                if known.used_ms <= metered.used_ms {
                    *known = metered;
                }
            }
            Event::SessionPromised { number, lease_ms, through_grace } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.promised_lease_ms = session.promised_lease_ms.max(*lease_ms);
                    session.promised_grace |= through_grace;
                }
            }
            Event::SessionPlaced { number, section, product_code } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.section = *section;
                    session.product_code = product_code.clone();
                }
            }
            Event::HoldersUnknown { unknown } => self.remembered.may_lack_holders = *unknown,
            Event::HostRetired { host, name, home, at, identity, .. } => {
                let retired = RetiredHost {
                    at: *at,
                    name: name.clone(),
                    home: home.clone(),
                    identity: identity.clone(),
                };
                self.remembered.retired_hosts.entry(*host).or_insert(retired);
            }
            Event::HostsHomed { home, count } => {
                self.remembered.homed.insert(home.clone(), *count);
            }
            Event::HostRegistered { .. } | Event::TimeMarked { .. } | Event::Denied(_) => {}
        }
    }

    fn forget(&mut self, limits: Limits) {
        keep_newest(&mut self.records, limits.records);
        keep_newest(&mut self.denials, limits.denials);
    }
}

fn keep_newest<T>(rows: &mut VecDeque<T>, limit: u64) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    rows.drain(..rows.len().saturating_sub(limit));
}
