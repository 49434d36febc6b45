//! The ends: of the guest, of the session, of the program.

use super::{
    AskedBy, Client, Guest, LAST_WORDS_TIMEOUT_MS, License, Link,
    io::{Effect, Exit, ServerIndex, Told},
};
use crate::time::{Elapsed, Now};

impl Client {
    /// The operator's first wish is a clean shutdown, the second an end at once.
    pub(super) fn stop_requested(&mut self, now: Now) {
        let again = core::mem::replace(&mut self.stop_requested, true);
        match self.guest {
            Guest::NotStarted => {
                self.guest = Guest::Ended;
                self.end_session(now);
            }
            Guest::Runs => self.shut_down_for_operator(now, AskedBy::Operator),
            Guest::Asked { by, stop_at: None } => {
                if let License::Lost { .. } = self.license {
                    // It is shutting down already: the wish only bounds that.
                    self.guest = Guest::Asked { by, stop_at: Some(self.patience(now)) };
                } else {
                    self.shut_down_for_operator(now, by);
                }
            }
            Guest::Asked { by, stop_at: Some(_) } => self.stop_for_operator(by),
            // Only a server is still waited for.
            Guest::Ended if again => self.hang_up(),
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
        self.end_session(now);
    }

    pub(super) fn guest_failed(&mut self, now: Now) {
        if let Guest::NotStarted | Guest::Ended = self.guest {
            return;
        }
        self.ends_as = Exit::GuestFailed;
        self.guest = Guest::Ended;
        self.end_session(now);
    }

    /// Gives the seat back, if the server can be told, and ends.
    fn end_session(&mut self, now: Now) {
        let licensed = matches!(self.license, License::Valid { .. });
        self.license = License::NotWanted;
        match self.link {
            Link::Up { server } | Link::Asking { server, .. } if licensed => {
                self.log_out(now, server);
            }
            // A login may be granted any moment: its seat must go back as well.
            Link::Asking { server, until } => {
                let until = until.min(last_words_by(now));
                self.link = Link::Asking { server, until };
            }
            Link::LoggingOut { .. } => {}
            Link::Connecting { .. } | Link::Down { .. } | Link::Up { .. } => self.hang_up(),
        }
    }

    pub(super) fn log_out(&mut self, now: Now, server: ServerIndex) {
        match self.session() {
            Some(session) => {
                self.link = Link::LoggingOut { server, until: last_words_by(now) };
                self.do_next(Effect::Logout { session });
            }
            None => self.hang_up(),
        }
    }

    pub(super) fn logged_out(&mut self) {
        if let Link::LoggingOut { server, .. } = self.link {
            self.tell(Told::LoggedOut(server));
            self.hang_up();
        }
    }

    /// No server is needed any more; without a guest there is nothing left to do at all.
    pub(super) fn hang_up(&mut self) {
        self.disconnect();
        if self.guest == Guest::Ended {
            self.over = true;
            let exit = self.ends_as.clone();
            self.do_next(Effect::Exit(exit));
        }
    }
}

fn last_words_by(now: Now) -> Elapsed {
    now.elapsed.plus_ms(LAST_WORDS_TIMEOUT_MS)
}
