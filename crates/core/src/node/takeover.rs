//! Take-over: a login for a session that looks alive waits while the old link is asked.
//!
//! Silence for [`PING_MS`] is a take-over, an answer is `duplicate-instance`. A network that dropped
//! a client leaves a link that looks alive for seconds; its client must not be locked out by its own
//! ghost, and must not run twice either.

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
};

use super::{
    Asker, Node,
    io::{Effect, Login},
    login::{Placement, duplicate},
    sessions::{Session, State},
};
use crate::{
    id::{HostKey, LinkId, SessionId, SessionNumber},
    reason::{ReasonCode, Refusal},
    text::Name,
    time::{Elapsed, Now},
};

/// How long the old link has to answer, in milliseconds.
pub(super) const PING_MS: u64 = 2_000;

/// What one emulator is known by: its host and its name there.
pub(super) type Emulator = (HostKey, Name);

/// A login that waits for the fate of the session it found.
#[derive(Debug)]
struct Parked {
    asker: Asker,
    login: Login,
    fresh: SessionId,
    until: Elapsed,
    /// Whether the old link has been asked; a session that is still being written down has none.
    pinged: bool,
}

/// The logins that wait, at most one for each emulator.
#[derive(Debug, Default)]
pub(super) struct ParkedLogins {
    by_emulator: BTreeMap<Emulator, Parked>,
    /// In the order of their ends, because all wait equally long; may name some that are gone.
    ends: VecDeque<(Elapsed, Emulator)>,
}

impl ParkedLogins {
    /// When the first wait ends.
    pub(super) fn first_end(&self) -> Option<Elapsed> {
        self.ends.front().map(|(until, _)| *until)
    }

    fn insert(&mut self, emulator: Emulator, parked: Parked) {
        self.ends.push_back((parked.until, emulator.clone()));
        self.by_emulator.insert(emulator, parked);
    }

    /// The old link is asked now, so the login waits from now on.
    fn pinged(&mut self, emulator: &Emulator, until: Elapsed) {
        let Some(parked) = self.by_emulator.get_mut(emulator) else { return };
        parked.pinged = true;
        if parked.until != until {
            parked.until = until;
            self.ends.push_back((until, emulator.clone()));
        }
    }

    /// The next login whose wait has ended by `now`.
    fn take_ended(&mut self, now: Elapsed) -> Option<(Emulator, Parked)> {
        while self.first_end().is_some_and(|until| until <= now) {
            let (until, emulator) = self.ends.pop_front()?;
            if self.by_emulator.get(&emulator).is_some_and(|parked| parked.until == until) {
                let parked = self.by_emulator.remove(&emulator)?;
                return Some((emulator, parked));
            }
        }
        None
    }
}

impl Node {
    /// Lets a login wait while the session that it found is asked whether it still runs.
    pub(super) fn park(
        &mut self,
        now: Now,
        asker: Asker,
        host: HostKey,
        login: Login,
        fresh: SessionId,
        number: SessionNumber,
    ) {
        let emulator = (host, login.emulator.clone());
        if self.parked.by_emulator.contains_key(&emulator) {
            let sentence = format!("another login of {} is being decided.", login.emulator);
            let refusal = Refusal::new(ReasonCode::DuplicateInstance, sentence);
            return self.deny(now, asker, &login, refusal);
        }
        let until = now.elapsed.plus_ms(PING_MS);
        let parked = Parked { asker, login, fresh, until, pinged: false };
        self.parked.insert(emulator.clone(), parked);
        self.ping(now, &emulator, number);
    }

    fn ping(&mut self, now: Now, emulator: &Emulator, number: SessionNumber) {
        let Some(session) = self.sessions.find(number) else { return };
        if let State::Live(link) = session.state {
            self.parked.pinged(emulator, now.elapsed.plus_ms(PING_MS));
            self.effects.push_back(Effect::Ping { link, session: session.record.id });
        }
    }

    /// The old client says whether it still runs the session.
    pub(super) fn hear_pong(&mut self, now: Now, link: LinkId, id: SessionId, runs: bool) {
        let Some(host) = self.host_of(link) else { return };
        let found = self.sessions.find_by_id(id, host);
        let Some(session) = found.filter(|session| session.state == State::Live(link)) else {
            // It has ended while the question was on its way, but the link works.
            return self.settle_clone(now, host);
        };
        let (emulator, refusal, boot) = (emulator_of(session), duplicate(session), session.boot);
        if !runs {
            let number = session.record.number;
            self.leave(now, number, now.elapsed);
            self.unpark(now, &emulator);
            return self.settle_clone(now, host);
        }
        if let Some(parked) = self.parked.by_emulator.remove(&emulator) {
            self.deny(now, parked.asker, &parked.login, refusal);
        }
        self.prove_twin(host, boot);
        self.hear_host_runs(now, host, link);
    }

    /// Looks again at the login that waits for this emulator, after its session has changed.
    pub(super) fn unpark(&mut self, now: Now, emulator: &Emulator) {
        let Some(parked) = self.parked.by_emulator.get(emulator) else { return };
        match self.place(parked.asker, emulator.0, &parked.login) {
            Placement::Contested(number) if !parked.pinged => self.ping(now, emulator, number),
            Placement::Contested(_) => {}
            _ => {
                if let Some(Parked { asker, login, fresh, .. }) =
                    self.parked.by_emulator.remove(emulator)
                {
                    self.login(now, asker, login, fresh);
                }
            }
        }
    }

    /// Settles the waits that have ended: the old link was silent.
    pub(super) fn settle_parked(&mut self, now: Now) {
        while let Some((emulator, parked)) = self.parked.take_ended(now.elapsed) {
            self.settle(now, &emulator, parked);
        }
    }

    fn settle(&mut self, now: Now, emulator: &Emulator, parked: Parked) {
        let Parked { asker, login, fresh, .. } = parked;
        let silent = self.sessions.find_by_emulator(emulator.0, &emulator.1);
        match silent.map(|session| (session.record.number, session.state)) {
            Some((number, State::Live(link))) => {
                // Who would be refused anyway takes nothing over.
                match self.would_take_over(now, asker, emulator.0, &login, number) {
                    Err(refusal) => return self.deny(now, asker, &login, refusal),
                    Ok(()) => self.oust(now, link, number),
                }
            }
            Some((_, State::Opening)) => {
                let refusal =
                    Refusal::new(ReasonCode::ServerBusy, "the ledger is slow; try again.");
                return self.deny(now, asker, &login, refusal);
            }
            _ => {}
        }
        self.login(now, asker, login, fresh);
    }

    /// Takes a silent session off its link.
    pub(super) fn oust(&mut self, now: Now, link: LinkId, number: SessionNumber) {
        let Some(session) = self.sessions.find(number) else { return };
        let refusal = Refusal::new(
            ReasonCode::DuplicateInstance,
            "the session did not answer and was taken over by a new login of the same emulator.",
        );
        self.effects.push_back(Effect::Revoke { link, session: session.record.id, refusal });
        self.leave(now, number, now.elapsed);
    }

    /// A link is gone, and with it the logins that came over it.
    pub(super) fn drop_parked(&mut self, link: LinkId) {
        self.parked.by_emulator.retain(|_, parked| parked.asker.link != link);
    }
}

pub(super) fn emulator_of(session: &Session) -> Emulator {
    (session.record.host, session.record.emulator.clone())
}
