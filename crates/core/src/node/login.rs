//! Login: whose seat a client gets, and how it gets it.

use alloc::{format, vec, vec::Vec};

use super::{
    Asker, MAX_SESSIONS_PER_LINK, Node,
    append::Waiting,
    bad_request,
    event::{Event, SessionRecord},
    io::Login,
    sessions::{Session, State},
};
use crate::{
    id::{HostKey, LinkId, RunId, SessionId, SessionNumber},
    license::{Lease, License},
    reason::{ReasonCode, Refusal},
    select::{Candidate, select},
    time::Now,
};

/// What a login comes down to.
pub(super) enum Placement {
    /// It is refused.
    Refused(Refusal),
    /// The client comes back to this session.
    Resume(SessionNumber),
    /// Someone else may still run under this session: it must be asked first.
    Contested(SessionNumber),
    /// A new session, which takes over its predecessor's seat if there is one.
    Open(Option<SessionNumber>),
}

impl Node {
    pub(super) fn login(&mut self, now: Now, asker: Asker, login: Login, fresh: SessionId) {
        let Some(host) = self.host_of(asker.link) else { return };
        self.hear_witnesses(now, &login.witnesses);
        let placement = self.place(asker, host, &login);
        let waiting = (asker, login, fresh);
        let Some((login, fresh)) = self.pass_host(now, waiting, &placement) else { return };
        match placement {
            Placement::Refused(refusal) => self.deny(now, asker, &login, refusal),
            Placement::Resume(number) => self.resume(now, asker, number, &login),
            Placement::Contested(number) => self.park(now, asker, host, login, fresh, number),
            Placement::Open(predecessor) => self.open(now, asker, login, fresh, predecessor),
        }
        // Whoever was let in as a guest and came to nothing after all.
        self.leave_instance(host);
    }

    pub(super) fn serves(&self) -> Result<(), Refusal> {
        if self.draining {
            Err(Refusal::new(ReasonCode::ServerDraining, "the server is about to stop."))
        } else if self.ready {
            Ok(())
        } else {
            Err(Refusal::new(ReasonCode::ServerBusy, "the server is starting; try again."))
        }
    }

    pub(super) fn place(&self, asker: Asker, host: HostKey, login: &Login) -> Placement {
        if let Err(refusal) = self.may_login(asker, host, login) {
            return Placement::Refused(refusal);
        }
        let own = login.session.and_then(|id| self.sessions.find_by_id(id, host));
        if own.is_some_and(|session| session.record.emulator != login.emulator) {
            return Placement::Refused(bad_request(
                "the session belongs to an emulator of another name.",
            ));
        }
        // Only the emulator's current session counts; one that is ending may have a successor.
        let Some(session) = self.sessions.find_by_emulator(host, &login.emulator) else {
            return Placement::Open(None);
        };
        if login.session == Some(session.record.id) {
            place_beside_own(asker, session, login)
        } else {
            place_beside(asker, session)
        }
    }

    fn may_login(&self, asker: Asker, host: HostKey, login: &Login) -> Result<(), Refusal> {
        self.serves()?;
        if self.blocked.get(&(host, login.emulator.clone())) == Some(&login.run) {
            return Err(Refusal::new(
                ReasonCode::ReleasedByAdministrator,
                format!(
                    "the administrator released {}; start it anew to run it again.",
                    login.emulator
                ),
            ));
        }
        let opening = self.links.get(&asker.link).map_or(0, |link| link.opening);
        if self.sessions.count_on_link(asker.link) + opening >= MAX_SESSIONS_PER_LINK {
            let sentence =
                format!("one link carries at most {MAX_SESSIONS_PER_LINK} sessions; open another.");
            return Err(Refusal::new(ReasonCode::ServerBusy, sentence));
        }
        Ok(())
    }

    /// Whether a login that has outwaited a silent session may have its seat.
    pub(super) fn would_take_over(
        &self,
        now: Now,
        asker: Asker,
        host: HostKey,
        login: &Login,
        number: SessionNumber,
    ) -> Result<(), Refusal> {
        self.may_login(asker, host, login)?;
        self.may_take_over(now, login, number)?;
        self.host_would_pass(now, asker, login, number)
    }

