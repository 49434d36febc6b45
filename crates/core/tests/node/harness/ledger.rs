//! A ledger that a story can slow down and break.

use std::collections::{BTreeMap, VecDeque};

use ve_core::node::{
    event::{AppendError, Event, Record, Remembered},
    io::AppendId,
};

/// What the disk does with an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Durable at once.
    Fine,
    /// Kept waiting until the story lets it go.
    Slow,
    /// Refused at once.
    Full,
}

/// The ledger of a server.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) disk: Disk,
    pub(crate) durable: Vec<Record>,
    pub(crate) waiting: VecDeque<(AppendId, Vec<Record>)>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { disk: Disk::Fine, durable: Vec::new(), waiting: VecDeque::new() }
    }

    /// Takes an append; its outcome, unless the disk is slow.
    pub(crate) fn append(
        &mut self,
        id: AppendId,
        records: Vec<Record>,
    ) -> Option<Result<(), AppendError>> {
        match self.disk {
            Disk::Fine => {
                self.durable.extend(records);
                Some(Ok(()))
            }
            Disk::Slow => {
                self.waiting.push_back((id, records));
                None
            }
            Disk::Full => Some(Err(full())),
        }
    }

    /// Settles the append that waits longest.
    pub(crate) fn settle_one(
        &mut self,
        succeeds: bool,
    ) -> Option<(AppendId, Result<(), AppendError>)> {
        let (id, records) = self.waiting.pop_front()?;
        if succeeds {
            self.durable.extend(records);
            Some((id, Ok(())))
        } else {
            Some((id, Err(full())))
        }
    }
}

fn full() -> AppendError {
    AppendError("no space left on device".to_string())
}

/// What a ledger's records add up to.
pub(crate) fn fold(records: &[Record]) -> Remembered {
    let mut remembered = Remembered::default();
    let mut sessions = BTreeMap::new();
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
            Event::HoursUsed { license_id, version, used_ms } => {
                let key = (license_id.clone(), *version);
                let used = remembered.hours_used_ms.entry(key).or_default();
                *used = (*used).max(*used_ms);
            }
            Event::TimeMarked { mark } => {
                remembered.time_mark = remembered.time_mark.max(Some(*mark));
            }
            Event::Denied(_) => {}
        }
    }
    remembered.sessions = sessions.into_values().collect();
    remembered.blocked = blocked.into_values().collect();
    remembered
}
