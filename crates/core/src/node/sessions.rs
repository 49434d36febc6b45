//! The sessions of a node and the seats they hold, found by every key that a request may carry.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::event::SessionRecord;
use crate::{
    id::{BootId, HostKey, LicenseId, LinkId, SessionId, SessionNumber},
    registry::ReceiptMark,
    text::Name,
    time::Elapsed,
};

/// A section of an installed license: which seats a session holds one of.
pub type SectionKey = (LicenseId, usize);

/// A session, which holds one seat from its first moment to its last.
#[derive(Debug, Clone)]
pub struct Session {
    /// What the ledger knows of it.
    pub record: SessionRecord,
    /// Where in its life it is.
    pub state: State,
    /// When its client was granted something last in this process: an answer that waited for the
    /// ledger is younger than the question, and the client counts from the answer.
    pub granted_at: Elapsed,
    /// The boot of the host that its client runs in, if that was said in this process.
    pub boot: Option<BootId>,
    /// The receipt that its client has.
    pub receipt: Option<ReceiptMark>,
}

impl Session {
    /// A session that was granted nothing in this process yet.
    pub fn new(record: SessionRecord, state: State) -> Self {
        Self { record, state, granted_at: Elapsed::default(), boot: None, receipt: None }
    }
}

/// The end of a reservation whose length is not known yet.
pub const NO_END: Elapsed = Elapsed(u64::MAX);

/// Where in its life a session is. In every state it holds its seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Decided, not durable yet; no one was told.
    Opening,
    /// On a link.
    Live(LinkId),
    /// Its connection is gone; the seat stays reserved for it.
    Left {
        /// When it was last heard of, or when the server started.
        since: Elapsed,
        /// Until when; [`NO_END`] as long as its license is not known.
        until: Elapsed,
    },
    /// Taken back from its client, but its license says that the seat stays reserved until the
    /// client can't be running any more.
    Held {
        /// Until when.
        until: Elapsed,
    },
    /// Over, but that is not durable yet.
    Closing,
}

impl State {
    /// Whether its client runs under it now, as far as is known, or is just about to.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Opening | Self::Live(_))
    }

    /// Until when the seat is reserved, for a session without a link.
    fn until(self) -> Option<Elapsed> {
        match self {
            Self::Left { until, .. } | Self::Held { until } => Some(until),
            Self::Opening | Self::Live(_) | Self::Closing => None,
        }
    }
}

/// All sessions of a node. The cost of every call is independent of their number, but for a tree's
/// depth.
#[derive(Debug, Default)]
pub struct Sessions {
    by_number: BTreeMap<SessionNumber, Session>,
    by_id: BTreeMap<SessionId, SessionNumber>,
    /// An emulator's current session: one that is ending gives way to its successor.
    by_emulator: BTreeMap<(HostKey, Name), SessionNumber>,
    by_link: BTreeMap<LinkId, BTreeSet<SessionNumber>>,
    by_section: BTreeMap<SectionKey, BTreeSet<SessionNumber>>,
    by_host: BTreeMap<HostKey, BTreeSet<SessionNumber>>,
    /// Those of a host that are alive.
    alive: BTreeMap<HostKey, BTreeSet<SessionNumber>>,
    /// The hosts whose live sessions have changed.
    moved: BTreeSet<HostKey>,
    ends: BTreeSet<(Elapsed, SessionNumber)>,
}

impl Sessions {
    /// Takes up a session.
    pub fn insert(&mut self, session: Session) {
        let record = &session.record;
        let number = record.number;
        self.by_id.insert(record.id, number);
        self.by_emulator.insert((record.host, record.emulator.clone()), number);
        self.by_section
            .entry((record.license_id.clone(), record.section))
            .or_default()
            .insert(number);
        self.by_host.entry(record.host).or_default().insert(number);
        let (host, state) = (record.host, session.state);
        self.by_number.insert(number, session);
        self.index_state(host, number, state);
    }

