//! What of a search is worth telling: the first round, then one every ten minutes, and in between
//! only what is new.

use alloc::vec::Vec;

use super::{
    Client, License,
    failure::Failure,
    io::{ServerIndex, Told},
    preference::Preference,
    search::{Search, Step},
};
use crate::{
    reason::ReasonCode,
    time::{Elapsed, MINUTE_MS, Now},
};

/// How often the same failure is told again while retrying, in milliseconds.
const TELL_AGAIN_MS: u64 = 10 * MINUTE_MS;

/// How much of a round is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// Refusals that are new.
    Quiet,
    /// Every server that is tried and can't be reached, and refusals that are new: how a loss goes
    /// on where there is more than one server.
    Steps,
    /// Every server that is tried, every refusal, and at the end one that could not be reached.
    Full,
}

/// What was told of the failures since the last grant.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// When a round is told in full again.
    loud_at: Elapsed,
    /// Refusals that the log knows.
    refusals: Vec<(ServerIndex, ReasonCode)>,
}

impl Telling {
    /// How much of a round that begins now is told.
    pub(super) fn voice(&mut self, now: Now) -> Voice {
        if self.loud_at > now.elapsed {
            return Voice::Quiet;
        }
        self.told_in_full(now);
        Voice::Full
    }

    /// The log has just heard everything: the next rounds are quiet.
    pub(super) fn told_in_full(&mut self, now: Now) {
        self.loud_at = now.elapsed.plus_ms(TELL_AGAIN_MS);
    }

    /// The next series of attempts is news. Not so what servers of higher preference say, for they
    /// are asked on.
    pub(super) fn licensed_by(&mut self, server: ServerIndex, preference: &Preference) {
        self.loud_at = Elapsed::default();
        self.refusals.retain(|(refused_by, _)| preference.is_before(*refused_by, server));
    }

    /// Whether the log has not heard this yet; from now on it has.
    pub(super) fn is_news(&mut self, server: ServerIndex, code: ReasonCode) -> bool {
        let new = !self.refusals.contains(&(server, code));
        if new {
            self.refusals.push((server, code));
        }
        new
    }
}

impl Client {
    /// How a round goes on that follows a loss which was told.
    pub(super) fn voice_after_loss(&self) -> Voice {
        if self.lines.len() > 1 { Voice::Steps } else { Voice::Quiet }
    }

    /// A server of the round was of no use.
    pub(super) fn tell_of_attempt(&mut self, server: ServerIndex, failure: &Failure) {
        // A loss that the log does not know of yet may still be none.
        if matches!(&self.license, License::Lost(loss) if !loss.announced) {
            return;
        }
        let Search::On(round) = &self.search else { return };
        let voice = round.voice;
        let worth_it = match failure.refusal() {
            Some(refusal) => self.telling.is_news(server, refusal.code) || voice == Voice::Full,
            None => voice == Voice::Steps,
        };
        if worth_it {
            self.tell(failure.told(server));
        }
    }

    /// What the round has done before the loss was told, now that it is one. `but` is the server
    /// whose answer was the loss.
    pub(super) fn tell_steps_so_far(&mut self, but: Option<ServerIndex>) {
        let voice = self.voice_after_loss();
        let Search::On(round) = &mut self.search else { return };
        round.voice = voice;
        let mut told = Vec::new();
        for (server, step) in round.steps.iter().enumerate() {
            let failure = match step {
                Step::Waiting | Step::Skipped => continue,
                Step::Trying => None,
                Step::Failed(failure) => Some(failure),
            };
            if let Some(refusal) = failure.and_then(Failure::refusal) {
                self.telling.is_news(server, refusal.code);
            }
            if but != Some(server) {
                told.push(Told::Trying(server));
                told.extend(failure.map(|failure| failure.told(server)));
            }
        }
        // With one server the loss itself says all that there is to say.
        if voice == Voice::Quiet {
            return;
        }
        for told in told {
            self.tell(told);
        }
    }
}
