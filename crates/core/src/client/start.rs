//! Connecting and logging in: at the start, and again after every loss.

use super::{
    Client, Guest, License, Link, Round,
    io::{ConnectError, Effect, Exit, ServerIndex, Told},
    sentence,
};
use crate::{
    grant::Grant,
    reason::Refusal,
    time::{Elapsed, Now},
};

impl Client {
    pub(super) fn start(&mut self, now: Now) {
        self.license = License::Wanted { since: now.elapsed };
        self.connect();
    }

    /// Tries the next server of this round.
    pub(super) fn connect(&mut self) {
        let server = self.round.next_server;
        self.attempt += 1;
        self.link = Link::Connecting { server };
        if !self.round.told {
            self.tell(Told::Trying(server));
        }
        self.effects.push_back(Effect::Connect { attempt: self.attempt, server });
    }

    pub(super) fn connected(&mut self, now: Now) {
        let Link::Connecting { server } = self.link else { return };
        if matches!(self.license, License::NotWanted) {
            self.effects.push_back(Effect::Disconnect);
            self.link = Link::Down { retry_at: None };
            return;
        }
        self.link = Link::Asking { server, since: now.elapsed };
        self.effects.push_back(Effect::Login { session: self.session() });
    }

    pub(super) fn not_connected(&mut self, now: Now, why: &ConnectError) {
        let server = self.server();
        if !self.round.told {
            match why {
                ConnectError::ProtocolVersion(why) => {
                    self.tell(Told::ProtocolVersionInvalid { server, why: why.clone() });
                }
                ConnectError::Unverified(Some(refusal)) => {
                    self.tell(Told::Refused { server, refusal: refusal.clone(), verified: false });
                }
                ConnectError::Unreachable(_) | ConnectError::Unverified(None) => {}
            }
        }
        match why {
            // At start a refusal is a refusal, whoever says it; to a running emulator it is a loss.
            ConnectError::Unverified(Some(refusal)) => self.round.refused = Some(refusal.clone()),
            ConnectError::ProtocolVersion(why) => {
                let code = crate::reason::ReasonCode::ProtocolVersionInvalid;
                self.round.refused = Some(Refusal::new(code, why.clone()));
            }
            ConnectError::Unreachable(_) | ConnectError::Unverified(None) => {}
        }
        self.next_server(now, server, &sentence(why));
    }

    pub(super) fn granted(&mut self, now: Now, grant: Grant) {
        let Link::Asking { server, .. } = self.link else { return };
        self.link = Link::Up { server };
        self.backoff.reset();
        self.round = Round::default();
        let next_check = now.elapsed.plus_ms(grant.check_interval_ms);
        let was = core::mem::replace(&mut self.license, License::Valid { next_check });
        self.grant = Some(grant.clone());
        match was {
            License::Valid { .. } => {}
            License::Wanted { .. } => {
                self.tell(Told::Licensed(server, grant));
                self.guest = Guest::Runs;
                self.effects.push_back(Effect::StartGuest);
            }
            License::Lost { announced, .. } => {
                if announced {
                    self.restored(now, server, grant);
                }
            }
            // The program is ending; the seat goes back.
            License::NotWanted => self.log_out(now),
        }
    }

    pub(super) fn refused(&mut self, now: Now, refusal: Refusal, verified: bool) {
        let Link::Asking { server, .. } = self.link else { return };
        if let License::Valid { .. } = self.license {
            // A check was refused: the server has taken the session back.
            return self.revoked(now, refusal);
        }
        self.effects.push_back(Effect::Disconnect);
        if !self.round.told {
            self.tell(Told::Refused { server, refusal: refusal.clone(), verified });
        }
        let sentence = alloc::format!("{refusal}");
        self.round.refused = Some(refusal);
        self.next_server(now, server, &sentence);
    }

    /// One server is of no use: the next one now, or the first one later.
    fn next_server(&mut self, now: Now, server: ServerIndex, why: &str) {
        if server + 1 < self.settings.servers {
            self.round.next_server = server + 1;
            return self.connect();
        }
        self.round.next_server = 0;
        match self.license {
            License::Wanted { since } => self.start_failed(now, since, server, why),
            License::Lost { .. } => self.retry_failed(now, server, why),
            License::Valid { .. } | License::NotWanted => self.link = Link::Down { retry_at: None },
        }
    }

    /// No server of the first round would have us: wait as long as the operator allows, or give up.
    fn start_failed(&mut self, now: Now, since: Elapsed, server: ServerIndex, why: &str) {
        let refused = self.round.refused.take();
        let first = !core::mem::replace(&mut self.round.told, true);
        if refused.is_none() && first {
            self.tell(Told::ConnectionFailed { server, why: why.into() });
        }
        let give_up_at = since.plus_ms(self.settings.start_wait_ms);
        let pause_ms = self.backoff.next_pause_ms();
        if now.elapsed < give_up_at {
            let retry_at = now.elapsed.plus_ms(pause_ms).min(give_up_at);
            self.link = Link::Down { retry_at: Some(retry_at) };
        } else if let Some(refusal) = refused {
            self.exit(Exit::Refused(refusal));
        } else {
            self.tell(Told::Unavailable);
            self.exit(Exit::NoServer);
        }
    }
}