    /// Forgets a session; its seat is free.
    pub fn remove(&mut self, number: SessionNumber) -> Option<Session> {
        let session = self.by_number.remove(&number)?;
        let record = &session.record;
        self.unindex_state(record.host, number, session.state);
        self.by_id.remove(&record.id);
        remove_from(&mut self.by_host, &record.host, number);
        let emulator = (record.host, record.emulator.clone());
        if self.by_emulator.get(&emulator) == Some(&number) {
            self.by_emulator.remove(&emulator);
        }
        remove_from(&mut self.by_section, &(record.license_id.clone(), record.section), number);
        Some(session)
    }

    /// Moves a session to another state.
    pub fn set_state(&mut self, number: SessionNumber, state: State) {
        let Some(session) = self.by_number.get_mut(&number) else { return };
        let host = session.record.host;
        let old = core::mem::replace(&mut session.state, state);
        self.unindex_state(host, number, old);
        self.index_state(host, number, state);
    }

    /// Counts a session's seat to another section of its license, of this product code.
    pub fn set_section(&mut self, number: SessionNumber, section: usize, product_code: Name) {
        let Some(session) = self.by_number.get_mut(&number) else { return };
        session.record.product_code = product_code;
        let old = core::mem::replace(&mut session.record.section, section);
        let license_id = session.record.license_id.clone();
        remove_from(&mut self.by_section, &(license_id.clone(), old), number);
        self.by_section.entry((license_id, section)).or_default().insert(number);
    }

    /// Notes from where a session's client connects now.
    pub fn set_address(&mut self, number: SessionNumber, address: Name) {
        if let Some(session) = self.by_number.get_mut(&number) {
            session.record.address = address;
        }
    }

    /// Notes the boot that a session's client runs in.
    pub fn set_boot(&mut self, number: SessionNumber, boot: BootId) {
        if let Some(session) = self.by_number.get_mut(&number) {
            session.boot = Some(boot);
        }
    }

    /// Notes which receipt a session's client has.
    pub fn set_receipt(&mut self, number: SessionNumber, receipt: Option<ReceiptMark>) {
        if let Some(session) = self.by_number.get_mut(&number) {
            session.receipt = receipt;
        }
    }

    /// Notes that a session's client is just being granted something.
    pub fn set_granted_at(&mut self, number: SessionNumber, now: Elapsed) {
        if let Some(session) = self.by_number.get_mut(&number) {
            session.granted_at = now;
        }
    }

    /// Notes what a session's client was just promised; a longer promise of an earlier grant stands.
    pub fn promise(&mut self, number: SessionNumber, lease_ms: u64, through_grace: bool) {
        if let Some(Session { record, .. }) = self.by_number.get_mut(&number) {
            record.promised_lease_ms = record.promised_lease_ms.max(lease_ms);
            record.promised_grace |= through_grace;
        }
    }

    /// Points an emulator's name back at `number`, after a successor came to nothing.
    pub fn point_emulator_at(&mut self, number: SessionNumber) {
        if let Some(session) = self.by_number.get(&number) {
            let emulator = (session.record.host, session.record.emulator.clone());
            self.by_emulator.insert(emulator, number);
        }
    }

    fn index_state(&mut self, host: HostKey, number: SessionNumber, state: State) {
        if let State::Live(link) = state {
            self.by_link.entry(link).or_default().insert(number);
            self.moved.insert(host);
        }
        if state.is_alive() {
            self.alive.entry(host).or_default().insert(number);
        }
        if let Some(until) = state.until() {
            self.ends.insert((until, number));
        }
    }

    fn unindex_state(&mut self, host: HostKey, number: SessionNumber, state: State) {
        if let State::Live(link) = state {
            remove_from(&mut self.by_link, &link, number);
            self.moved.insert(host);
        }
        if state.is_alive() {
            remove_from(&mut self.alive, &host, number);
        }
        if let Some(until) = state.until() {
            self.ends.remove(&(until, number));
        }
    }

