//! Login: whose seat a client gets, and how it gets it.

use alloc::{format, vec, vec::Vec};

use super::{
    Asker, MAX_DENIALS_KEPT, MAX_SESSIONS_PER_LINK, Node,
    append::Waiting,
    bad_request,
    event::{Denial, Event, SessionRecord},
    io::{Answer, Login, Note, Who},
    licenses::Installed,
    sessions::{Session, State},
    who,
};
use crate::{
    grant::{Grant, Marks},
    id::{HostKey, SessionId, SessionNumber},
    license::License,
    reason::{ReasonCode, Refusal},
    select::{Candidate, expiry, passphrase_opens, select},
    text::Name,
    time::Now,
};

/// How many denials go to the ledger between two reviews; more of them say nothing new, and a
/// flood must not fill the disk.
const MAX_DENIALS_WRITTEN: u32 = 100;

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

/// A seat of a license's section, and the session that holds it (zeros for a probe).
struct Seat<'a> {
    license: &'a License,
    index: usize,
    session: SessionId,
}

impl Node {
    pub(super) fn login(&mut self, now: Now, asker: Asker, login: Login, fresh: SessionId) {
        let Some(host) = self.host_of(asker.link) else { return };
        match self.place(asker, host, &login) {
            Placement::Refused(refusal) => self.deny(now, asker, &login, refusal),
            Placement::Resume(number) => self.resume(now, asker, number, &login),
            Placement::Contested(number) => self.park(now, asker, host, login, fresh, number),
            Placement::Open(predecessor) => self.open(now, asker, login, fresh, predecessor),
        }
    }

    /// Would there be a seat? Nothing changes, and no one is written down.
    pub(super) fn probe(&mut self, now: Now, asker: Asker, login: &Login) {
        let answer = match self.serves().and_then(|()| self.choose(now, login, None)) {
            Ok(choice) => {
                let seat = Seat {
                    license: choice.license,
                    index: choice.index,
                    session: SessionId([0; 16]),
                };
                Answer::Granted(self.offer(now, seat, &login.wanted.hardware))
            }
            Err(refusal) => Answer::Refused(refusal),
        };
        self.tell(asker, answer);
    }

    fn serves(&self) -> Result<(), Refusal> {
        if self.ready && !self.draining {
            Ok(())
        } else {
            Err(Refusal::new(ReasonCode::ServerDraining, "the server is about to stop."))
        }
    }

    pub(super) fn place(&self, asker: Asker, host: HostKey, login: &Login) -> Placement {
        if let Err(refusal) = self.may_login(asker, host, login) {
            return Placement::Refused(refusal);
        }
        let own = login.session.and_then(|id| self.sessions.find_by_id(id, host));
        if let Some(session) = own {
            return place_beside_own(asker, session, login);
        }
        match self.sessions.find_by_emulator(host, &login.emulator) {
            None => Placement::Open(None),
            Some(session) => place_beside(asker, session),
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
        if self.sessions.count_on_link(asker.link) >= MAX_SESSIONS_PER_LINK {
            let sentence =
                format!("one link carries at most {MAX_SESSIONS_PER_LINK} sessions; open another.");
            return Err(Refusal::new(ReasonCode::ServerBusy, sentence));
        }
        Ok(())
    }

    /// Gives a session back to the client that proved it is its own. Its seat was never free, so
    /// nothing has to be written.
    pub(super) fn resume(&mut self, now: Now, asker: Asker, number: SessionNumber, login: &Login) {
        match self.may_resume(now, number, login) {
            Err(refusal) => self.deny(now, asker, login, refusal),
            Ok(()) => {
                self.note_address(number, asker);
                self.go_live(now, asker, number, true);
            }
        }
    }

    fn may_resume(&self, now: Now, number: SessionNumber, login: &Login) -> Result<(), Refusal> {
        let session =
            self.sessions.find(number).ok_or_else(|| bad_request("the session has ended."))?;
        let mut asked = login.wanted.clone();
        asked.passphrase = None;
        if asked != session.record.wanted() {
            return Err(bad_request(
                "a session is resumed with the hardware, version, CPUs and memory of its login.",
            ));
        }
        let (license, section) = self.section_of(session)?;
        passphrase_opens(section, &login.wanted)?;
        self.may_go_on(now, license, session)
    }

    /// Opens a new session in the best section that has a seat.
    pub(super) fn open(
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
        };
        self.last_session += 1;
        self.commit(now, vec![Event::SessionOpened(record)], Waiting::Grant(asker));
    }

