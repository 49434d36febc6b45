//! The search for a license: rounds in which all servers are asked side by side, each a little
//! after the one before it, and pauses between them.

use alloc::vec::Vec;

use super::{
    Client, License, backoff,
    failure::Failure,
    io::{ServerIndex, Told},
    line::{Aim, State},
    preference::Preference,
    telling::Voice,
};
use crate::{
    reason::Refusal,
    time::{Elapsed, Now},
};

/// How much later than the server before it a server is asked, in milliseconds.
const HEAD_START_MS: u64 = 250;

/// Whether a license is looked for.
#[derive(Debug)]
pub(super) enum Search {
    /// No.
    Off,
    /// Servers are being asked.
    On(Round),
    /// All were asked in vain; again then.
    Paused { retry_at: Elapsed },
}

/// One round through all servers.
#[derive(Debug)]
pub(super) struct Round {
    begun: Elapsed,
    pub(super) voice: Voice,
    /// One for each server.
    pub(super) steps: Vec<Step>,
}

/// What a round has come to with one server.
#[derive(Debug)]
pub(super) enum Step {
    /// Its turn has not come.
    Waiting,
    /// It is being asked.
    Trying,
    /// It was of no use.
    Failed(Failure),
    /// It is not asked in this round.
    Skipped,
}

impl Step {
    fn is_over(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Skipped)
    }
}

impl Round {
    /// When it is the turn of the server at this place, whatever the servers before it do.
    fn turn(&self, place: usize) -> Elapsed {
        let places = u64::try_from(place).unwrap_or(u64::MAX);
        self.begun.plus_ms(places.saturating_mul(HEAD_START_MS))
    }

    /// Whether the server's turn has come: by the clock, or because all before it were of no use.
    fn is_turn(&self, server: ServerIndex, preference: &Preference, now: Now) -> bool {
        let mut before = preference.order().take_while(|&other| other != server);
        self.turn(preference.place(server)) <= now.elapsed
            || before.all(|other| self.steps[other].is_over())
    }

    /// What went wrong, in the order of the servers.
    fn failures(&self) -> impl DoubleEndedIterator<Item = (ServerIndex, &Failure)> {
        self.steps.iter().enumerate().filter_map(|(server, step)| match step {
            Step::Failed(failure) => Some((server, failure)),
            Step::Waiting | Step::Trying | Step::Skipped => None,
        })
    }

    /// The first refusal. It says more than a server that can't be reached.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.failures().find_map(|(_, failure)| failure.refusal())
    }

    /// The last server that could not be reached.
    pub(super) fn unreachable(&self) -> Option<(ServerIndex, &Failure)> {
        self.failures().rfind(|(_, failure)| failure.refusal().is_none())
    }
}

impl Client {
    /// Asks all servers but those of `skipped`. A server that is being asked already, for whatever
    /// reason, is part of the round.
    pub(super) fn begin_round(&mut self, now: Now, voice: Voice, skipped: &[ServerIndex]) {
        let mut steps = Vec::with_capacity(self.lines.len());
        for (server, line) in self.lines.iter_mut().enumerate() {
            steps.push(match line.state {
                State::Up | State::Checking { .. } | State::Granted { .. } => Step::Skipped,
                State::Connecting { .. } | State::Greeted { .. } | State::LoggingIn { .. } => {
                    line.aim = Aim::Search;
                    Step::Trying
                }
                State::Idle | State::LoggingOut { .. } if skipped.contains(&server) => {
                    Step::Skipped
                }
                State::Idle | State::LoggingOut { .. } => Step::Waiting,
            });
        }
        let round = Round { begun: now.elapsed, voice, steps };
        if voice != Voice::Quiet {
            self.tell_what_is_tried(&round);
        }
        self.search = Search::On(round);
        self.go_on_searching(now);
    }

    fn tell_what_is_tried(&mut self, round: &Round) {
        for (server, step) in round.steps.iter().enumerate() {
            if let Step::Trying = step {
                self.tell(Told::Trying(server));
            }
        }
    }

