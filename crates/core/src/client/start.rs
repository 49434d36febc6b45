//! The start: a guest only under a license, and a reason when there is none.

use super::{
    Client, Guest, License, backoff,
    io::{Exit, Told},
    search::{Round, Search},
};
use crate::time::{Elapsed, Now};

impl Client {
    pub(super) fn start(&mut self, now: Now) {
        // Once.
        if matches!(self.license, License::NotWanted) && self.guest == Guest::NotStarted {
            let give_up_at = now.elapsed.plus_ms(self.settings.start_wait_ms);
            self.license = License::Wanted { give_up_at };
            let voice = self.telling.voice(now);
            self.begin_round(now, voice, &[]);
        }
    }

    /// No server of this round would have us: wait as long as the operator allows, or give up.
    pub(super) fn start_failed(&mut self, now: Now, round: &Round, give_up_at: Elapsed) {
        if now.elapsed < give_up_at {
            let pause_ms = self.backoff.next_pause_ms(backoff::LONGEST_MS);
            let retry_at = now.elapsed.plus_ms(pause_ms).min(give_up_at);
            self.search = Search::Paused { retry_at };
            return;
        }
        self.ends_as = if let Some(refusal) = round.refusal() {
            Exit::Refused(refusal)
        } else {
            self.tell(Told::Unavailable);
            let why = round.unreachable().map(|(_, failure)| failure.sentence());
            Exit::NoServer(why.unwrap_or_default())
        };
        self.guest = Guest::Ended;
        self.license = License::NotWanted;
        self.end_if_done();
    }
}