    fn choose(
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
                    .map(|index| self.candidate(now, license, index, predecessor)),
            );
        }
        if candidates.is_empty() {
            return Err(self.why_no_license());
        }
        select(&candidates, &login.wanted, self.time_mark.judged(now))
    }

    pub(super) fn candidate<'a>(
        &self,
        now: Now,
        license: &'a License,
        index: usize,
        predecessor: Option<SessionNumber>,
    ) -> Candidate<'a> {
        let key = (license.id.clone(), index);
        let inherited =
            predecessor.and_then(|number| self.sessions.find(number)).is_some_and(|session| {
                (&session.record.license_id, session.record.section) == (&key.0, index)
            });
        let held = self.sessions.seats_held(&key) - usize::from(inherited);
        let free = (license.sections[index].instances as usize).saturating_sub(held);
        Candidate {
            license,
            index,
            hours_left: self.remaining_ms(now, license) != Some(0),
            free_seats: u32::try_from(free).unwrap_or(u32::MAX),
        }
    }

    /// A new session is durable: its client is told, if it is still there.
    pub(super) fn admit(&mut self, now: Now, asker: Asker, number: SessionNumber) {
        if self.links.contains_key(&asker.link) {
            self.go_live(now, asker, number, false);
        } else {
            let until = self.reserved_until(number, now.elapsed);
            self.sessions.set_state(number, State::Left { until });
        }
        self.unpark_for(now, number);
    }

    fn go_live(&mut self, now: Now, asker: Asker, number: SessionNumber, returns: bool) {
        let Some(session) = self.sessions.find(number) else { return };
        let (who, was_live) = (who(session), matches!(session.state, State::Live(_)));
        let record = &session.record;
        // A license that was removed while the session was being written down revokes it next.
        let version =
            self.licenses.get(&record.license_id).map_or(0, |installed| installed.license.version);
        let meter_key = (record.license_id.clone(), version);
        if !was_live {
            self.meters.entry(meter_key).or_default().start(now.elapsed, returns);
        }
        self.sessions.set_state(number, State::Live(asker.link));
        self.note(Note::LoggedIn(who));
        self.grant(now, asker, number);
    }

    /// Tells a client what its session allows now.
    pub(super) fn grant(&mut self, now: Now, asker: Asker, number: SessionNumber) {
        let Some(Session { record, .. }) = self.sessions.find(number) else { return };
        let answer = match self.licenses.get(&record.license_id) {
            Some(Installed { license, .. }) => {
                let seat = Seat { license, index: record.section, session: record.id };
                Answer::Granted(self.offer(now, seat, &record.hardware))
            }
            None => Answer::Refused(self.why_no_license()),
        };
        self.tell(asker, answer);
    }

    fn note_address(&mut self, number: SessionNumber, asker: Asker) {
        if let Some(link) = self.links.get(&asker.link) {
            self.sessions.set_address(number, link.address.clone());
        }
    }

    /// What a seat in this section allows.
    fn offer(&self, now: Now, seat: Seat<'_>, hardware: &Name) -> Grant {
        let Seat { license, index, session } = seat;
        let section = &license.sections[index];
        let licensed_name =
            section.virtual_hardware.iter().find(|licensed| licensed.matches(hardware));
        Grant {
            session,
            license_id: license.id.clone(),
            customer: license.customer.clone(),
            product_code: section.code.clone(),
            virtual_hardware: licensed_name.unwrap_or(hardware).clone(),
            instances: section.instances,
            max_cpu: section.max_cpu,
            max_memory_mb: section.max_memory_mb,
            major: section.major,
            minor: section.minor,
            expires: expiry(license, section),
            remaining_ms: self.remaining_ms(now, license),
            grace_ms: license.grace_ms,
            check_interval_ms: license.check_interval_ms,
            lease_ms: license.lease_ms(self.settings.heartbeat_timeout_ms),
            marks: Marks {
                license_version: license.version,
                time: self.time_mark.mark(now),
                ledger_position: self.appends.durable_position(),
                hours_used_ms: self.used_ms(now, license),
            },
        }
    }

    /// Refuses a login, and remembers that.
    pub(super) fn deny(&mut self, now: Now, asker: Asker, login: &Login, refusal: Refusal) {
        let Some(link) = self.links.get(&asker.link) else { return };
        let denial = Denial {
            host: link.host,
            address: link.address.clone(),
            emulator: login.emulator.clone(),
            product: login.product.clone(),
            version: login.version().clone(),
            hardware: login.wanted.hardware.clone(),
            refusal: refusal.clone(),
        };
        let who = Who {
            hardware: denial.hardware.clone(),
            version: denial.version.clone(),
            address: denial.address.clone(),
            emulator: denial.emulator.clone(),
            session: None,
        };
        self.note(Note::Refused(who, refusal.clone()));
        self.remember_denial(now, denial);
        self.refuse(asker, refusal);
    }

    fn remember_denial(&mut self, now: Now, denial: Denial) {
        if self.denials.len() == MAX_DENIALS_KEPT {
            self.denials.pop_front();
        }
        self.denials.push_back((now.wall, denial.clone()));
        self.denials_in_review += 1;
        if self.denials_in_review <= MAX_DENIALS_WRITTEN {
            self.commit(now, vec![Event::Denied(denial)], Waiting::NoOne);
        }
    }
}

/// A login that names a session of its own host.
fn place_beside_own(asker: Asker, session: &Session, login: &Login) -> Placement {
    if session.record.emulator != login.emulator {
        return Placement::Refused(bad_request(
            "the session belongs to an emulator of another name.",
        ));
    }
    let number = session.record.number;
    match session.state {
        State::Left { .. } => Placement::Resume(number),
        State::Live(link) if link == asker.link => Placement::Resume(number),
        State::Live(_) | State::Opening => Placement::Contested(number),
        State::Held { .. } => Placement::Open(Some(number)),
        State::Closing => Placement::Open(None),
    }
}

/// A login of an emulator that has a session which the login does not know.
fn place_beside(asker: Asker, session: &Session) -> Placement {
    let number = session.record.number;
    match session.state {
        State::Left { .. } | State::Held { .. } => Placement::Open(Some(number)),
        State::Live(link) if link == asker.link => Placement::Refused(duplicate(session)),
        State::Live(_) | State::Opening => Placement::Contested(number),
        State::Closing => Placement::Open(None),
    }
}

/// The refusal for an emulator that runs already.
pub(super) fn duplicate(session: &Session) -> Refusal {
    let SessionRecord { emulator, address, .. } = &session.record;
    let sentence = format!("{emulator} already runs on this host, connected from {}.", address);
    Refusal::new(ReasonCode::DuplicateInstance, sentence)
}