    /// Asks every server whose turn has come, and ends the round when all were of no use.
    fn go_on_searching(&mut self, now: Now) {
        for server in self.preference.order() {
            let Search::On(round) = &self.search else { return };
            if !round.is_turn(server, &self.preference, now) {
                continue;
            }
            match (self.lines[server].state, &round.steps[server]) {
                // A seat that goes back over the line is waited for.
                (State::Idle, Step::Waiting) => self.try_server(now, server),
                (State::Greeted { .. }, Step::Trying) => self.log_in(now, server),
                _ => {}
            }
        }
        if let Search::On(round) = &self.search
            && round.steps.iter().all(Step::is_over)
            && let Search::On(round) = core::mem::replace(&mut self.search, Search::Off)
        {
            self.round_failed(now, &round);
        }
    }

    fn try_server(&mut self, now: Now, server: ServerIndex) {
        let Search::On(round) = &mut self.search else { return };
        round.steps[server] = Step::Trying;
        if round.voice != Voice::Quiet {
            self.tell(Told::Trying(server));
        }
        let at_start = matches!(self.license, License::Wanted { .. });
        self.connect(now, server, if at_start { Aim::Start } else { Aim::Search });
    }

    /// Whether a server that was just found not to be the home must let the home go first. Which one
    /// it is shows only when it is connected with, so it may have been tried out of turn.
    pub(super) fn lets_home_go_first(&self, now: Now, server: ServerIndex) -> bool {
        let Search::On(round) = &self.search else { return false };
        self.preference.knows_home()
            && matches!(round.steps[server], Step::Trying)
            && !round.is_turn(server, &self.preference, now)
    }

    /// A server was of no use.
    pub(super) fn attempt_failed(&mut self, now: Now, server: ServerIndex, failure: &Failure) {
        self.lines[server].probed = false;
        if let License::NotWanted = self.license {
            return self.end_if_done();
        }
        match &mut self.search {
            Search::On(round) if matches!(round.steps[server], Step::Trying) => {
                round.steps[server] = Step::Failed(failure.clone());
                self.tell_of_attempt(server, failure);
                self.lost_server_failed(now, server, failure);
                self.go_on_searching(now);
            }
            _ => self.stay(server, failure),
        }
    }

    /// A server that would license is about to stop, as is the one that does: the round goes on, or is
    /// over, without it.
    pub(super) fn is_not_for_this_round(&mut self, now: Now, server: ServerIndex) {
        if let Search::On(round) = &mut self.search
            && matches!(round.steps[server], Step::Trying)
        {
            round.steps[server] = Step::Skipped;
            self.go_on_searching(now);
        }
    }

    fn round_failed(&mut self, now: Now, round: &Round) {
        if round.voice == Voice::Full
            && let Some((server, failure)) = round.unreachable()
        {
            self.tell(failure.told(server));
        }
        match self.license {
            License::Wanted { give_up_at } => self.start_failed(now, round, give_up_at),
            License::Lost { .. } => self.retry_later(now),
            // The server is about to stop, and nobody else would have us: stay as long as it does.
            License::Valid { .. } | License::NotWanted => {}
        }
    }

    fn retry_later(&mut self, now: Now) {
        let longest_ms = match &self.license {
            License::Lost(loss) => loss.grace.longest_pause_ms(),
            _ => backoff::LONGEST_MS,
        };
        let pause_ms = self.backoff.next_pause_ms(longest_ms);
        self.search = Search::Paused { retry_at: now.elapsed.plus_ms(pause_ms) };
    }

    /// Does what the search has in store.
    pub(super) fn look_at_the_search(&mut self, now: Now) {
        match self.search {
            Search::Paused { retry_at } if retry_at <= now.elapsed => {
                let voice = self.telling.voice(now);
                self.begin_round(now, voice, &[]);
            }
            Search::On(_) => self.go_on_searching(now),
            Search::Off | Search::Paused { .. } => {}
        }
    }

    /// When the search goes on by itself.
    pub(super) fn search_deadline(&self) -> Option<Elapsed> {
        match &self.search {
            Search::Off => None,
            Search::Paused { retry_at } => Some(*retry_at),
            Search::On(round) => {
                let waits = |&server: &ServerIndex| match self.lines[server].state {
                    State::Idle => matches!(round.steps[server], Step::Waiting),
                    State::Greeted { .. } => true,
                    _ => false,
                };
                let turn = |server| round.turn(self.preference.place(server));
                (0..self.lines.len()).filter(waits).map(turn).min()
            }
        }
    }
}
