//! The simulator's own books of a server: its sessions, its links, and what it is asked.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    id::{HostKey, LicenseId, LinkId, RunId, SessionId, SessionNumber},
    license::{Lease, License},
    node::{
        event::{Event, Record, SessionRecord},
        io::{Ask, RequestId},
    },
    registry::PlatformIdentity,
    text::Name,
    time::Elapsed,
};
use ve_wire::limits::HEARTBEAT_TIMEOUT_MS;

use crate::clock::At;

/// What is known of a server.
#[derive(Default)]
pub(crate) struct ServerBook {
    pub(crate) ready: bool,
    pub(crate) sessions: BTreeMap<SessionId, SessionBook>,
    numbers: BTreeMap<SessionNumber, SessionId>,
    /// Where to look for the sessions of a host, and for those on a link; some may be gone from there.
    by_host: BTreeMap<HostKey, BTreeSet<SessionId>>,
    by_link: BTreeMap<LinkId, BTreeSet<SessionId>>,
    pub(crate) links: BTreeMap<LinkId, (HostKey, usize)>,
    /// What is asked and not answered.
    pub(crate) asked: BTreeMap<(LinkId, RequestId), AskBook>,
    /// The version that is installed now.
    pub(crate) installed: BTreeMap<LicenseId, u32>,
    /// The ledger comes from a backup or from nothing since then.
    pub(crate) replaced_at: Option<At>,
}

/// What is known of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionBook {
    pub(crate) number: SessionNumber,
    pub(crate) host: HostKey,
    pub(crate) run: RunId,
    pub(crate) emulator: Name,
    pub(crate) license_id: LicenseId,
    pub(crate) product_code: Name,
    /// Where it is on: a link, or nowhere since then (by the server's boot clock).
    pub(crate) place: Place,
    /// The longest that was promised, in milliseconds.
    pub(crate) lease_ms: u64,
    pub(crate) through_grace: bool,
    standing: Standing,
}

/// Whether a session is its holder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was opened, and its client was not told yet.
    Opened,
    /// Its client was told of it: a grant has left the node.
    Granted,
    /// It was taken back; its seat may stay reserved.
    Revoked,
    /// Its end was asked for or decided.
    Ending,
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not granted on any link of this run of the server.
    Unknown,
    On(LinkId),
    Left(Elapsed),
}

/// What of a question is of interest until it is answered.
#[derive(Debug, Clone)]
pub(crate) enum AskBook {
    Login {
        run: RunId,
        /// The session that it comes back to.
        session: Option<SessionId>,
        /// What the server believes that the host's provider says of it.
        identity: Option<PlatformIdentity>,
    },
    Other,
}

impl AskBook {
    pub(super) fn of(ask: &Ask) -> Self {
        let Ask::Login { login, .. } = ask else { return Self::Other };
        let facts = login.facts.as_ref();
        let identity = facts.and_then(|facts| facts.identity.as_deref()).cloned();
        Self::Login { run: login.run, session: login.session, identity }
    }

    pub(crate) fn is_login(&self) -> bool {
        matches!(self, Self::Login { .. })
    }

    /// Whether this session is what it comes back to.
    pub(crate) fn comes_back_to(&self, granted: SessionId) -> bool {
        matches!(self, Self::Login { session: Some(session), .. } if *session == granted)
    }
}

impl SessionBook {
    fn new(record: &SessionRecord) -> Self {
        Self {
            number: record.number,
            host: record.host,
            run: record.run,
            emulator: record.emulator.clone(),
            license_id: record.license_id.clone(),
            product_code: record.product_code.clone(),
            place: Place::Unknown,
            lease_ms: 0,
            through_grace: false,
            standing: Standing::Opened,
        }
    }

    pub(super) fn revoke(&mut self, now: Elapsed) {
        if self.standing == Standing::Granted {
            self.standing = Standing::Revoked;
        }
        if let Place::On(_) = self.place {
            self.place = Place::Left(now);
        }
    }

    /// Whether it is its holder's without any doubt.
    pub(crate) fn holds(&self) -> bool {
        self.standing == Standing::Granted
    }

    /// Whether its client was told of it.
    pub(crate) fn was_granted(&self) -> bool {
        self.standing != Standing::Opened
    }

    /// Whether its lease was over at `now` (by the server's boot clock).
    pub(crate) fn lease_is_over(&self, now: Elapsed) -> bool {
        matches!(self.place, Place::Left(heard) if now >= heard.plus_ms(self.lease_ms))
    }

    /// Whether its seat must not be anybody else's at `now`.
    pub(crate) fn blocks_seat(&self, now: Elapsed) -> bool {
        let kept = self.holds() || (self.standing == Standing::Revoked && self.through_grace);
        kept && !self.lease_is_over(now)
    }
}

