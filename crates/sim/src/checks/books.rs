//! The simulator's own books of what was promised to whom, kept from facts alone.

use std::collections::BTreeMap;

use ve_core::{
    client::io::Attempt,
    id::{LicenseId, SessionId},
    license::{Lease, License},
    node::io::{Answer, Note},
    reason::ReasonCode,
    text::Name,
    time::Elapsed,
};

pub(crate) use super::server_books::{AskBook, Place, ServerBook, SessionBook, lease_ms};
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
                book.keep_sessions(|id, _| known(id));
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
                self.servers[*server].ask(*link, *request, ask);
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