    /// Whether the rules of the licenses would let a login have the seat of this session.
    pub(super) fn may_take_over(
        &self,
        now: Now,
        login: &Login,
        number: SessionNumber,
    ) -> Result<(), Refusal> {
        match self.sessions.find(number) {
            Some(session) if resumes(session, login) => self.may_resume(now, number, login),
            _ => self.choose(now, login, Some(number)).map(drop),
        }
    }

    /// Gives a session back to the client that proved it is its own. Its seat was never free, so
    /// nothing has to be written. A client that has used up the hours while it was away is refused,
    /// and its session revoked like every other of the license: its grace period goes on.
    fn resume(&mut self, now: Now, asker: Asker, number: SessionNumber, login: &Login) {
        if let Err(refusal) = self.may_resume(now, number, login) {
            return self.deny(now, asker, login, refusal);
        }
        if let Err(refusal) = self.charge_absence(now, number) {
            return self.deny(now, asker, login, refusal);
        }
        if let Some(link) = self.links.get(&asker.link) {
            self.sessions.set_address(number, link.address.clone());
        }
        self.note_facts(number, login.facts.as_ref());
        self.go_live(now, asker, number);
    }

    pub(super) fn may_resume(
        &self,
        now: Now,
        number: SessionNumber,
        login: &Login,
    ) -> Result<(), Refusal> {
        let session =
            self.sessions.find(number).ok_or_else(|| bad_request("the session has ended."))?;
        if !resumes(session, login) {
            return Err(bad_request(
                "this session runs on this link, with another run, hardware, version or size.",
            ));
        }
        let (license, _) = self.section_of(session)?;
        self.may_go_on(now, license, session)
    }

    /// Opens a new session in the best section that has a seat.
    fn open(
        &mut self,
        now: Now,
        asker: Asker,
        login: Login,
        fresh: SessionId,
        predecessor: Option<SessionNumber>,
    ) {
        let Some(link) = self.links.get(&asker.link) else { return };
        let (host, address) = (link.host, link.address.clone());
        let choice = match self.choose(now, &login, predecessor) {
            Ok(choice) => choice,
            Err(refusal) => return self.deny(now, asker, &login, refusal),
        };
        let started = self.meter_begins(now, choice.license, predecessor);
        let (lease_ms, through_grace) = self.promised_to(login.run, choice.license, predecessor);
        let facts = login.facts;
        let record = SessionRecord {
            number: SessionNumber(self.last_session + 1),
            id: fresh,
            host,
            run: login.run,
            emulator: login.emulator,
            product: login.product,
            version: login.wanted.version,
            hardware: login.wanted.hardware,
            cpus: login.wanted.cpus,
            memory_mb: login.wanted.memory_mb,
            license_id: choice.license.id.clone(),
            section: choice.index,
            product_code: choice.license.sections[choice.index].code.clone(),
            address,
            since: now.wall,
            replaces: predecessor,
            promised_lease_ms: lease_ms,
            promised_grace: through_grace,
        };
        self.last_session += 1;
        self.count_login_begun(asker.link);
        let mut events = vec![Event::SessionOpened(record)];
        events.extend(started);
        if let Some(registered) = self.hosts.take_announcement(host) {
            events.push(registered);
            events.extend(self.homed_now());
        }
        let number = SessionNumber(self.last_session);
        self.commit(now, events, Waiting::Grant(asker));
        self.note_facts(number, facts.as_ref());
    }

    /// For how long a new session's seat is promised, in milliseconds, and whether through grace: as
    /// its license says, and at least as its predecessor was if that is the same program's. It runs on
    /// under the old promise until it has heard of the new session, which it may never do.
    fn promised_to(
        &self,
        run: RunId,
        license: &License,
        predecessor: Option<SessionNumber>,
    ) -> (u64, bool) {
        let lease_ms = license.lease_ms(self.settings.heartbeat_timeout_ms);
        let through_grace = license.lease == Lease::Grace;
        let before = predecessor.and_then(|number| self.sessions.find(number));
        match before.map(|session| &session.record).filter(|record| record.run == run) {
            Some(record) => {
                (lease_ms.max(record.promised_lease_ms), through_grace || record.promised_grace)
            }
            None => (lease_ms, through_grace),
        }
    }

