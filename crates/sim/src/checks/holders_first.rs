//! Who comes back to its own session within its lease gets it, whoever else wants in.

use std::collections::BTreeMap;

use ve_core::{
    id::{LinkId, SessionId},
    node::io::{Answer, Ask, RequestId},
    reason::ReasonCode,
};

use super::{
    Invariant,
    books::{Books, SessionBook},
};
use crate::{clock::At, fact::Fact};

/// A holder is never told that there is no seat, and never gets another session than its own.
#[derive(Default)]
pub(crate) struct HoldersFirst {
    /// Logins that name a session which is surely theirs.
    returning: BTreeMap<(usize, LinkId, RequestId), SessionId>,
}

impl Invariant for HoldersFirst {
    fn name(&self) -> &'static str {
        "holders_first"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Asked { server, link, request, ask: Ask::Login { login, .. }, now } => {
                let book = &books.servers[*server];
                let host = book.links.get(link).map(|(host, _)| *host);
                let named = login.session.and_then(|id| Some((id, book.sessions.get(&id)?)));
                if let Some((id, session)) = named
                    && session.holds()
                    && host == Some(session.host)
                    && session.run == login.run
                    && session.emulator == login.emulator
                    && !session.lease_is_over(now.elapsed)
                {
                    self.returning.insert((*server, *link, *request), id);
                }
                Ok(())
            }
            Fact::Answered { server, link, request, answer, .. } => {
                let Some(session) = self.returning.remove(&(*server, *link, *request)) else {
                    return Ok(());
                };
                let doubtful =
                    !books.servers[*server].sessions.get(&session).is_some_and(SessionBook::holds);
                match answer {
                    Answer::Granted(grant) if grant.session != session && !doubtful => {
                        Err(format!(
                            "server {server} gave a client that came back another session than its own"
                        ))
                    }
                    Answer::Refused(refusal)
                        if refusal.code == ReasonCode::InstanceLimit && !doubtful =>
                    {
                        Err(format!(
                            "server {server} has no seat for a client that came back to its own: \
                             {refusal}"
                        ))
                    }
                    _ => Ok(()),
                }
            }
            Fact::ServerStopped { server, .. } => {
                self.returning.retain(|(of, ..), _| of != server);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
