//! Losing the license and finding it again.

use alloc::string::String;

use super::{
    AskedBy, Client, Guest, License, Link, Round, TELL_AGAIN_MS,
    grace::{Due, Grace},
    io::{Effect, Hook, ServerIndex, Told},
};
use crate::{grant::Grant, reason::Refusal, time::Now};

impl Client {
    /// The connection is gone. That is a loss only if the next attempt does not bring it back.
    pub(super) fn link_lost(&mut self, now: Now, why: String) {
        match self.link {
            Link::LoggingOut { .. } => return self.logged_out(),
            // Nothing was granted on this connection yet: the attempt has failed.
            Link::Connecting { .. } => {
                return self.not_connected(now, &super::ConnectError::Unreachable(why));
            }
            Link::Asking { .. } if !matches!(self.license, License::Valid { .. }) => {
                self.effects.push_back(Effect::Disconnect);
                return self.not_connected_any_more(now, why);
            }
            Link::Down { .. } => return,
            Link::Asking { .. } | Link::Up { .. } => {}
        }
        self.effects.push_back(Effect::Disconnect);
        self.lose(now);
        self.round = Round { told: true, ..Round::default() };
        self.connect();
    }

    fn not_connected_any_more(&mut self, now: Now, why: String) {
        let server = self.server();
        self.link = Link::Connecting { server };
        self.not_connected(now, &super::ConnectError::Unreachable(why));
    }

    /// The grace period begins.
    fn lose(&mut self, now: Now) {
        if let License::Valid { .. } = self.license {
            let grace_ms = self.grant.as_ref().map_or(0, |grant| grant.grace_ms);
            let grace = Grace::new(now.elapsed, grace_ms, self.settings.shutdown_lead_ms);
            self.license = License::Lost { grace, announced: false, told_at: now.elapsed };
        }
    }

    /// The server took the session back, so nothing is in doubt: the loss is told at once.
    pub(super) fn revoked(&mut self, now: Now, refusal: Refusal) {
        if !matches!(self.license, License::Valid { .. }) {
            return;
        }
        let server = self.server();
        self.effects.push_back(Effect::Disconnect);
        self.lose(now);
        self.announce_loss(now, Told::Revoked { server, refusal });
        self.round = Round { told: true, ..Round::default() };
        self.link =
            Link::Down { retry_at: Some(now.elapsed.plus_ms(self.backoff.next_pause_ms())) };
    }

    fn announce_loss(&mut self, now: Now, loss: Told) {
        let License::Lost { grace, announced, told_at } = &mut self.license else { return };
        if core::mem::replace(announced, true) {
            return;
        }
        *told_at = now.elapsed;
        let left_ms = grace.left_ms(now.elapsed);
        self.tell(loss);
        self.tell(Told::EndsWithin(left_ms));
        self.hook(Hook::Lost);
    }

    /// A round of attempts has failed while the grace period runs.
    pub(super) fn retry_failed(&mut self, now: Now, server: ServerIndex, why: &str) {
        self.announce_loss(now, Told::Lost { server, why: why.into() });
        if let License::Lost { told_at, .. } = &mut self.license
            && now.elapsed.since_ms(*told_at) >= TELL_AGAIN_MS
        {
            *told_at = now.elapsed;
            // The next round is told like the first.
            self.round.told = false;
            self.tell(Told::ConnectionFailed { server, why: why.into() });
        } else {
            self.round.told = true;
        }
        self.round.refused = None;
        let pause_ms = self.backoff.next_pause_ms();
        self.link = Link::Down { retry_at: Some(now.elapsed.plus_ms(pause_ms)) };
    }

    /// Licensed again.
    pub(super) fn restored(&mut self, now: Now, server: ServerIndex, grant: Grant) {
        self.tell(Told::Licensed(server, grant));
        self.tell(Told::Restored { wall: now.wall });
        self.hook(Hook::Restored);
    }

    /// Does what the grace period has in store.
    pub(super) fn look_at_the_grace_period(&mut self, now: Now) {
        // An attempt that hangs must not hide a loss: the log learns of it while it hangs.
        while self.guest_may_be_asked() {
            let License::Lost { grace, .. } = &mut self.license else { return };
            let Some(due) = grace.due(now.elapsed) else { return };
            let server = self.server();
            self.announce_loss(now, Told::Lost { server, why: "the license server does not answer".into() });
            match due {
                Due::Warning(left_ms) => {
                    self.tell(Told::EndsWithin(left_ms));
                    self.hook(Hook::Expiring);
                }
                Due::Shutdown(left_ms) => self.shut_down_for_license(left_ms),
                Due::End => self.stop_for_license(),
            }
        }
    }

    fn shut_down_for_license(&mut self, left_ms: u64) {
        if self.guest == Guest::Runs {
            self.tell(Told::ShutdownForLicense(left_ms));
            self.hook(Hook::Ending);
            self.guest = Guest::Asked { by: AskedBy::License, stop_at: None };
            self.effects.push_back(Effect::ShutDownGuest);
        }
    }

    fn stop_for_license(&mut self) {
        self.tell(Told::GraceEnded);
        self.guest = Guest::Stopped { by: AskedBy::License };
        self.effects.push_back(Effect::StopGuest);
    }
}
