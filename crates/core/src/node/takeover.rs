//! Take-over: a login for a session that looks alive waits while the old link is asked.
//!
//! Silence for [`PING_MS`] is a take-over, an answer is `duplicate-instance`. A network that dropped
//! a client leaves a link that looks alive for seconds; its client must not be locked out by its own
//! ghost, and must not run twice either.

use alloc::collections::{BTreeMap, VecDeque};

use super::{
    Asker, Node,
    io::{Effect, Login},
    login::{Placement, duplicate},
    sessions::State,
};
use crate::{
    id::{HostKey, LinkId, SessionId, SessionNumber},
    reason::{ReasonCode, Refusal},
    text::Name,
    time::{Elapsed, Now},
};

/// How long the old link has to answer, in milliseconds.
pub const PING_MS: u64 = 2_000;

type Emulator = (HostKey, Name);

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
            let sentence = alloc::format!("another login of {} is being decided.", login.emulator);
            return self.deny(
                now,
                asker,
                &login,
                Refusal::new(ReasonCode::DuplicateInstance, sentence),
            );
        }
        let until = now.elapsed.plus_ms(PING_MS);
        self.parked.ends.push_back((until, emulator.clone()));
        let parked = Parked { asker, login, fresh, until, pinged: false };
        self.parked.by_emulator.insert(emulator.clone(), parked);
        self.ping(&emulator, number);
    }

    fn ping(&mut self, emulator: &Emulator, number: SessionNumber) {
        let Some(session) = self.sessions.find(number) else { return };
        if let (State::Live(link), Some(parked)) =
            (session.state, self.parked.by_emulator.get_mut(emulator))
        {
            parked.pinged = true;
            self.effects.push_back(Effect::Ping { link, session: session.record.id });
        }
    }

    /// The old client says whether it still runs the session.
    pub(super) fn hear_pong(&mut self, now: Now, link: LinkId, id: SessionId, runs: bool) {
        let Some(host) = self.host_of(link) else { return };
        let Some(session) = self.sessions.find_by_id(id, host) else { return };
        if session.state != State::Live(link) {
            return;
        }
        let (emulator, refusal) = ((host, session.record.emulator.clone()), duplicate(session));
        let number = session.record.number;
        if !runs {
            self.leave(now, number, now.elapsed);
        } else if let Some(parked) = self.parked.by_emulator.remove(&emulator) {
            self.deny(now, parked.asker, &parked.login, refusal);
        }
    }

    /// Looks again at the login that waits for this session, after the session has changed.
    pub(super) fn unpark_for(&mut self, now: Now, number: SessionNumber) {
        let Some(session) = self.sessions.find(number) else { return };
        let emulator = (session.record.host, session.record.emulator.clone());
        let Some(parked) = self.parked.by_emulator.get(&emulator) else { return };
        match self.place(parked.asker, emulator.0, &parked.login) {
            Placement::Contested(number) if !parked.pinged => self.ping(&emulator, number),
            Placement::Contested(_) => {}
            _ => {
                if let Some(Parked { asker, login, fresh, .. }) =
                    self.parked.by_emulator.remove(&emulator)
                {
                    self.login(now, asker, login, fresh);
                }
            }
        }
    }

    /// Settles the waits that have ended: the old link was silent.
    pub(super) fn settle_parked(&mut self, now: Now) {
        while self.parked.first_end().is_some_and(|until| until <= now.elapsed) {
            let Some((until, emulator)) = self.parked.ends.pop_front() else { return };
            if self.parked.by_emulator.get(&emulator).is_none_or(|parked| parked.until != until) {
                continue;
            }
            if let Some(parked) = self.parked.by_emulator.remove(&emulator) {
                self.take_over(now, &emulator, parked);
            }
        }
    }

    fn take_over(&mut self, now: Now, emulator: &Emulator, parked: Parked) {
        let Parked { asker, login, fresh, .. } = parked;
        let silent = self.sessions.find_by_emulator(emulator.0, &emulator.1);
        match silent.map(|session| (session.record.number, session.record.id, session.state)) {
            Some((number, id, State::Live(link))) => {
                let refusal = Refusal::new(
                    ReasonCode::DuplicateInstance,
                    "the session did not answer and was taken over by a new login of the same emulator.",
                );
                self.effects.push_back(Effect::Revoke { link, session: id, refusal });
                self.leave(now, number, now.elapsed);
                self.login(now, asker, login, fresh);
            }
            Some((_, _, State::Opening)) => {
                let refusal =
                    Refusal::new(ReasonCode::ServerBusy, "the ledger is slow; try again.");
                self.deny(now, asker, &login, refusal);
            }
            _ => self.login(now, asker, login, fresh),
        }
    }

    /// A link is gone, and with it the logins that came over it.
    pub(super) fn drop_parked(&mut self, link: LinkId) {
        self.parked.by_emulator.retain(|_, parked| parked.asker.link != link);
    }
}