    pub(super) fn count_login_begun(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.opening += 1;
        }
    }

    pub(super) fn count_login_decided(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.opening = link.opening.saturating_sub(1);
        }
    }

    pub(super) fn choose(
        &self,
        now: Now,
        login: &Login,
        predecessor: Option<SessionNumber>,
    ) -> Result<Candidate<'_>, Refusal> {
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        for installed in self.licenses.values().filter(|installed| installed.may_be_chosen()) {
            let license = &installed.license;
            candidates.extend(
                (0..license.sections.len())
                    .map(|index| self.seat_for(now, login, license, index, predecessor)),
            );
        }
        if candidates.is_empty() {
            return Err(self.why_no_license());
        }
        let choice = select(&candidates, &login.wanted, self.time_mark.judged(now))?;
        // A license is judged at every review; until the next one, its verdict stands.
        self.licenses[&choice.license.id].standing.clone()?;
        Ok(choice)
    }

    /// What a section offers to a login, which takes over its predecessor's seat if that is there.
    fn seat_for<'a>(
        &self,
        now: Now,
        login: &Login,
        license: &'a License,
        index: usize,
        predecessor: Option<SessionNumber>,
    ) -> Candidate<'a> {
        if self.counts_hosts(license) {
            // Its host's instance is the seat, and is judged apart.
            return Candidate { free_seats: u32::MAX, ..self.candidate(now, license, index) };
        }
        let section = (license.id.clone(), index);
        let before = predecessor.and_then(|number| self.sessions.find(number));
        let before = before.map(|session| &session.record);
        let before = before.filter(|record| record.license_id == license.id);
        let inherited = before.filter(|record| record.section == index).map(|record| record.number);
        let held = self.sessions.seats_held(&section) - usize::from(inherited.is_some());
        let mut free = (license.sections[index].instances as usize).saturating_sub(held);
        if license.lease == Lease::Grace {
            // An update may have taken away the section of a client that runs on.
            let held = self.sessions.seats_held_of(&license.id) - usize::from(before.is_some());
            let instances = license.sections.iter().map(|section| section.instances as usize);
            free = free.min(instances.sum::<usize>().saturating_sub(held));
        }
        Candidate {
            free_seats: u32::try_from(free).unwrap_or(u32::MAX),
            holders_unknown_ms: self.must_wait_ms(now, login, license, inherited),
            ..self.candidate(now, license, index)
        }
    }

    /// A section beside its license, for a session that has its seat.
    pub(super) fn candidate<'a>(
        &self,
        now: Now,
        license: &'a License,
        index: usize,
    ) -> Candidate<'a> {
        let hours_left = self.remaining_ms(now, license) != Some(0);
        Candidate { license, index, hours_left, free_seats: 0, holders_unknown_ms: None }
    }
}

/// A login that names the session that its emulator has.
fn place_beside_own(asker: Asker, session: &Session, login: &Login) -> Placement {
    let number = session.record.number;
    match session.state {
        State::Left { .. } if resumes(session, login) => Placement::Resume(number),
        State::Live(link) if link == asker.link => Placement::Resume(number),
        State::Live(_) | State::Opening => Placement::Contested(number),
        State::Left { .. } | State::Held { .. } | State::Closing => Placement::Open(Some(number)),
    }
}

/// A login of an emulator that has a session which the login does not name.
fn place_beside(asker: Asker, session: &Session) -> Placement {
    let number = session.record.number;
    match session.state {
        State::Live(link) if link == asker.link => Placement::Refused(duplicate(session)),
        State::Live(_) | State::Opening => Placement::Contested(number),
        // An ending session's seat is nobody else's until that is durable: its successor may have it.
        State::Left { .. } | State::Held { .. } | State::Closing => Placement::Open(Some(number)),
    }
}

/// Whether a login is the same program's that opened the session, for the same seat. Another run, or
/// one that asks for something else, gets a new session in its place. The passphrase was proven when
/// the session was opened; a license update that changes it does not shut out who runs already.
fn resumes(session: &Session, login: &Login) -> bool {
    let mut asked = login.wanted.clone();
    asked.passphrase = None;
    let record = &session.record;
    login.session == Some(record.id) && login.run == record.run && asked == record.wanted()
}

/// The refusal for an emulator that runs already.
pub(super) fn duplicate(session: &Session) -> Refusal {
    let SessionRecord { emulator, address, .. } = &session.record;
    let sentence = format!("{emulator} already runs on this host, connected from {address}.");
    Refusal::new(ReasonCode::DuplicateInstance, sentence)
}
