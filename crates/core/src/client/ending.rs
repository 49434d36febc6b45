//! The ends: of the guest, of the session, of the program.

use super::{
    AskedBy, Client, Guest, License, Link,
    io::{Effect, Exit, Told},
};
use crate::time::{Elapsed, Now};

impl Client {
    /// The operator's first wish is a clean shutdown, the second an end at once.
    pub(super) fn stop_requested(&mut self, now: Now) {
        match self.guest {
            Guest::NotStarted => {
                self.guest = Guest::Ended;
                self.end_session(now);
            }
            Guest::Runs => {
                self.tell(Told::ShutdownForOperator);
                self.guest = Guest::Asked { by: AskedBy::Operator, stop_at: Some(self.patience(now)) };
                self.effects.push_back(Effect::ShutDownGuest);
            }
            // It is shutting down already, on the license's account: the wish only bounds that.
            Guest::Asked { by, stop_at: None } => {
                self.guest = Guest::Asked { by, stop_at: Some(self.patience(now)) }
            }
            Guest::Asked { by, stop_at: Some(_) } => self.stop_guest(by),
            Guest::Stopped { .. } | Guest::Ended => {}
        }
    }

    /// Until when a guest may take its time after the operator's first wish.
    fn patience(&self, now: Now) -> Elapsed {
        now.elapsed.plus_ms(self.settings.shutdown_timeout_ms)
    }

    fn stop_guest(&mut self, by: AskedBy) {
        self.tell(Told::StoppedForOperator);
        self.guest = Guest::Stopped { by };
        self.effects.push_back(Effect::StopGuest);
    }

    pub(super) fn look_at_the_guest(&mut self, now: Now) {
        if let Guest::Asked { by, stop_at: Some(stop_at) } = self.guest
            && stop_at <= now.elapsed
        {
            self.stop_guest(by);
        }
    }

    pub(super) fn guest_ended(&mut self, now: Now) {
        self.ends_as = match self.guest {
            Guest::Asked { by: AskedBy::License, .. } | Guest::Stopped { by: AskedBy::License } => {
                Exit::LicenseLost
            }
            _ => Exit::AsGuest,
        };
        self.guest = Guest::Ended;
        self.end_session(now);
    }

    pub(super) fn guest_failed(&mut self, now: Now) {
        self.ends_as = Exit::GuestFailed;
        self.guest = Guest::Ended;
        self.end_session(now);
    }

    /// Gives the seat back, if the server can be told, and ends.
    fn end_session(&mut self, now: Now) {
        let holds = matches!(self.license, License::Valid { .. });
        self.license = License::NotWanted;
        match self.link {
            Link::Up { .. } | Link::Asking { .. } if holds => self.log_out(now),
            // A login may be granted any moment: its seat must go back as well.
            Link::Asking { .. } | Link::LoggingOut { .. } => {}
            Link::Connecting { .. } | Link::Down { .. } | Link::Up { .. } => self.finish(),
        }
    }

    pub(super) fn log_out(&mut self, now: Now) {
        match self.session() {
            Some(session) => {
                self.link = Link::LoggingOut { since: now.elapsed };
                self.effects.push_back(Effect::Logout { session });
            }
            None => self.finish(),
        }
    }

    pub(super) fn logged_out(&mut self) {
        if let Link::LoggingOut { .. } = self.link {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.effects.push_back(Effect::Disconnect);
        let exit = self.ends_as.clone();
        self.exit(exit);
    }
}
