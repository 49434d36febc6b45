//! A grant: the first one, one after a loss, one of a server that is preferred, or one too many.

use super::{
    Client, Guest, License, SHORTEST_CHECK_INTERVAL_MS,
    ending::last_words_by,
    failure::Failure,
    io::{Effect, Hook, ServerIndex, Told},
    line::{Aim, State},
    loss::Loss,
    search::Search,
};
use crate::{
    grant::Grant,
    reason::Refusal,
    time::{Elapsed, Now},
};

/// The grant that counts, and who gave it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) server: ServerIndex,
    pub(super) grant: Grant,
}

impl Client {
    pub(super) fn granted(&mut self, now: Now, server: ServerIndex, grant: Grant) {
        match self.lines[server].state {
            State::Checking { .. } => self.checked(now, server, grant),
            State::LoggingIn { .. } => self.login_granted(now, server, grant),
            State::Idle
            | State::Connecting { .. }
            | State::Greeted { .. }
            | State::Up
            | State::Granted { .. }
            | State::LoggingOut { .. } => {}
        }
    }

    /// A login, a check or a logout was refused.
    pub(super) fn refused(&mut self, now: Now, server: ServerIndex, refusal: Refusal) {
        match self.lines[server].state {
            // The server has taken the session back.
            State::Checking { .. } => self.revoked(now, server, refusal),
            State::LoggingIn { .. } => {
                self.disconnect(server);
                self.attempt_failed(now, server, &Failure::Refused(refusal));
            }
            // There is no such session any more: that was the aim.
            State::LoggingOut { .. } => self.hang_up(server),
            State::Idle
            | State::Connecting { .. }
            | State::Greeted { .. }
            | State::Up
            | State::Granted { .. } => {}
        }
    }

    fn checked(&mut self, now: Now, server: ServerIndex, grant: Grant) {
        self.lines[server].state = State::Up;
        if let License::Valid { next_check, .. } = &mut self.license {
            *next_check = next_check_of(&grant, now);
        }
        self.learn(now, |preference| preference.at_home_with(grant.home.as_ref()));
        self.held = Some(Held { server, grant });
    }

    fn login_granted(&mut self, now: Now, server: ServerIndex, grant: Grant) {
        match &self.license {
            License::Wanted { .. } => {
                self.hold(now, server, grant.clone());
                self.tell(Told::Licensed(server, grant));
                self.guest = Guest::Runs;
                self.do_next(Effect::StartGuest);
                self.leave_if_closing(now, server);
            }
            License::Lost(Loss { server: lost, announced, .. }) => {
                let (lost, silent) = (*lost, !announced && *lost == server);
                self.found_again(now, server, grant, lost, silent);
                self.leave_if_closing(now, server);
            }
            License::Valid { server: holder, .. } => {
                let holder = *holder;
                // Where the host is at home, who licenses knows better than who may.
                let is_better =
                    self.preference.is_before(server, holder) || self.lines[holder].closing;
                if is_better && !self.lines[server].closing {
                    self.move_over(now, server, grant, holder);
                } else {
                    self.give_back(now, server, &grant);
                    self.is_not_for_this_round(now, server);
                }
            }
            // The program is ending, and the guest perhaps still about to: with a seat that somebody
            // else has by now it must not run for a moment.
            License::NotWanted if self.guest != Guest::Ended => {
                self.lines[server].state = State::Granted { session: grant.session };
            }
            License::NotWanted => self.give_back(now, server, &grant),
        }
    }

    /// A seat that is not needed goes back.
    fn give_back(&mut self, now: Now, server: ServerIndex, grant: &Grant) {
        self.log_out(server, Some(grant.session), last_words_by(now));
    }

    /// Licensed again after a loss; `silent`: at once and on the same server, so that it was none.
    fn found_again(
        &mut self,
        now: Now,
        server: ServerIndex,
        grant: Grant,
        lost: ServerIndex,
        silent: bool,
    ) {
        if silent {
            return self.hold(now, server, grant);
        }
        self.announce_plain_loss(now);
        self.hold(now, server, grant.clone());
        self.tell(Told::Licensed(server, grant));
        self.tell(Told::Restored { wall: now.wall });
        if server != lost {
            self.switched(server, lost);
        }
        self.hook(Hook::Restored);
    }

    /// The license moves to another server without a loss.
    fn move_over(&mut self, now: Now, server: ServerIndex, grant: Grant, holder: ServerIndex) {
        let left = self.session_at(holder);
        if self.lines[holder].closing {
            self.lines[holder].lost_at = Some(now.elapsed);
        }
        let aim = self.lines[server].aim;
        self.hold(now, server, grant.clone());
        if aim == Aim::Failback {
            self.tell(Told::Trying(server));
        }
        self.tell(Told::Licensed(server, grant));
        if aim == Aim::Start {
            // A server that was only a little slower at the start is no event for the operator's hooks.
            let back = self.preference.is_before(server, holder);
            self.tell(Told::Switched { server, back });
        } else {
            self.tell(Told::Restored { wall: now.wall });
            self.switched(server, holder);
        }
        self.log_out(holder, left, last_words_by(now));
    }

    /// From now on the license hangs on `server`. Connections to servers of lower preference that
    /// are only being made are given up; those to servers of higher preference go on.
    fn hold(&mut self, now: Now, server: ServerIndex, grant: Grant) {
        let probed_so_far = self.probe_deadline().is_some();
        self.search = Search::Off;
        self.learn(now, |preference| preference.at_home_with(grant.home.as_ref()));
        self.telling.licensed_by(server, &self.preference);
        let next_check = next_check_of(&grant, now);
        self.license = License::Valid { server, since: now.elapsed, next_check };
        self.held = Some(Held { server, grant });
        self.lines[server].state = State::Up;
        for other in 0..self.lines.len() {
            match self.lines[other].state {
                State::Connecting { .. } if self.preference.is_before(server, other) => {
                    self.disconnect(other);
                }
                // It waited for its turn in the search, which is over.
                State::Greeted { .. } => self.disconnect(other),
                _ => {}
            }
        }
        self.plan_probes(now, server, probed_so_far);
    }

    /// The license has moved from one server to another.
    fn switched(&mut self, server: ServerIndex, from: ServerIndex) {
        let back = self.preference.is_before(server, from);
        self.tell(Told::Switched { server, back });
        self.hook(if back { Hook::Failback } else { Hook::Failover });
    }
}

fn next_check_of(grant: &Grant, now: Now) -> Elapsed {
    now.elapsed.plus_ms(grant.check_interval_ms.max(SHORTEST_CHECK_INTERVAL_MS))
}
