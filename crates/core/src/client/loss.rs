//! Losing the license and finding it again.

use alloc::string::String;

use super::{
    AskedBy, Client, Guest, License, Link,
    grace::{Due, Grace},
    io::{Effect, Hook, ServerIndex, Told},
    round::Failure,
};
use crate::{
    grant::Grant,
    reason::Refusal,
    time::{Elapsed, MINUTE_MS, Now},
};

/// How long a license must have been held before its loss is answered by an attempt at once, if the
/// loss before was, in milliseconds. So a server that grants and hangs up is not asked in a loop.
const QUIET_MS: u64 = MINUTE_MS;

impl Client {
    /// The connection is gone or of no use any more.
    pub(super) fn link_lost(&mut self, now: Now, why: String, late_ms: u64) {
        match (self.link, &self.license) {
            (Link::Down { .. }, _) => {}
            (Link::LoggingOut { .. }, _) => self.hang_up(),
            (Link::Asking { server, .. } | Link::Up { server }, License::Valid { .. }) => {
                self.license_link_lost(now, server, why, late_ms);
            }
            // Nothing was granted on this connection yet: the attempt has failed.
            (
                Link::Connecting { server, .. } | Link::Asking { server, .. } | Link::Up { server },
                _,
            ) => {
                self.disconnect();
                self.attempt_failed(now, server, Failure::unreachable(why));
            }
        }
    }

    /// The connection that the license hangs on is gone. That is a loss only if an attempt at once
    /// does not bring it back.
    fn license_link_lost(&mut self, now: Now, server: ServerIndex, why: String, late_ms: u64) {
        self.disconnect();
        self.lose(now, late_ms);
        if core::mem::replace(&mut self.hurried, true) {
            self.announce_loss(now, Told::Lost { server, why });
            self.retry_later(now);
        } else {
            self.begin_quiet_round(now);
        }
    }

    /// The server took the session back, so nothing is in doubt: the loss is told at once.
    pub(super) fn revoked(&mut self, now: Now, refusal: Refusal) {
        let (Link::Asking { server, .. } | Link::Up { server }) = self.link else { return };
        if matches!(self.license, License::Valid { .. }) {
            self.disconnect();
            self.lose(now, 0);
            self.telling.is_news(server, refusal.code);
            self.announce_loss(now, Told::Revoked { server, refusal });
            self.retry_later(now);
        }
    }

    /// The grace period begins; it did `late_ms` ago, when the machine slept through the loss.
    fn lose(&mut self, now: Now, late_ms: u64) {
        let License::Valid { since, .. } = self.license else { return };
        if now.elapsed.since_ms(since) >= QUIET_MS {
            self.hurried = false;
            self.backoff.reset();
        }
        let grace_ms = self.grant.as_ref().map_or(0, |grant| grant.grace_ms);
        let since = Elapsed(now.elapsed.0.saturating_sub(late_ms));
        let grace = Grace::new(since, grace_ms, self.settings.shutdown_lead_ms);
        self.license = License::Lost { grace, announced: false };
    }

    fn announce_loss(&mut self, now: Now, loss: Told) {
        let License::Lost { grace, announced } = &mut self.license else { return };
        if core::mem::replace(announced, true) {
            return;
        }
        let left_ms = grace.left_ms(now.elapsed);
        self.telling.told_in_full(now);
        self.tell(loss);
        self.tell(Told::EndsWithin(left_ms));
        self.hook(Hook::Lost);
    }

    fn retry_later(&mut self, now: Now) {
        if let License::Lost { grace, .. } = &self.license {
            let pause_ms = self.backoff.next_pause_ms(grace.longest_pause_ms());
            self.link = Link::Down { retry_at: Some(now.elapsed.plus_ms(pause_ms)) };
        }
    }

    /// A round of attempts has failed while the grace period runs.
    pub(super) fn search_failed(&mut self, now: Now) {
        let (server, failure) = self.take_failure();
        match failure {
            _ if self.loss_is_announced() => {
                if self.round_is_loud() && failure.refusal().is_none() {
                    self.tell(Told::ConnectionFailed { server, why: failure.sentence() });
                }
            }
            // The server is well and says that the session is no more.
            Failure::Refused(refusal) => {
                self.telling.is_news(server, refusal.code);
                self.announce_loss(now, Told::Revoked { server, refusal });
            }
            // What a server says that proves nothing is a plain loss.
            Failure::Connect(_) => {
                self.tell_what_was_kept_back(server, &failure);
                self.announce_loss(now, Told::Lost { server, why: failure.sentence() });
            }
        }
        self.retry_later(now);
    }

    fn loss_is_announced(&self) -> bool {
        matches!(self.license, License::Lost { announced: true, .. })
    }

    /// Licensed again, after a loss that was told.
    pub(super) fn restored(&mut self, now: Now, server: ServerIndex, grant: Grant) {
        self.tell(Told::Licensed(server, grant));
        self.tell(Told::Restored { wall: now.wall });
        self.hook(Hook::Restored);
    }

    /// Does what the grace period has in store.
    pub(super) fn look_at_the_grace_period(&mut self, now: Now) {
        while self.guest_may_be_asked() {
            let License::Lost { grace, .. } = &mut self.license else { return };
            let Some(due) = grace.due(now.elapsed) else { return };
            // An attempt that hangs must not hide a loss.
            let (server, why) = (self.server(), String::from("the server does not answer"));
            self.announce_loss(now, Told::Lost { server, why });
            self.do_what_is_due(due);
        }
    }

    fn do_what_is_due(&mut self, due: Due) {
        match due {
            Due::Warning(left_ms) => {
                self.tell(Told::EndsWithin(left_ms));
                self.hook(Hook::Expiring);
            }
            Due::Shutdown(left_ms) => self.shut_down_for_license(left_ms),
            Due::End => self.stop_for_license(),
        }
    }

    fn shut_down_for_license(&mut self, left_ms: u64) {
        let stop_at = match self.guest {
            Guest::Runs => None,
            // In an earlier grace period, which ended well.
            Guest::Asked { by: AskedBy::License, stop_at } => stop_at,
            _ => return,
        };
        self.tell(Told::ShutdownForLicense(left_ms));
        self.hook(Hook::Ending);
        self.guest = Guest::Asked { by: AskedBy::License, stop_at };
        self.do_next(Effect::ShutDownGuest);
    }

    /// The grace period is over, and with it the search.
    fn stop_for_license(&mut self) {
        self.tell(Told::GraceEnded);
        let by = match self.guest {
            Guest::Asked { by, .. } => by,
            _ => AskedBy::License,
        };
        self.guest = Guest::Stopped { by };
        self.do_next(Effect::StopGuest);
        self.license = License::NotWanted;
        // A login that is under way is waited for: its seat must go back.
        if let Link::Down { .. } | Link::Connecting { .. } = self.link {
            self.hang_up();
        }
    }
}
