//! Connecting and logging in: at the start, and again after every loss.

use super::{
    Client, Guest, License, Link, SHORTEST_CHECK_INTERVAL_MS, answer_by, backoff,
    io::{ConnectError, Effect, Exit, Told},
    round::Failure,
};
use crate::{
    grant::Grant,
    reason::Refusal,
    time::{Elapsed, Now},
};

impl Client {
    pub(super) fn start(&mut self, now: Now) {
        // Once.
        if matches!(self.license, License::NotWanted) && self.guest == Guest::NotStarted {
            let give_up_at = now.elapsed.plus_ms(self.settings.start_wait_ms);
            self.license = License::Wanted { give_up_at };
            self.begin_round(now);
        }
    }

    pub(super) fn connected(&mut self, now: Now) {
        let Link::Connecting { server, .. } = self.link else { return };
        self.link = Link::Asking { server, until: answer_by(now) };
        self.do_next(Effect::Login { session: self.session() });
    }

    pub(super) fn not_connected(&mut self, now: Now, why: ConnectError) {
        let Link::Connecting { server, .. } = self.link else { return };
        // There is nothing to disconnect from.
        self.link = Link::Down { retry_at: None };
        self.attempt_failed(now, server, Failure::Connect(why));
    }

    pub(super) fn granted(&mut self, now: Now, grant: Grant) {
        let Link::Asking { server, .. } = self.link else { return };
        self.grant = Some(grant.clone());
        let interval_ms = grant.check_interval_ms.max(SHORTEST_CHECK_INTERVAL_MS);
        let next_check = now.elapsed.plus_ms(interval_ms);
        let since = match self.license {
            // The program is ending: the seat goes back.
            License::NotWanted => return self.log_out(now, server),
            License::Valid { since, .. } => since,
            License::Wanted { .. } | License::Lost { .. } => now.elapsed,
        };
        self.link = Link::Up { server };
        self.telling.forget();
        match core::mem::replace(&mut self.license, License::Valid { since, next_check }) {
            License::Wanted { .. } => {
                self.tell(Told::Licensed(server, grant));
                self.guest = Guest::Runs;
                self.do_next(Effect::StartGuest);
            }
            License::Lost { announced: true, .. } => self.restored(now, server, grant),
            License::Lost { announced: false, .. } | License::Valid { .. } | License::NotWanted => {
            }
        }
    }

    /// A login, a check or a logout was refused.
    pub(super) fn refused(&mut self, now: Now, refusal: Refusal) {
        match (self.link, &self.license) {
            // A check: the server has taken the session back.
            (Link::Asking { .. }, License::Valid { .. }) => self.revoked(now, refusal),
            (Link::Asking { server, .. }, _) => {
                self.disconnect();
                self.attempt_failed(now, server, Failure::Refused(refusal));
            }
            // There is no such session any more: that was the aim.
            (Link::LoggingOut { .. }, _) => self.hang_up(),
            (Link::Down { .. } | Link::Connecting { .. } | Link::Up { .. }, _) => {}
        }
    }

    /// No server of this round would have us: wait as long as the operator allows, or give up.
    pub(super) fn start_failed(&mut self, now: Now, give_up_at: Elapsed) {
        let (server, failure) = self.take_failure();
        let refusal = failure.refusal();
        let why = failure.sentence();
        if refusal.is_none() && self.round_is_loud() {
            self.tell(Told::ConnectionFailed { server, why: why.clone() });
        }
        if now.elapsed < give_up_at {
            let pause_ms = self.backoff.next_pause_ms(backoff::LONGEST_MS);
            let retry_at = now.elapsed.plus_ms(pause_ms).min(give_up_at);
            self.link = Link::Down { retry_at: Some(retry_at) };
            return;
        }
        self.ends_as = if let Some(refusal) = refusal {
            Exit::Refused(refusal)
        } else {
            self.tell(Told::Unavailable);
            Exit::NoServer(why)
        };
        self.guest = Guest::Ended;
        self.license = License::NotWanted;
        self.hang_up();
    }
}
