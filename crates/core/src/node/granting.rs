//! Granting: what a client is told that it may do, once its seat is durably its own.

use alloc::{boxed::Box, vec};

use super::{
    Asker, Node, Overtaken,
    append::Waiting,
    event::{CloseCause, Event, SessionRecord},
    io::{Answer, Login, Note},
    licenses::Installed,
    sessions::{Session, State},
    who,
};
use crate::{
    grant::{Grant, Marks},
    id::{SessionId, SessionNumber},
    license::{Lease, License},
    reason::Refusal,
    select::expiry,
    text::Name,
    time::Now,
};

/// A seat of a license's section, and the session that holds it (zeros for a probe).
struct Seat<'a> {
    license: &'a License,
    index: usize,
    session: SessionId,
}

impl Node {
    /// Would there be a seat? Nothing changes, and no one is written down. An emulator that has a
    /// seat is told of its own.
    pub(super) fn probe(&mut self, now: Now, asker: Asker, login: &Login) {
        let Some(host) = self.host_of(asker.link) else { return };
        let own = self.sessions.find_by_emulator(host, &login.emulator);
        let own = own.map(|session| session.record.number);
        let choice = self.serves().and_then(|()| self.choose(now, login, own));
        let choice = choice.and_then(|choice| {
            self.host_would_be_served(now, asker, login, choice.license).map(|()| choice)
        });
        let answer = match choice {
            Ok(choice) => {
                let session = SessionId([0; SessionId::LENGTH]);
                let seat = Seat { license: choice.license, index: choice.index, session };
                let home = self.home_under(choice.license, host);
                let hardware = &login.wanted.hardware;
                Answer::Granted(Grant { home, ..self.offer(now, &seat, hardware) })
            }
            Err(refusal) => Answer::Refused(refusal),
        };
        self.tell(asker, answer);
    }

    /// A new session is durable: its client is told, if it is still there and nothing has taken the
    /// session back meanwhile.
    pub(super) fn admit(&mut self, now: Now, asker: Asker, record: &SessionRecord) {
        let number = record.number;
        if !self.overtaken.contains_key(&number)
            && let Err(refusal) = self.host_may_go_on(now, record.host, &record.license_id)
        {
            self.overtake(now, number, refusal);
        }
        if let Some(overtaken) = self.overtaken.remove(&number) {
            return self.take_back(now, asker, record, overtaken);
        }
        if self.links.contains_key(&asker.link) {
            self.go_live(now, asker, number);
        } else {
            let until = self.reserved_until(number, now.elapsed);
            self.sessions.set_state(number, State::Left { since: now.elapsed, until });
        }
        self.unpark(now, &(record.host, record.emulator.clone()));
    }

    /// A session is durable and was revoked already.
    fn take_back(
        &mut self,
        now: Now,
        asker: Asker,
        record: &SessionRecord,
        Overtaken { refusal, held_until }: Overtaken,
    ) {
        let number = record.number;
        if let Some(until) = held_until {
            self.sessions.set_state(number, State::Held { until });
        } else {
            let cause = CloseCause::Revoked(refusal.code);
            self.commit(now, vec![Event::SessionClosed { number, cause }], Waiting::NoOne);
        }
        self.turn_away(now, asker, record, refusal);
    }

    /// A session came to nothing before its client was told of it.
    pub(super) fn turn_away(
        &mut self,
        now: Now,
        asker: Asker,
        record: &SessionRecord,
        refusal: Refusal,
    ) {
        self.deny_opened(now, asker, record, refusal);
        self.unpark(now, &(record.host, record.emulator.clone()));
    }

    /// Puts a session on a link and tells its client.
    pub(super) fn go_live(&mut self, now: Now, asker: Asker, number: SessionNumber) {
        let Some(session) = self.sessions.find(number) else { return };
        let (who, before) = (who(session), session.state);
        if !matches!(before, State::Live(_)) {
            self.start_meter(now, number);
        }
        self.confirm_holder(number);
        self.sessions.set_state(number, State::Live(asker.link));
        self.note(Note::LoggedIn(who));
        self.grant(now, asker, number);
    }

    /// Tells a client what its session allows now. A grant that promises its seat for longer than any
    /// before is written down first: whatever is installed after a restart, the seat stays reserved.
    pub(super) fn grant(&mut self, now: Now, asker: Asker, number: SessionNumber) {
        self.charge(now, number);
        let Some(session) = self.sessions.find(number) else { return };
        let record = &session.record;
        let Some(Installed { license, .. }) = self.licenses.get(&record.license_id) else {
            return self.tell(asker, Answer::Refused(self.why_no_license()));
        };
        let seat = Seat { license, index: record.section, session: record.id };
        let grant = self.offer_to(now, &seat, session);
        let (id, lease_ms) = (record.id, grant.lease_ms);
        let through_grace = license.lease == Lease::Grace;
        if lease_ms > record.promised_lease_ms || (through_grace && !record.promised_grace) {
            let promised = Event::SessionPromised { number, lease_ms, through_grace };
            return self.commit(now, vec![promised], Waiting::Promise(asker, id));
        }
        self.tell_granted(now, asker, number, grant);
    }

    fn tell_granted(&mut self, now: Now, asker: Asker, number: SessionNumber, grant: Grant) {
        self.sessions.set_granted_at(number, now.elapsed);
        if let Some(receipt) = &grant.receipt {
            self.sessions.set_receipt(number, Some(receipt.mark()));
        }
        self.tell(asker, Answer::Granted(grant));
    }

    /// A longer promise could not be written down. A session goes on whatever the ledger does, but
    /// one that was promised its seat until it has ended may for now run no longer than that.
    pub(super) fn grant_as_promised(&mut self, now: Now, asker: Asker, id: SessionId) {
        let (number, mut grant) = match self.promised_offer(now, asker, id) {
            Ok(offer) => offer,
            Err(refusal) => return self.refuse(asker, refusal),
        };
        let Some(Session { record, .. }) = self.sessions.find(number) else { return };
        if record.promised_grace {
            let longest_ms = (record.promised_lease_ms.saturating_mul(100) / 101)
                .saturating_sub(self.settings.heartbeat_timeout_ms);
            grant.grace_ms = grant.grace_ms.min(longest_ms);
        }
        grant.lease_ms = grant.lease_ms.min(record.promised_lease_ms);
        self.tell_granted(now, asker, number, grant);
    }

    fn promised_offer(
        &self,
        now: Now,
        asker: Asker,
        id: SessionId,
    ) -> Result<(SessionNumber, Grant), Refusal> {
        let session = self.on_link_of(asker, id)?;
        let (license, _) = self.section_of(session)?;
        self.may_go_on(now, license, session)?;
        let record = &session.record;
        let seat = Seat { license, index: record.section, session: record.id };
        Ok((record.number, self.offer_to(now, &seat, session)))
    }

    /// What a session's seat allows, and in AutoVE mode what its host has to know of its home.
    fn offer_to(&self, now: Now, seat: &Seat<'_>, session: &Session) -> Grant {
        Grant {
            home: self.home_under(seat.license, session.record.host),
            receipt: self.lacking_receipt(session).map(Box::new),
            ..self.offer(now, seat, &session.record.hardware)
        }
    }

    /// What a seat in this section allows.
    fn offer(&self, now: Now, seat: &Seat<'_>, hardware: &Name) -> Grant {
        let &Seat { license, index, session } = seat;
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
                hours_used_ms: self.charged_ms(license),
            },
            home: None,
            receipt: None,
        }
    }
}
