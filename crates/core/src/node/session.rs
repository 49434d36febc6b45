//! A session's life after its login: checks, losing its link, and its ends.

use alloc::{format, vec};

use super::{
    Asker, Node,
    append::Waiting,
    bad_request,
    event::{BlockedRun, CloseCause, Event},
    io::{Answer, Effect, Note, Ticket},
    sessions::{Session, State},
    who,
};
use crate::{
    id::{LinkId, SessionId, SessionNumber},
    license::{Lease, License, ProductSection},
    reason::{ReasonCode, Refusal},
    select::still_covered,
    time::{Elapsed, Now},
};

impl Node {
    /// Is this session still licensed? The answer names what it may do now.
    pub(super) fn check(&mut self, now: Now, asker: Asker, id: SessionId) {
        let Some(host) = self.host_of(asker.link) else { return };
        let session = self
            .sessions
            .find_by_id(id, host)
            .filter(|session| session.state == State::Live(asker.link));
        let Some(session) = session else {
            return self.refuse(
                asker,
                bad_request("this session is not known on this link; log in again."),
            );
        };
        let number = session.record.number;
        let verdict =
            self.section_of(session).and_then(|(license, _)| self.may_go_on(now, license, session));
        match verdict {
            Ok(()) => self.grant(now, asker, number),
            Err(refusal) => {
                self.revoke(now, number, &refusal);
                self.refuse(asker, refusal);
            }
        }
    }

    /// The license and section that a session's seat is from.
    pub(super) fn section_of(
        &self,
        session: &Session,
    ) -> Result<(&License, &ProductSection), Refusal> {
        let installed = self.licenses.get(&session.record.license_id).ok_or_else(|| {
            let sentence =
                format!("license {} is not installed any more.", session.record.license_id);
            Refusal::new(ReasonCode::LicenseNotAvailable, sentence)
        })?;
        installed.standing.clone()?;
        let section = installed.license.sections.get(session.record.section).ok_or_else(|| {
            let sentence = format!(
                "license {} has no such product section any more.",
                session.record.license_id
            );
            Refusal::new(ReasonCode::HardwareNotLicensed, sentence)
        })?;
        Ok((&installed.license, section))
    }

    /// Whether a session that has its seat may keep it.
    pub(super) fn may_go_on(
        &self,
        now: Now,
        license: &License,
        session: &Session,
    ) -> Result<(), Refusal> {
        let candidate = self.candidate(now, license, session.record.section, None);
        still_covered(&candidate, &session.record.wanted(), self.time_mark.judged(now))
    }

    /// A session is over because its client says so; only the host that holds it can.
    pub(super) fn logout(&mut self, now: Now, asker: Asker, id: SessionId) {
        let Some(host) = self.host_of(asker.link) else { return };
        let Some(session) = self.sessions.find_by_id(id, host) else {
            // A second logout, after the answer to the first was lost, is told the truth again.
            return self.tell(asker, Answer::LoggedOut(id));
        };
        let number = session.record.number;
        if session.state == State::Closing {
            let refusal =
                Refusal::new(ReasonCode::ServerBusy, "the session is being ended; ask again.");
            return self.refuse(asker, refusal);
        }
        self.leave(now, number, now.elapsed);
        self.close(now, number, CloseCause::LoggedOut, Waiting::Logout(asker, id));
    }

    /// Ends a session; its seat is free when that is durable.
    fn close(&mut self, now: Now, number: SessionNumber, cause: CloseCause, waiting: Waiting) {
        self.commit(now, vec![Event::SessionClosed { number, cause }], waiting);
    }

    /// A link is gone; its sessions keep their seats for the lease.
    pub(super) fn close_link(&mut self, now: Now, link: LinkId, last_heard: Elapsed) {
        if self.links.remove(&link).is_none() {
            return;
        }
        self.drop_parked(link);
        for number in self.sessions.on_link(link) {
            self.leave(now, number, last_heard);
            self.unpark_for(now, number);
        }
    }

    /// A session loses its link; the seat stays reserved.
    pub(super) fn leave(&mut self, now: Now, number: SessionNumber, last_heard: Elapsed) {
        let Some(session) = self.sessions.find(number) else { return };
        if !matches!(session.state, State::Live(_)) {
            return;
        }
        let who = who(session);
        self.stop_meter(now, number, last_heard);
        let until = self.reserved_until(number, last_heard);
        self.sessions.set_state(number, State::Left { until });
        self.note(Note::Disconnected(who));
    }

