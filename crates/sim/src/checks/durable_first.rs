//! Nothing is answered before it is durable.

use ve_core::node::io::Answer;

use super::{
    Invariant,
    books::{Books, SessionBook},
};
use crate::{clock::At, fact::Fact};

/// A grant's session is on the disk when the grant leaves; a session that is logged out is not.
pub(crate) struct DurableFirst;

impl Invariant for DurableFirst {
    fn name(&self) -> &'static str {
        "durable_first"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Answered { server, answer, ledger, .. } = fact else { return Ok(()) };
        match answer {
            Answer::Granted(grant) => {
                let book = books.servers[*server].sessions.get(&grant.session);
                if book.is_some_and(SessionBook::was_granted) || ledger.holds(grant.session) {
                    return Ok(());
                }
                Err(format!("server {server} granted a session that is not on its disk"))
            }
            Answer::LoggedOut(session) if ledger.holds(*session) => {
                Err(format!("server {server} confirmed a logout that is not on its disk"))
            }
            Answer::LoggedOut(_) | Answer::Refused(_) => Ok(()),
        }
    }
}
