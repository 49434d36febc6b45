//! The ends: of the guest, of the session, of the program.

use super::{
    AskedBy, Client, Guest, LAST_WORDS_TIMEOUT_MS, License,
    grace::Due,
    io::{Effect, Exit, Hook, ServerIndex, Told},
    line::State,
    search::Search,
};
use crate::time::{Elapsed, Now};

impl Client {
    /// The operator's first wish is a clean shutdown, the second an end at once.
    pub(super) fn stop_requested(&mut self, now: Now) {
        let again = core::mem::replace(&mut self.stop_requested, true);
        match self.guest {
            Guest::NotStarted => {
                self.guest = Guest::Ended;
                self.end_sessions(now);
            }
            Guest::Runs => self.shut_down_for_operator(now, AskedBy::Operator),
            Guest::Asked { by, stop_at: None } => {
                if let License::Lost(_) = self.license {
                    // It is shutting down already: the wish only bounds that.
                    self.guest = Guest::Asked { by, stop_at: Some(self.patience(now)) };
                } else {
                    self.shut_down_for_operator(now, by);
                }
            }
            Guest::Asked { by, stop_at: Some(_) } => self.stop_for_operator(by),
            // Only a server is still waited for.
            Guest::Ended if again => self.hang_up_on_all(),
            Guest::Stopped { .. } | Guest::Ended => {}
        }
    }

    /// Until when a guest may take its time after the operator's first wish.
    fn patience(&self, now: Now) -> Elapsed {
        now.elapsed.plus_ms(self.settings.shutdown_timeout_ms)
    }

    fn shut_down_for_operator(&mut self, now: Now, by: AskedBy) {
        self.tell(Told::ShutdownForOperator);
        self.guest = Guest::Asked { by, stop_at: Some(self.patience(now)) };
        self.do_next(Effect::ShutDownGuest);
    }

    fn stop_for_operator(&mut self, by: AskedBy) {
        self.tell(Told::StoppedForOperator);
        self.guest = Guest::Stopped { by };
        self.do_next(Effect::StopGuest);
    }

    pub(super) fn look_at_the_guest(&mut self, now: Now) {
        if let Guest::Asked { by, stop_at: Some(stop_at) } = self.guest
            && stop_at <= now.elapsed
        {
            self.stop_for_operator(by);
        }
    }

    pub(super) fn guest_ended(&mut self, now: Now) {
        self.ends_as = match self.guest {
            Guest::Asked { by: AskedBy::License, .. } | Guest::Stopped { by: AskedBy::License } => {
                Exit::LicenseLost
            }
            Guest::Runs | Guest::Asked { .. } | Guest::Stopped { .. } => Exit::AsGuest,
            Guest::NotStarted | Guest::Ended => return,
        };
        self.guest = Guest::Ended;
        self.end_sessions(now);
    }

    pub(super) fn guest_failed(&mut self, now: Now) {
        if let Guest::NotStarted | Guest::Ended = self.guest {
            return;
        }
        self.ends_as = Exit::GuestFailed;
        self.guest = Guest::Ended;
        self.end_sessions(now);
    }

    /// Gives every seat back whose server can be told, and ends.
    fn end_sessions(&mut self, now: Now) {
        self.license = License::NotWanted;
        self.search = Search::Off;
        for server in 0..self.lines.len() {
            match self.lines[server].state {
                State::Up | State::Checking { .. } => {
                    self.log_out(server, self.session_at(server), last_words_by(now));
                }
                // It may be granted any moment: its seat must go back as well.
                State::LoggingIn { until } => {
                    let until = until.min(last_words_by(now));
                    self.lines[server].state = State::LoggingIn { until };
                }
                State::Granted { session } => {
                    self.log_out(server, Some(session), last_words_by(now));
                }
                State::Connecting { .. } | State::Greeted { .. } => self.disconnect(server),
                State::LoggingOut { .. } | State::Idle => {}
            }
        }
        self.end_if_done();
    }

    fn hang_up_on_all(&mut self) {
        for server in 0..self.lines.len() {
            self.disconnect(server);
        }
        self.end_if_done();
    }

    pub(super) fn logged_out(&mut self, server: ServerIndex) {
        if let State::LoggingOut { .. } = self.lines[server].state {
            self.tell(Told::LoggedOut(server));
            self.hang_up(server);
        }
    }

    /// Nothing more is wanted of this connection.
    pub(super) fn hang_up(&mut self, server: ServerIndex) {
        self.disconnect(server);
        self.end_if_done();
    }

    /// Without a guest and without a seat that has to go back there is nothing left to do at all.
    pub(super) fn end_if_done(&mut self) {
        let quiet = self.lines.iter().all(|line| line.state == State::Idle);
        if quiet && self.guest == Guest::Ended && !core::mem::replace(&mut self.over, true) {
            let exit = self.ends_as.clone();
            self.do_next(Effect::Exit(exit));
        }
    }

    /// Does what the grace period has in store.
    pub(super) fn look_at_the_grace_period(&mut self, now: Now) {
        while self.guest_may_be_asked() {
            let License::Lost(loss) = &mut self.license else { return };
            let Some(due) = loss.grace.due(now.elapsed) else { return };
            // An attempt that hangs must not hide a loss.
            self.announce_plain_loss(now);
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
        self.search = Search::Off;
        // A login that is under way is waited for: its seat must go back.
        for server in 0..self.lines.len() {
            if let State::Connecting { .. } | State::Greeted { .. } = self.lines[server].state {
                self.disconnect(server);
            }
        }
    }
}

/// Until when the answer to a logout is waited for.
pub(super) fn last_words_by(now: Now) -> Elapsed {
    now.elapsed.plus_ms(LAST_WORDS_TIMEOUT_MS)
}