/// How long a license reserves a seat, in milliseconds: the rule of the vendor's page, not the
/// code's.
pub(crate) fn lease_ms(license: &License) -> u64 {
    match license.lease {
        Lease::For(lease_ms) => lease_ms,
        Lease::Grace => (u64::from(HEARTBEAT_TIMEOUT_MS) + license.grace_ms) * 101 / 100,
    }
}

impl ServerBook {
    pub(super) fn begin(&mut self, now: Elapsed) {
        self.ready = true;
        for session in self.sessions.values_mut() {
            session.place = Place::Left(now);
        }
    }

    pub(super) fn stop(&mut self) {
        self.ready = false;
        self.links.clear();
        self.asked.clear();
        self.by_link.clear();
        // Nobody knows whether what was not confirmed was written.
        self.keep_sessions(|_, session| session.was_granted());
        self.sessions.values_mut().for_each(|session| session.place = Place::Unknown);
    }

    /// Forgets every session that is not to be kept.
    pub(super) fn keep_sessions(&mut self, keep: impl Fn(&SessionId, &SessionBook) -> bool) {
        self.sessions.retain(|id, session| keep(id, session));
        self.by_host.clear();
        for (id, session) in &self.sessions {
            self.by_host.entry(session.host).or_default().insert(*id);
        }
    }

    /// The sessions of a host.
    pub(crate) fn sessions_of(
        &self,
        host: HostKey,
    ) -> impl Iterator<Item = (&SessionId, &SessionBook)> {
        let ids = self.by_host.get(&host).into_iter().flatten();
        ids.filter_map(|id| self.sessions.get_key_value(id))
    }

    pub(super) fn close_link(&mut self, link: LinkId, last_heard: Elapsed) {
        self.links.remove(&link);
        let asked = self.asked.range((link, 0)..=(link, RequestId::MAX));
        for key in asked.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.asked.remove(&key);
        }
        for id in self.by_link.remove(&link).unwrap_or_default() {
            if let Some(session) = self.sessions.get_mut(&id)
                && session.place == Place::On(link)
            {
                session.place = Place::Left(last_heard);
            }
        }
    }

    /// A logout, or another login of the same emulator, may end a session at any moment from now on.
    pub(super) fn ask(&mut self, link: LinkId, request: RequestId, ask: &Ask) {
        let host = self.links.get(&link).map(|(host, _)| *host);
        self.asked.insert((link, request), AskBook::of(ask));
        match ask {
            Ask::Logout(id) => {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.standing = Standing::Ending;
                }
            }
            Ask::Login { login, .. } => {
                let ids = host.and_then(|host| self.by_host.get(&host));
                for id in ids.into_iter().flatten() {
                    if let Some(session) = self.sessions.get_mut(id)
                        && session.emulator == login.emulator
                        && (login.session != Some(*id) || login.run != session.run)
                    {
                        session.standing = Standing::Ending;
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn append(&mut self, records: &[Record]) {
        for record in records {
            match &record.event {
                Event::SessionOpened(opened) => {
                    self.numbers.insert(opened.number, opened.id);
                    self.sessions.entry(opened.id).or_insert_with(|| SessionBook::new(opened));
                    self.by_host.entry(opened.host).or_default().insert(opened.id);
                }
                Event::SessionClosed { number, .. } => {
                    self.with_number(*number, |session| session.standing = Standing::Ending);
                }
                _ => {}
            }
        }
    }

    /// Sessions whose end is durable are over.
    pub(super) fn forget_closed(&mut self, records: &[Record]) {
        for record in records {
            let over = match &record.event {
                Event::SessionClosed { number, .. } => Some(*number),
                Event::SessionOpened(opened) => opened.replaces,
                _ => None,
            };
            if let Some(id) = over.and_then(|number| self.numbers.remove(&number)) {
                self.forget(id);
            }
        }
    }

    fn forget(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else { return };
        if let Some(ids) = self.by_host.get_mut(&session.host) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_host.remove(&session.host);
            }
        }
    }

    /// The session of this number.
    pub(crate) fn id_of(&self, number: SessionNumber) -> Option<SessionId> {
        self.numbers.get(&number).copied()
    }

    pub(crate) fn by_number(&self, number: SessionNumber) -> Option<&SessionBook> {
        self.sessions.get(self.numbers.get(&number)?)
    }

    pub(super) fn with_number(
        &mut self,
        number: SessionNumber,
        change: impl FnOnce(&mut SessionBook),
    ) {
        let id = self.numbers.get(&number);
        if let Some(session) = id.and_then(|id| self.sessions.get_mut(id)) {
            change(session);
        }
    }

    pub(super) fn grant(
        &mut self,
        link: LinkId,
        id: SessionId,
        code: &Name,
        terms: Option<&License>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.standing = Standing::Granted;
        session.place = Place::On(link);
        self.by_link.entry(link).or_default().insert(id);
        session.product_code = code.clone();
        if let Some(license) = terms {
            session.lease_ms = session.lease_ms.max(lease_ms(license));
            session.through_grace |= license.lease == Lease::Grace;
        }
    }
}
