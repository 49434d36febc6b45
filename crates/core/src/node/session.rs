//! A session's life after its login: checks, losing its link, and its ends.

use alloc::{format, string::String, vec, vec::Vec};

use super::{
    Asker, Link, Node, Overtaken,
    append::Waiting,
    bad_request,
    event::{BlockedRun, CloseCause, Event},
    io::{Answer, Effect, Note, Ticket},
    sessions::{NO_END, Session, State},
    takeover::emulator_of,
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
        let session = match self.on_link_of(asker, id) {
            Ok(session) => session,
            Err(refusal) => return self.refuse(asker, refusal),
        };
        let number = session.record.number;
        let verdict =
            self.section_of(session).and_then(|(license, _)| self.may_go_on(now, license, session));
        let (host, license) = (session.record.host, session.record.license_id.clone());
        match verdict.and_then(|()| self.host_may_go_on(now, host, &license)) {
            Ok(()) => self.grant(now, asker, number),
            Err(refusal) => {
                self.revoke(now, number, &refusal);
                self.refuse(asker, refusal);
            }
        }
    }

    /// The session that a client names on the link on which it is live.
    pub(super) fn on_link_of(&self, asker: Asker, id: SessionId) -> Result<&Session, Refusal> {
        let found = self.host_of(asker.link).and_then(|host| self.sessions.find_by_id(id, host));
        found
            .filter(|session| session.state == State::Live(asker.link))
            .ok_or_else(|| bad_request("this session is not known on this link; log in again."))
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
        let candidate = self.candidate(now, license, session.record.section);
        still_covered(&candidate, &session.record.wanted(), self.time_mark.judged(now))
    }

    /// A session is over because its client says so; only the host that holds it can.
    pub(super) fn logout(&mut self, now: Now, asker: Asker, id: SessionId) {
        let Some(host) = self.host_of(asker.link) else { return };
        let Some(session) = self.sessions.find_by_id(id, host) else {
            // A second logout, after the answer to the first was lost, is told the truth again.
            return self.tell(asker, Answer::LoggedOut(id));
        };
        if matches!(session.state, State::Opening | State::Closing) {
            let refusal =
                Refusal::new(ReasonCode::ServerBusy, "the session is being ended; ask again.");
            return self.refuse(asker, refusal);
        }
        let (number, emulator) = (session.record.number, emulator_of(session));
        self.leave(now, number, now.elapsed);
        self.close(now, number, CloseCause::LoggedOut, Waiting::Logout(asker, id));
        self.unpark(now, &emulator);
        self.settle_clone(now, host);
    }

    /// Ends a session; its seat is free when that is durable.
    fn close(&mut self, now: Now, number: SessionNumber, cause: CloseCause, waiting: Waiting) {
        self.commit(now, vec![Event::SessionClosed { number, cause }], waiting);
    }

    /// A link is gone; its sessions keep their seats for the lease.
    pub(super) fn close_link(&mut self, now: Now, link: LinkId, last_heard: Elapsed) {
        let Some(Link { host, .. }) = self.links.remove(&link) else { return };
        self.drop_parked(link);
        let last_heard = last_heard.min(now.elapsed);
        for number in self.sessions.on_link(link) {
            let Some(emulator) = self.sessions.find(number).map(emulator_of) else { continue };
            self.leave(now, number, last_heard);
            self.unpark(now, &emulator);
        }
        self.settle_clone(now, host);
    }

    /// A session loses its link; the seat stays reserved.
    pub(super) fn leave(&mut self, now: Now, number: SessionNumber, last_heard: Elapsed) {
        let Some(session) = self.sessions.find(number) else { return };
        if !matches!(session.state, State::Live(_)) {
            return;
        }
        let (who, granted_at) = (who(session), session.granted_at);
        self.stop_meter(now, number, last_heard);
        let until = self.reserved_until(number, last_heard.max(granted_at));
        self.sessions.set_state(number, State::Left { since: last_heard, until });
        self.note(Note::Disconnected(who));
    }

    /// Until when a session that was last heard of at `last_heard` keeps its seat.
    pub(super) fn reserved_until(&self, number: SessionNumber, last_heard: Elapsed) -> Elapsed {
        let Some(Session { record, .. }) = self.sessions.find(number) else { return NO_END };
        self.licenses.get(&record.license_id).map_or(NO_END, |installed| {
            let lease_ms = installed.license.lease_ms(self.settings.heartbeat_timeout_ms);
            last_heard.plus_ms(lease_ms.max(record.promised_lease_ms))
        })
    }

    /// Takes a session back; its client is told at once and starts its grace period.
    pub(super) fn revoke(&mut self, now: Now, number: SessionNumber, refusal: &Refusal) {
        self.revoke_with(now, number, refusal, vec![], Waiting::NoOne);
    }

    /// Takes a session back, and makes that durable together with `events`. Before the server is
    /// ready it knows too little to revoke anything.
    fn revoke_with(
        &mut self,
        now: Now,
        number: SessionNumber,
        refusal: &Refusal,
        mut events: Vec<Event>,
        waiting: Waiting,
    ) {
        let Some(session) = self.sessions.find(number).filter(|_| self.ready) else { return };
        let (emulator, id, who) = (emulator_of(session), session.record.id, who(session));
        let link = match session.state {
            State::Closing | State::Held { .. } => return,
            // Its client is not told of it yet, and never will be.
            State::Opening => return self.overtake(now, number, refusal.clone()),
            State::Live(link) => Some(link),
            State::Left { .. } => None,
        };
        self.note(Note::Revoked(who, refusal.clone()));
        if let Some(link) = link {
            self.leave(now, number, now.elapsed);
            let refusal = refusal.clone();
            self.effects.push_back(Effect::Revoke { link, session: id, refusal });
        }
        if !self.hold(number) {
            let cause = CloseCause::Revoked(refusal.code);
            events.insert(0, Event::SessionClosed { number, cause });
        }
        if !events.is_empty() {
            self.commit(now, events, waiting);
        }
        self.unpark(now, &emulator);
    }

    pub(super) fn overtake(&mut self, now: Now, number: SessionNumber, refusal: Refusal) {
        let replaces = self.sessions.find(number).is_some_and(|s| s.record.replaces.is_some());
        let holds = replaces && self.holds_through_grace(number);
        let held_until = holds.then(|| self.reserved_until(number, now.elapsed));
        self.overtaken.entry(number).or_insert(Overtaken { refusal, held_until });
    }

    /// Keeps the seat of a revoked session reserved if its license says so: its client may run on
    /// through its grace period, and the license counts that.
    fn hold(&mut self, number: SessionNumber) -> bool {
        let state = self.sessions.find(number).map(|session| session.state);
        let Some(State::Left { until, .. }) = state else { return false };
        let holds = self.holds_through_grace(number);
        if holds {
            self.sessions.set_state(number, State::Held { until });
        }
        holds
    }

    fn holds_through_grace(&self, number: SessionNumber) -> bool {
        let Some(Session { record, .. }) = self.sessions.find(number) else { return false };
        let installed = self.licenses.get(&record.license_id);
        record.promised_grace
            || installed.is_some_and(|installed| installed.license.lease == Lease::Grace)
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
            Some((State::Left { until, .. }, _))
                if until != NO_END && !self.holds_through_grace(number) =>
            {
                let cause = CloseCause::Revoked(refusal.code);
                let waiting = Waiting::Reply(ticket, "released; its seat is free");
                self.close(now, number, cause, waiting);
            }
            Some((state, _)) => self.reply_refused(ticket, why_not_released(state)),
            None => self.reply_refused(ticket, format!("there is no session {number}.")),
        }
    }

    fn reply_refused(&mut self, ticket: Ticket, sentence: String) {
        self.reply(ticket, Err(Refusal::new(ReasonCode::BadRequest, sentence)));
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

fn why_not_released(state: State) -> String {
    let reason = match state {
        State::Opening => "it is just being opened; try again.",
        State::Closing => "it is just being ended.",
        State::Left { until: NO_END, .. } => {
            "its license is not installed, and only that says how long the seat stays reserved; \
             it uses up no seat of another license."
        }
        State::Live(_) | State::Left { .. } | State::Held { .. } => {
            "its license reserves the seat until its client can't be running any more."
        }
    };
    format!("the session can't be released: {reason}")
}
