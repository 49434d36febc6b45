//! Nothing acknowledged is lost: a start knows every session that was granted and none that was
//! logged out.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    id::SessionId,
    node::{event::Remembered, io::Answer},
};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// Sessions survive crashes, and so do their ends.
#[derive(Default)]
pub(crate) struct Acknowledged {
    logged_out: BTreeMap<usize, BTreeSet<SessionId>>,
}

impl Acknowledged {
    fn judge(&self, books: &Books, server: usize, remembered: &Remembered) -> Result<(), String> {
        let stored = &remembered.sessions;
        let knows = |id: &SessionId| stored.iter().any(|session| session.id == *id);
        let lost = books.servers[server].sessions.iter();
        if let Some((_, session)) = lost.filter(|(_, it)| it.holds()).find(|(id, _)| !knows(id)) {
            return Err(format!(
                "server {server} has forgotten session {} of {}, which it had granted",
                session.number, session.emulator
            ));
        }
        match self.logged_out.get(&server).into_iter().flatten().find(|id| knows(id)) {
            Some(_) => Err(format!("server {server} remembers a session that it had logged out")),
            None => Ok(()),
        }
    }
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "acknowledged"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Answered { server, answer: Answer::LoggedOut(session), .. } => {
                self.logged_out.entry(*server).or_default().insert(*session);
            }
            Fact::LedgerReplaced { server, .. } => {
                self.logged_out.remove(server);
            }
            Fact::ServerStarted { server, remembered, .. } => {
                return self.judge(books, *server, remembered);
            }
            _ => {}
        }
        Ok(())
    }
}
