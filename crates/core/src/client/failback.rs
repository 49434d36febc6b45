//! The way back to a server of higher preference, so that a backup's hours are used only while they
//! must be: probe it, and after two good probes in a row log in there first and out here second.

use super::{
    Client, License,
    failure::Failure,
    io::{ServerIndex, Told},
    line::{Aim, State},
    search::Search,
};
use crate::time::{Elapsed, Now};

/// The shortest time between two probes, in milliseconds, whatever is configured.
const SHORTEST_PROBE_MS: u64 = 100;

impl Client {
    /// The license has just come to `server`. Good probes of others that are preferred to it still
    /// count, if there were any.
    pub(super) fn plan_probes(&mut self, now: Now, server: ServerIndex, probed_so_far: bool) {
        for (other, line) in self.lines.iter_mut().enumerate() {
            line.probed &= self.preference.is_before(other, server);
        }
        if !probed_so_far {
            self.plan_next_probe(now);
        }
    }

    pub(super) fn plan_next_probe(&mut self, now: Now) {
        let pause_ms = self.backoff.around_ms(self.settings.primary_probe_ms);
        self.probe_at = now.elapsed.plus_ms(pause_ms.max(SHORTEST_PROBE_MS));
    }

    /// When servers of higher preference are probed next: only while one of lower preference
    /// licenses and none is looked for.
    pub(super) fn probe_deadline(&self) -> Option<Elapsed> {
        let License::Valid { server, .. } = self.license else { return None };
        let wanted = self.preference.place(server) > 0 && matches!(self.search, Search::Off);
        wanted.then_some(self.probe_at)
    }

    /// Does what is due of it.
    pub(super) fn probe_when_due(&mut self, now: Now) {
        let License::Valid { server: holder, .. } = self.license else { return };
        if self.probe_deadline().is_none_or(|probe_at| probe_at > now.elapsed) {
            return;
        }
        self.plan_next_probe(now);
        for server in self.preference.order().take_while(move |&server| server != holder) {
            if self.lines[server].state == State::Idle {
                self.connect(now, server, Aim::Probe);
            }
        }
    }

    /// A connection to `server` stands. Returns whether that was all that it was made for: the
    /// second good probe in a row goes on with a login, unless it has shown that this server is not
    /// preferred after all.
    pub(super) fn was_only_a_probe(&mut self, server: ServerIndex) -> bool {
        let line = &mut self.lines[server];
        if line.aim != Aim::Probe {
            return false;
        }
        if let License::Valid { server: holder, .. } = self.license
            && !self.preference.is_before(server, holder)
        {
            return true;
        }
        let first = !core::mem::replace(&mut line.probed, true);
        if !first {
            line.aim = Aim::Failback;
        }
        first
    }

    /// A server that would have been preferred was of no use: nothing changes. What it says is told
    /// once.
    pub(super) fn stay(&mut self, server: ServerIndex, failure: &Failure) {
        let aim = self.lines[server].aim;
        let License::Valid { server: holder, .. } = self.license else { return };
        let Some(refusal) = failure.refusal() else { return };
        if self.preference.is_before(server, holder) && self.telling.is_news(server, refusal.code) {
            if let Aim::Probe | Aim::Failback = aim {
                self.tell(Told::Trying(server));
            }
            self.tell(failure.told(server));
        }
    }
}
