//! Losing the license.

use alloc::{string::String, vec::Vec};

use super::{
    Client, License,
    failure::Failure,
    grace::Grace,
    io::{Hook, ServerIndex, Told},
    line::State,
    search::Search,
    telling::Voice,
};
use crate::{
    reason::Refusal,
    time::{Elapsed, MINUTE_MS, Now},
};

/// How long a license must have been held before its loss is answered by asking its server at once,
/// if it was lost there before, in milliseconds. So a server that grants and hangs up is not asked in
/// a loop.
const QUIET_MS: u64 = MINUTE_MS;

/// A license that was lost.
#[derive(Debug)]
pub(super) struct Loss {
    /// The server that it hung on.
    pub(super) server: ServerIndex,
    /// Why, for the log.
    why: String,
    pub(super) grace: Grace,
    /// The log knows. A link that is regained at once is no loss.
    pub(super) announced: bool,
}

impl Client {
    /// The connection that the license hangs on is gone. That is a loss only if an attempt at once
    /// does not bring it back.
    pub(super) fn license_link_lost(
        &mut self,
        now: Now,
        server: ServerIndex,
        why: String,
        late_ms: u64,
    ) {
        self.disconnect(server);
        let resting = self.lose(now, why.clone(), late_ms);
        if resting.contains(&server) {
            self.announce_loss(now, Told::Lost { server, why }, None);
            self.begin_round(now, self.voice_after_loss(), &resting);
        } else {
            self.begin_round(now, Voice::Quiet, &resting);
        }
    }

    /// The server took the session back, so nothing is in doubt: the loss is told at once.
    pub(super) fn revoked(&mut self, now: Now, server: ServerIndex, refusal: Refusal) {
        let (State::Up | State::Checking { .. }) = self.lines[server].state else { return };
        self.disconnect(server);
        let resting = self.lose(now, alloc::format!("{refusal}"), 0);
        self.telling.is_news(server, refusal.code);
        self.announce_loss(now, Told::Revoked { server, refusal }, None);
        self.begin_round(now, self.voice_after_loss(), &resting);
    }

    /// The grace period begins; it did `late_ms` ago, when the machine slept through the loss.
    /// Returns the servers that are not to be asked at once.
    fn lose(&mut self, now: Now, why: String, late_ms: u64) -> Vec<ServerIndex> {
        let License::Valid { server, since, .. } = self.license else { return Vec::new() };
        let mut resting = self.lost_lately(now);
        let quiet = now.elapsed.since_ms(since) >= QUIET_MS;
        resting.retain(|&other| other != server);
        if quiet {
            self.backoff.reset();
        } else if self.lines[server].lost_at.is_some() {
            resting.push(server);
        }
        self.lines[server].lost_at = Some(now.elapsed);
        self.search = Search::Off;
        let grace_ms = self.held.as_ref().map_or(0, |held| held.grant.grace_ms);
        let since = Elapsed(now.elapsed.0.saturating_sub(late_ms));
        let grace = Grace::new(since, grace_ms, self.settings.shutdown_lead_ms);
        self.license = License::Lost(Loss { server, why, grace, announced: false });
        resting
    }

    /// The servers whose license was lost a short while ago.
    pub(super) fn lost_lately(&self, now: Now) -> Vec<ServerIndex> {
        let lately = |lost_at: Elapsed| now.elapsed.since_ms(lost_at) < QUIET_MS;
        let servers = 0..self.lines.len();
        servers.filter(|&server| self.lines[server].lost_at.is_some_and(lately)).collect()
    }

    /// Tells a loss once. `said_by` is the server whose refusal it is, if it is one.
    fn announce_loss(&mut self, now: Now, told: Told, said_by: Option<ServerIndex>) {
        let License::Lost(loss) = &mut self.license else { return };
        if core::mem::replace(&mut loss.announced, true) {
            return;
        }
        let left_ms = loss.grace.left_ms(now.elapsed);
        self.telling.told_in_full(now);
        self.tell(told);
        self.tell_steps_so_far(said_by);
        self.tell(Told::EndsWithin(left_ms));
        self.hook(Hook::Lost);
    }

    /// The attempt to regain what was lost has failed, if `server` is the one that lost it: now it
    /// is a loss.
    pub(super) fn lost_server_failed(&mut self, now: Now, server: ServerIndex, failure: &Failure) {
        if !matches!(&self.license, License::Lost(loss) if !loss.announced && loss.server == server)
        {
            return;
        }
        match failure {
            // The server is well and says that the session is no more.
            Failure::Refused(refusal) => {
                let told = Told::Revoked { server, refusal: refusal.clone() };
                self.announce_loss(now, told, Some(server));
            }
            // What a server says that proves nothing is a plain loss.
            Failure::Connect(_) => {
                if self.lines.len() == 1 && failure.refusal().is_some() {
                    self.tell(failure.told(server));
                }
                self.announce_loss(now, Told::Lost { server, why: failure.sentence() }, None);
            }
        }
    }

    /// What was lost is not regained on its server, or not soon.
    pub(super) fn announce_plain_loss(&mut self, now: Now) {
        if let License::Lost(loss) = &self.license {
            let told = Told::Lost { server: loss.server, why: loss.why.clone() };
            self.announce_loss(now, told, None);
        }
    }
}
