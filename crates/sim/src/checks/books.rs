//! The simulator's own books of what was promised to whom, kept from facts alone.

use std::collections::BTreeMap;

use ve_core::{
    client::io::Attempt,
    id::{HostKey, LicenseId, LinkId, RunId, SessionId, SessionNumber},
    license::{Lease, License},
    node::{
        event::{Event, Record, SessionRecord},
        io::{Answer, Ask, Note, RequestId},
    },
    reason::ReasonCode,
    text::Name,
    time::Elapsed,
};
use ve_wire::limits::HEARTBEAT_TIMEOUT_MS;

use super::{grace::GraceBook, host_books::HostBooks};
use crate::{clock::At, fact::Fact};

/// What is known of everything.
pub(crate) struct Books {
    pub(crate) servers: Vec<ServerBook>,
    pub(crate) clients: Vec<ClientBook>,
    /// What the vendor has written: every version of every license.
    pub(crate) issued: BTreeMap<(LicenseId, u32), License>,
    /// What is known of hosts.
    pub(crate) hosts: HostBooks,
}

/// What is known of a server.
#[derive(Default)]
pub(crate) struct ServerBook {
    pub(crate) ready: bool,
    pub(crate) sessions: BTreeMap<SessionId, SessionBook>,
    numbers: BTreeMap<SessionNumber, SessionId>,
    pub(crate) links: BTreeMap<LinkId, (HostKey, usize)>,
    /// What is asked and not answered.
    pub(crate) asked: BTreeMap<(LinkId, RequestId), Ask>,
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

/// What a guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum GuestBook {
    #[default]
    None,
    Runs,
    Asked,
    Stopped,
}

/// Where a seat is: server, license, product code.
pub(crate) type SeatName = (usize, LicenseId, Name);

/// A seat that a connection carries, and the grace period that its license gives.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    seat: SeatName,
    grace_ms: u64,
}

/// What is known of an emulator.
#[derive(Default)]
pub(crate) struct ClientBook {
    pub(crate) guest: GuestBook,
    pub(crate) asleep: bool,
    pub(crate) stop_wanted: bool,
    /// The connections that carry a license.
    pub(crate) holds: BTreeMap<Attempt, Held>,
    /// The seat that it runs on, or ran on last.
    pub(crate) on: Option<SeatName>,
    /// The session that was promised its seat until its emulator can't be running any more, and the
    /// seat; no grant of a later version takes that back.
    promised: Option<(SeatName, SessionId)>,
    pub(crate) grace: GraceBook,
    pub(crate) last_refusal: Option<ReasonCode>,
    /// The administrator has released this run: it must be started anew.
    pub(crate) released: bool,
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