    /// The session of this number.
    pub fn find(&self, number: SessionNumber) -> Option<&Session> {
        self.by_number.get(&number)
    }

    /// The session of this secret name, if it belongs to `host`.
    pub fn find_by_id(&self, id: SessionId, host: HostKey) -> Option<&Session> {
        let session = self.by_number.get(self.by_id.get(&id)?)?;
        (session.record.host == host).then_some(session)
    }

    /// The session of an emulator.
    pub fn find_by_emulator(&self, host: HostKey, emulator: &Name) -> Option<&Session> {
        self.by_number.get(self.by_emulator.get(&(host, emulator.clone()))?)
    }

    /// The sessions of a host, oldest first.
    pub fn of_host(&self, host: HostKey) -> impl Iterator<Item = &Session> {
        let numbers = self.by_host.get(&host).into_iter().flatten();
        numbers.filter_map(|number| self.by_number.get(number))
    }

    /// Those of a host that are alive, oldest first.
    pub fn alive_on(&self, host: HostKey) -> impl Iterator<Item = &Session> {
        let numbers = self.alive.get(&host).into_iter().flatten();
        numbers.filter_map(|number| self.by_number.get(number))
    }

    /// The hosts that have sessions, in the order of their keys.
    pub fn hosts(&self) -> impl Iterator<Item = HostKey> {
        self.by_host.keys().copied()
    }

    /// The hosts of whose sessions some went live or ended to be so since this was asked last.
    pub fn take_moved(&mut self) -> BTreeSet<HostKey> {
        core::mem::take(&mut self.moved)
    }

    /// Something else is to be said of where a host is alive.
    pub fn mark_moved(&mut self, host: HostKey) {
        self.moved.insert(host);
    }

    /// The sessions on a link.
    pub fn on_link(&self, link: LinkId) -> Vec<SessionNumber> {
        self.by_link.get(&link).into_iter().flatten().copied().collect()
    }

    /// How many sessions a link has.
    pub fn count_on_link(&self, link: LinkId) -> usize {
        self.by_link.get(&link).map_or(0, BTreeSet::len)
    }

    /// How many seats of a section are held.
    pub fn seats_held(&self, section: &SectionKey) -> usize {
        self.by_section.get(section).map_or(0, BTreeSet::len)
    }

    /// How many seats of a license are held, in whatever section.
    pub fn seats_held_of(&self, license: &LicenseId) -> usize {
        let sections = self.by_section.range((license.clone(), 0)..=(license.clone(), usize::MAX));
        sections.map(|(_, numbers)| numbers.len()).sum()
    }

    /// The sessions of a section, oldest first.
    pub fn in_section(&self, section: &SectionKey) -> impl DoubleEndedIterator<Item = &Session> {
        self.by_section
            .get(section)
            .into_iter()
            .flatten()
            .filter_map(|number| self.by_number.get(number))
    }

    /// The sessions of a license, section by section.
    pub fn of_license<'a>(&'a self, license: &'a LicenseId) -> impl Iterator<Item = &'a Session> {
        let sections = self.by_section.range((license.clone(), 0)..=(license.clone(), usize::MAX));
        sections.flat_map(|(_, numbers)| numbers).filter_map(|number| self.by_number.get(number))
    }

    /// All sessions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.by_number.values()
    }

    /// When the first reservation ends.
    pub fn first_end(&self) -> Option<Elapsed> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// A session whose reservation has ended by `now`.
    pub fn ended_by(&self, now: Elapsed) -> Option<SessionNumber> {
        self.ends.first().filter(|(until, _)| *until <= now).map(|(_, number)| *number)
    }
}

/// Takes `number` out of the set at `key`, and the set with its last member.
fn remove_from<K: Ord>(
    sets: &mut BTreeMap<K, BTreeSet<SessionNumber>>,
    key: &K,
    number: SessionNumber,
) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&number);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