    fn stop_meter(&mut self, now: Now, number: SessionNumber, last_heard: Elapsed) {
        let Some(session) = self.sessions.find(number) else { return };
        let license_id = &session.record.license_id;
        let version =
            self.licenses.get(license_id).map_or(0, |installed| installed.license.version);
        if let Some(meter) = self.meters.get_mut(&(license_id.clone(), version)) {
            meter.stop(now.elapsed, last_heard);
        }
    }

    /// Takes a session back; its client is told at once and starts its grace period.
    pub(super) fn revoke(&mut self, now: Now, number: SessionNumber, refusal: &Refusal) {
        self.revoke_with(now, number, refusal, vec![], Waiting::NoOne);
    }

    fn revoke_with(
        &mut self,
        now: Now,
        number: SessionNumber,
        refusal: &Refusal,
        mut events: alloc::vec::Vec<Event>,
        waiting: Waiting,
    ) {
        let Some(session) = self.sessions.find(number) else { return };
        if matches!(session.state, State::Closing | State::Held { .. }) {
            return;
        }
        let (state, id, who) = (session.state, session.record.id, who(session));
        self.leave(now, number, now.elapsed);
        if let State::Live(link) = state {
            self.effects.push_back(Effect::Revoke { link, session: id, refusal: refusal.clone() });
        }
        self.note(Note::Revoked(who, refusal.clone()));
        match self.sessions.find(number).map(|session| session.state) {
            // Its client may run on through its grace period, and the license counts that.
            Some(State::Left { until }) if self.holds_through_grace(number) => {
                self.sessions.set_state(number, State::Held { until });
            }
            _ => {
                let cause = CloseCause::Revoked(refusal.code);
                events.insert(0, Event::SessionClosed { number, cause });
            }
        }
        if !events.is_empty() || waiting != Waiting::NoOne {
            self.commit(now, events, waiting);
        }
    }

    fn holds_through_grace(&self, number: SessionNumber) -> bool {
        let license = self
            .sessions
            .find(number)
            .and_then(|session| self.licenses.get(&session.record.license_id));
        license.is_some_and(|installed| installed.license.lease == Lease::Grace)
    }

    /// The administrator takes a seat back. A left seat is freed; the run of a live session is
    /// refused from now on, until its emulator is started anew.
    pub(super) fn release(&mut self, now: Now, ticket: Ticket, number: SessionNumber) {
        let refusal = Refusal::new(
            ReasonCode::ReleasedByAdministrator,
            "the administrator released this session.",
        );
        let found =
            self.sessions.find(number).map(|session| (session.state, session.record.clone()));
        match found {
            Some((State::Live(_), record)) => {
                let blocked =
                    BlockedRun { host: record.host, emulator: record.emulator, run: record.run };
                let waiting = Waiting::Reply(ticket, "revoked; its client starts its grace period");
                self.revoke_with(now, number, &refusal, vec![Event::RunBlocked(blocked)], waiting);
            }
            Some((State::Left { .. }, _)) if !self.holds_through_grace(number) => {
                let cause = CloseCause::Revoked(refusal.code);
                self.close(
                    now,
                    number,
                    cause,
                    Waiting::Reply(ticket, "released; its seat is free"),
                );
            }
            Some((state, _)) => self.reply_refused(ticket, why_not_released(state)),
            None => self.reply_refused(ticket, format!("there is no session {number}.")),
        }
    }

    fn reply_refused(&mut self, ticket: Ticket, sentence: alloc::string::String) {
        let outcome = Err(Refusal::new(ReasonCode::BadRequest, sentence));
        self.effects.push_back(Effect::Reply { ticket, outcome });
    }

    /// Frees the seats whose reservation has ended.
    pub(super) fn end_leases(&mut self, now: Now) {
        while let Some(number) = self.sessions.ended_by(now.elapsed) {
            if let Some(session) = self.sessions.find(number) {
                let who = who(session);
                self.note(Note::LeaseEnded(who));
            }
            self.close(now, number, CloseCause::LeaseEnded, Waiting::NoOne);
        }
    }
}

fn why_not_released(state: State) -> alloc::string::String {
    let reason = match state {
        State::Opening => "it is just being opened; try again.",
        State::Closing => "it is just being ended.",
        State::Live(_) | State::Left { .. } | State::Held { .. } => {
            "its license reserves the seat until its client can't be running any more."
        }
    };
    format!("the session can't be released: {reason}")
}
