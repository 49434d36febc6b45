//! A session belongs to one host, one emulator and one run of its program.

use std::collections::BTreeMap;

use ve_core::{
    id::{HostKey, SessionId},
    node::io::Answer,
};

use super::{
    Invariant,
    books::{AskBook, Books},
};
use crate::{clock::At, fact::Fact};

/// No session is ever granted to two.
#[derive(Default)]
pub(crate) struct OneOwner {
    owners: BTreeMap<(usize, SessionId), (HostKey, usize)>,
}

impl Invariant for OneOwner {
    fn name(&self) -> &'static str {
        "one_owner"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Answered { server, link, request, answer: Answer::Granted(grant), .. } = fact
        else {
            return Ok(());
        };
        let book = &books.servers[*server];
        let Some(asker) = book.links.get(link) else {
            return Err(format!("server {server} granted on a link that is closed"));
        };
        let owner = self.owners.entry((*server, grant.session)).or_insert(*asker);
        if owner != asker {
            return Err(format!(
                "server {server} granted one session to client {} and to client {}",
                owner.1, asker.1
            ));
        }
        let ask = book.asked.get(&(*link, *request));
        let session = book.sessions.get(&grant.session);
        match (ask, session) {
            (Some(AskBook::Login { run, .. }), Some(session)) if *run != session.run => {
                Err(format!("server {server} granted a session to another run than opened it"))
            }
            (None, _) => Err(format!("server {server} granted what was not asked")),
            _ => Ok(()),
        }
    }
}