    fn revoke(&mut self, now: Elapsed) {
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

    pub(crate) fn is_of(&self, host: HostKey, emulator: &Name) -> bool {
        self.host == host && self.emulator == *emulator
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

impl Books {
    pub(crate) fn new(servers: usize, place_of: Vec<usize>) -> Self {
        Self {
            servers: (0..servers).map(|_| ServerBook::default()).collect(),
            clients: place_of.iter().map(|_| ClientBook::default()).collect(),
            issued: BTreeMap::new(),
            hosts: HostBooks::new(place_of),
        }
    }

    /// The terms that a grant was given under.
    pub(crate) fn terms(&self, id: &LicenseId, version: u32) -> Option<&License> {
        self.issued.get(&(id.clone(), version))
    }

    pub(crate) fn take(&mut self, at: At, fact: &Fact<'_>) {
        self.take_server_fact(at, fact);
        self.take_session_fact(fact);
        self.take_client_fact(fact);
        if let Fact::Answered { server, link, answer, .. } = fact
            && let Some(host) = self.host_of(*server, *link)
        {
            self.hosts.grant(at, *server, host, answer);
        }
        self.hosts.take(at, fact);
    }

    fn take_server_fact(&mut self, at: At, fact: &Fact<'_>) {
        match fact {
            Fact::ServerReady { server, now } => self.servers[*server].begin(now.elapsed),
            Fact::ServerStopped { server, .. } => self.servers[*server].stop(),
            Fact::LedgerReplaced { server, remembered } => {
                let book = &mut self.servers[*server];
                book.replaced_at = Some(at);
                let known = |id: &SessionId| remembered.sessions.iter().any(|open| open.id == *id);
                book.sessions.retain(|id, _| known(id));
            }
            Fact::Installed { server, license, .. } => {
                let key = (license.id.clone(), license.version);
                self.issued.entry(key).or_insert_with(|| (*license).clone());
                self.servers[*server].installed.insert(license.id.clone(), license.version);
            }
            Fact::Removed { server, id, .. } => {
                self.servers[*server].installed.remove(*id);
            }
            Fact::LinkOpened { server, link, host, client } => {
                self.servers[*server].links.insert(*link, (*host, *client));
            }
            Fact::LinkClosed { server, link, last_heard, .. } => {
                self.servers[*server].close_link(*link, *last_heard);
            }
            _ => {}
        }
    }

    fn take_session_fact(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::Asked { server, link, request, ask, .. } => {
                let host = self.servers[*server].links.get(link).map(|(host, _)| *host);
                self.servers[*server].ask(host, ask);
                self.servers[*server].asked.insert((*link, *request), (*ask).clone());
            }
            Fact::Appending { server, records, .. } => self.servers[*server].append(records),
            Fact::Written { server, records } => self.servers[*server].forget_closed(records),
            Fact::Revoking { server, session, now, .. } => {
                if let Some(session) = self.servers[*server].sessions.get_mut(session) {
                    session.revoke(now.elapsed);
                }
            }
            Fact::Noted { server, note: Note::Revoked(who, _), now } => {
                if let Some(number) = who.session {
                    self.servers[*server].with_number(number, |it| it.revoke(now.elapsed));
                }
            }
            Fact::Answered { server, link, request, answer, .. } => {
                self.servers[*server].asked.remove(&(*link, *request));
                if let Answer::Granted(grant) = answer {
                    let version = grant.marks.license_version;
                    let terms = self.issued.get(&(grant.license_id.clone(), version));
                    self.servers[*server].grant(*link, grant.session, &grant.product_code, terms);
                }
            }
            _ => {}
        }
    }

    fn take_client_fact(&mut self, fact: &Fact<'_>) {
        let client = match fact {
            Fact::ProgramStarted { client } => {
                let asleep = self.clients[*client].asleep;
                self.clients[*client] = ClientBook { asleep, ..ClientBook::default() };
                return;
            }
            Fact::Granted { client, server, attempt, grant, .. } => {
                let book = &mut self.clients[*client];
                let terms = (grant.license_id.clone(), grant.marks.license_version);
                let license = self.issued.get(&terms);
                let grace_ms = license.map_or(0, |license| license.grace_ms);
                let through_grace = license.is_some_and(|license| license.lease == Lease::Grace);
                let seat = (*server, grant.license_id.clone(), grant.product_code.clone());
                book.grace.granted(grace_ms);
                book.holds.insert(*attempt, Held { seat: seat.clone(), grace_ms });
                let known = book.promised.as_ref().is_some_and(|(_, id)| *id == grant.session);
                if through_grace || !known {
                    book.promised = through_grace.then(|| (seat.clone(), grant.session));
                }
                book.on = Some(seat);
                return;
            }
            Fact::LinkLost { client, .. }
            | Fact::GaveUp { client, .. }
            | Fact::LoggingOut { client, .. }
            | Fact::Refused { client, .. }
            | Fact::Revoked { client, .. }
            | Fact::GuestStarted { client }
            | Fact::GuestAskedToShutDown { client, .. }
            | Fact::GuestStopped { client, .. }
            | Fact::GuestEnded { client }
            | Fact::StopWanted { client }
            | Fact::HostSleeps { client }
            | Fact::HostWakes { client } => *client,
            _ => return,
        };
        self.clients[client].take(fact);
    }
}

impl ServerBook {
    fn begin(&mut self, now: Elapsed) {
        self.ready = true;
        for session in self.sessions.values_mut() {
            session.place = Place::Left(now);
        }
    }

    fn stop(&mut self) {
        self.ready = false;
        self.links.clear();
        self.asked.clear();
        // Nobody knows whether what was not confirmed was written.
        self.sessions.retain(|_, session| session.was_granted());
        self.sessions.values_mut().for_each(|session| session.place = Place::Unknown);
    }

    fn close_link(&mut self, link: LinkId, last_heard: Elapsed) {
        self.links.remove(&link);
        self.asked.retain(|(asker, _), _| *asker != link);
        for session in self.sessions.values_mut() {
            if session.place == Place::On(link) {
                session.place = Place::Left(last_heard);
            }
        }
    }

    /// A logout, or another login of the same emulator, may end a session at any moment from now on.
    fn ask(&mut self, host: Option<HostKey>, ask: &Ask) {
        for (id, session) in &mut self.sessions {
            match ask {
                Ask::Logout(session_id) if id == session_id => session.standing = Standing::Ending,
                Ask::Login { login, .. }
                    if host.is_some_and(|host| session.is_of(host, &login.emulator))
                        && (login.session != Some(*id) || login.run != session.run) =>
                {
                    session.standing = Standing::Ending;
                }
                _ => {}
            }
        }
    }

    fn append(&mut self, records: &[Record]) {
        for record in records {
            match &record.event {
                Event::SessionOpened(opened) => {
                    self.numbers.insert(opened.number, opened.id);
                    self.sessions.entry(opened.id).or_insert_with(|| SessionBook::new(opened));
                }
                Event::SessionClosed { number, .. } => {
                    self.with_number(*number, |session| session.standing = Standing::Ending);
                }
                _ => {}
            }
        }
    }

    /// Sessions whose end is durable are over.
    fn forget_closed(&mut self, records: &[Record]) {
        for record in records {
            let over = match &record.event {
                Event::SessionClosed { number, .. } => Some(*number),
                Event::SessionOpened(opened) => opened.replaces,
                _ => None,
            };
            if let Some(id) = over.and_then(|number| self.numbers.remove(&number)) {
                self.sessions.remove(&id);
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

    fn with_number(&mut self, number: SessionNumber, change: impl FnOnce(&mut SessionBook)) {
        let id = self.numbers.get(&number);
        if let Some(session) = id.and_then(|id| self.sessions.get_mut(id)) {
            change(session);
        }
    }

    fn grant(&mut self, link: LinkId, id: SessionId, code: &Name, terms: Option<&License>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.standing = Standing::Granted;
        session.place = Place::On(link);
        session.product_code = code.clone();
        if let Some(license) = terms {
            session.lease_ms = session.lease_ms.max(lease_ms(license));
            session.through_grace |= license.lease == Lease::Grace;
        }
    }
}

impl ClientBook {
    fn take(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::LinkLost { attempt, proven, .. } => self.drop_license(*attempt, *proven),
            Fact::GaveUp { attempt, now, .. } | Fact::LoggingOut { attempt, now, .. } => {
                self.drop_license(*attempt, now.elapsed);
            }
            Fact::Refused { attempt, refusal, now, .. }
            | Fact::Revoked { attempt, refusal, now, .. } => {
                self.last_refusal = Some(refusal.code);
                self.released |= refusal.code == ReasonCode::ReleasedByAdministrator;
                self.drop_license(*attempt, now.elapsed);
            }
            Fact::GuestStarted { .. } => self.guest = GuestBook::Runs,
            Fact::GuestAskedToShutDown { .. } => self.guest = GuestBook::Asked,
            Fact::GuestStopped { .. } => self.guest = GuestBook::Stopped,
            Fact::GuestEnded { .. } => self.guest = GuestBook::None,
            Fact::StopWanted { .. } => self.stop_wanted = true,
            Fact::HostSleeps { .. } => self.asleep = true,
            Fact::HostWakes { .. } => self.asleep = false,
            _ => {}
        }
    }

    /// A connection carries no license any more; with the last one the grace period begins.
    fn drop_license(&mut self, attempt: Attempt, when: Elapsed) {
        if self.holds.remove(&attempt).is_none() {
            return;
        }
        match self.holds.values().next_back() {
            Some(other) => {
                self.on = Some(other.seat.clone());
                self.grace.granted(other.grace_ms);
            }
            None => self.grace.lost(when),
        }
    }

    /// Whether the guest is there, and its host awake.
    /// Whether it runs on a seat that is reserved for it until it can't run any more. Who got its seat
    /// before the license promised that has no part in it.
    pub(crate) fn runs_with_promise(&self, seat: &SeatName) -> bool {
        let on = |(promised, _): &(SeatName, SessionId)| promised == seat;
        self.runs() && self.on.as_ref() == Some(seat) && self.promised.as_ref().is_some_and(on)
    }

    pub(crate) fn runs(&self) -> bool {
        self.guest != GuestBook::None && !self.asleep
    }
}
