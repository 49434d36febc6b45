//! What the records of a ledger add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ve_core::{
    id::{HostKey, LicenseId, SessionId, SessionNumber},
    node::event::{BlockedRun, Event, Metered, Record, Remembered, RetiredHost, SessionRecord},
    registry::PlatformIdentity,
    text::Name,
    time::{Moment, Utc},
};

/// The sum of all records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) position: u64,
    last_session: u64,
    sessions: BTreeMap<SessionNumber, SessionRecord>,
    blocked: Vec<BlockedRun>,
    versions: BTreeMap<LicenseId, u32>,
    meters: Vec<Meter>,
    time: Option<Utc>,
    retired: BTreeMap<HostKey, Retired>,
    homed: BTreeMap<LicenseId, u64>,
    /// It comes from a backup, or what was there before is lost.
    pub(crate) may_lack_holders: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Meter {
    license_id: LicenseId,
    version: u32,
    used_ms: u64,
    charged_to: Option<Moment>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Retired {
    at: Utc,
    name: Name,
    home: LicenseId,
    identity: Option<PlatformIdentity>,
}

impl Ledger {
    /// Adds a record. Marks only go up.
    pub(crate) fn take(&mut self, record: &Record) {
        self.position = self.position.max(record.position);
        match &record.event {
            Event::SessionOpened(session) => {
                self.last_session = self.last_session.max(session.number.0);
                if let Some(before) = session.replaces {
                    self.sessions.remove(&before);
                }
                let same = |run: &BlockedRun| {
                    (run.host, &run.emulator) == (session.host, &session.emulator)
                };
                self.blocked.retain(|run| !same(run));
                self.sessions.insert(session.number, session.clone());
            }
            Event::SessionClosed { number, .. } => {
                self.sessions.remove(number);
            }
            Event::RunBlocked(run) => {
                let same =
                    |other: &BlockedRun| (other.host, &other.emulator) == (run.host, &run.emulator);
                self.blocked.retain(|other| !same(other));
                self.blocked.push(run.clone());
            }
            Event::LicenseSeen { license_id, version } => self.see(license_id, *version),
            Event::TimeMarked { mark } => self.time = self.time.max(Some(*mark)),
            Event::HoursUsed { license_id, version, used_ms, charged_to } => {
                let (license_id, charged_to) = (license_id.clone(), Some(*charged_to));
                // The same time again, charged later: a new session began after a pause.
                let known = self.meter(&license_id, *version);
                if known.used_ms <= *used_ms {
                    (known.used_ms, known.charged_to) = (*used_ms, charged_to);
                }
            }
            Event::SessionPromised { number, lease_ms, through_grace } => {
                if let Some(session) = self.session_mut(*number) {
                    session.promised_lease_ms = session.promised_lease_ms.max(*lease_ms);
                    session.promised_grace |= through_grace;
                }
            }
            Event::HostRetired { host, name, home, at, identity, .. } => {
                let (name, home) = (name.clone(), home.clone());
                let retired = Retired { at: *at, name, home, identity: identity.clone() };
                self.retired.entry(*host).or_insert(retired);
            }
            Event::HostsHomed { home, count } => {
                self.homed.insert(home.clone(), *count);
            }
            Event::HoldersUnknown { unknown } => self.may_lack_holders = *unknown,
            Event::SessionPlaced { number, section, product_code } => {
                if let Some(session) = self.session_mut(*number) {
                    session.section = *section;
                    session.product_code = product_code.clone();
                }
            }
            Event::HostRegistered { .. } | Event::Denied(_) => {}
        }
    }

    fn session_mut(&mut self, number: SessionNumber) -> Option<&mut SessionRecord> {
        self.sessions.get_mut(&number)
    }

    fn see(&mut self, id: &LicenseId, version: u32) {
        let seen = self.versions.entry(id.clone()).or_default();
        *seen = version.max(*seen);
    }

    fn meter(&mut self, license_id: &LicenseId, version: u32) -> &mut Meter {
        let same = |meter: &Meter| (&meter.license_id, meter.version) == (license_id, version);
        let at = self.meters.iter().position(same).unwrap_or_else(|| {
            let license_id = license_id.clone();
            self.meters.push(Meter { license_id, version, used_ms: 0, charged_to: None });
            self.meters.len() - 1
        });
        &mut self.meters[at]
    }

    /// Takes over what is higher in `other`.
    pub(crate) fn join_marks(&mut self, other: &Self) {
        self.position = self.position.max(other.position);
        self.last_session = self.last_session.max(other.last_session);
        self.time = self.time.max(other.time);
        other.versions.iter().for_each(|(id, version)| self.see(id, *version));
        for meter in &other.meters {
            let known = self.meter(&meter.license_id, meter.version);
            if known.used_ms < meter.used_ms {
                known.clone_from(meter);
            }
        }
    }

    /// The marks alone.
    pub(crate) fn clone_marks(&self) -> Self {
        Self {
            position: self.position,
            last_session: self.last_session,
            sessions: BTreeMap::new(),
            blocked: Vec::new(),
            versions: self.versions.clone(),
            meters: self.meters.clone(),
            time: self.time,
            retired: BTreeMap::new(),
            homed: BTreeMap::new(),
            may_lack_holders: false,
        }
    }

    pub(crate) fn holds(&self, session: SessionId) -> bool {
        self.sessions.values().any(|open| open.id == session)
    }

    pub(crate) fn remembered(&self) -> Remembered {
        let metered = |meter: &Meter| {
            let key = (meter.license_id.clone(), meter.version);
            (key, Metered { used_ms: meter.used_ms, charged_to: meter.charged_to })
        };
        Remembered {
            position: self.position,
            last_session: self.last_session,
            sessions: self.sessions.values().cloned().collect(),
            blocked: self.blocked.clone(),
            versions: self.versions.clone(),
            meters: self.meters.iter().map(metered).collect(),
            time_mark: self.time,
            may_lack_holders: self.may_lack_holders,
            retired_hosts: self.retired.iter().map(|(host, it)| (*host, it.remembered())).collect(),
            homed: self.homed.clone(),
        }
    }
}

impl Retired {
    fn remembered(&self) -> RetiredHost {
        let Self { at, name, home, identity } = self.clone();
        RetiredHost { at, name, home, identity }
    }
}

impl Ledger {
    /// Whether it knows that a host is retired.
    pub(crate) fn has_retired(&self, host: HostKey) -> bool {
        self.retired.contains_key(&host)
    }

    /// Whether it says that there were registrations.
    pub(crate) fn knows_hosts(&self) -> bool {
        !self.retired.is_empty() || self.homed.values().any(|count| *count > 0)
    }

    /// What is on all meters together, in milliseconds.
    pub(crate) fn hours_used(&self) -> u64 {
        self.meters.iter().map(|meter| meter.used_ms).sum()
    }
}
