//! Every refusal has one reason code, the same on both sides.

use std::collections::BTreeMap;

use ve_core::{
    client::io::Told,
    id::LinkId,
    node::io::{Answer, Note, RequestId},
    reason::ReasonCode,
};

use super::{
    Invariant,
    books::{AskBook, Books},
};
use crate::{clock::At, fact::Fact};

/// What a client is told and tells its log is what the server decided and noted in its own.
#[derive(Default)]
pub(crate) struct Reasons {
    /// The last login refusal that each server has noted.
    noted: BTreeMap<usize, ReasonCode>,
    refused: BTreeMap<(LinkId, RequestId), ReasonCode>,
    revoked: BTreeMap<LinkId, Vec<ReasonCode>>,
    /// What each client has heard from each server last.
    heard: BTreeMap<(usize, usize), Vec<ReasonCode>>,
}

impl Reasons {
    fn answered(
        &mut self,
        books: &Books,
        server: usize,
        key: (LinkId, RequestId),
        code: ReasonCode,
    ) -> Result<(), String> {
        self.refused.insert(key, code);
        let is_login = books.servers[server].asked.get(&key).is_some_and(AskBook::is_login);
        match self.noted.get(&server) {
            Some(noted) if is_login && *noted != code => {
                Err(format!("server {server} refused with {code} and wrote {noted} into its log"))
            }
            None if is_login => {
                Err(format!("server {server} refused with {code} and noted nothing"))
            }
            _ => Ok(()),
        }
    }

    fn hear(
        &mut self,
        client: usize,
        server: usize,
        said: bool,
        code: ReasonCode,
    ) -> Result<(), String> {
        if !said {
            return Err(format!("client {client} heard {code}, which server {server} didn't say"));
        }
        let heard = self.heard.entry((client, server)).or_default();
        heard.push(code);
        heard.drain(..heard.len().saturating_sub(16));
        Ok(())
    }
}

impl Invariant for Reasons {
    fn name(&self) -> &'static str {
        "reasons"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Noted { server, note: Note::Refused(_, refusal), .. } => {
                self.noted.insert(*server, refusal.code);
                Ok(())
            }
            Fact::Answered { server, link, request, answer: Answer::Refused(refusal), .. } => {
                self.answered(books, *server, (*link, *request), refusal.code)
            }
            Fact::Revoking { link, refusal, .. } => {
                self.revoked.entry(*link).or_default().push(refusal.code);
                Ok(())
            }
            Fact::Refused { client, server, link, request, refusal, .. } => {
                let said = self.refused.remove(&(*link, *request)) == Some(refusal.code);
                self.hear(*client, *server, said, refusal.code)
            }
            Fact::Revoked { client, server, link, refusal, .. } => {
                let said = self.revoked.get(link).is_some_and(|it| it.contains(&refusal.code));
                self.hear(*client, *server, said, refusal.code)
            }
            // What was said last is not heard any more.
            Fact::LinkLost { link, .. } | Fact::GaveUp { link, .. } => {
                self.revoked.remove(link);
                let said = self.refused.range((*link, 0)..=(*link, RequestId::MAX));
                for key in said.map(|(key, _)| *key).collect::<Vec<_>>() {
                    self.refused.remove(&key);
                }
                Ok(())
            }
            Fact::Told {
                client,
                told: Told::Refused { server, refusal, .. } | Told::Revoked { server, refusal },
            } => {
                let heard = self.heard.get(&(*client, *server));
                if heard.is_some_and(|heard| heard.contains(&refusal.code)) {
                    return Ok(());
                }
                let code = refusal.code;
                Err(format!("client {client} logs {code}, which server {server} didn't say"))
            }
            _ => Ok(()),
        }
    }
}
