//! Two machines with one key are noticed, and so is a machine that another key has: whoever is refused
//! for its key is named in the log. Who asks for what no license covers may be refused for the
//! sake of an emulator's name before anybody looks at keys.

use std::collections::BTreeMap;

use ve_core::{
    id::{HostKey, LinkId},
    node::io::{Answer, Note, RequestId},
    reason::ReasonCode,
};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact, host_fact::short};

/// No clone is refused in silence.
#[derive(Default)]
pub(crate) struct Noticed {
    asked: BTreeMap<(usize, LinkId, RequestId), At>,
    noted: BTreeMap<(usize, HostKey), At>,
}

impl Noticed {
    fn refused(
        &mut self,
        books: &Books,
        at: At,
        server: usize,
        link: LinkId,
        asked: At,
    ) -> Result<(), String> {
        let Some((host, client)) = books.servers[server].links.get(&link) else { return Ok(()) };
        let place = books.hosts.place_of[*client];
        // While two are told apart, a third is refused for that alone.
        let alone = books.hosts.places.values().filter(|key| *key == host).count() < 3;
        let noted = self.noted.get(&(server, *host)).is_some_and(|noted| *noted >= asked);
        if noted || !alone || books.other_machine(at, server, *host, place).is_none() {
            return Ok(());
        }
        let key = short(host);
        Err(format!(
            "server {server} refused a second machine with the key {key} and noted nothing"
        ))
    }
}

impl Invariant for Noticed {
    fn name(&self) -> &'static str {
        "noticed"
    }

    fn see(&mut self, books: &Books, at: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Asked { server, link, request, .. } => {
                self.asked.insert((*server, *link, *request), at);
            }
            Fact::Noted {
                server,
                note: Note::HostCloned { host, .. } | Note::IdentityClaimed { host, .. },
                ..
            } => {
                self.noted.insert((*server, *host), at);
            }
            Fact::Answered { server, link, request, answer, .. } => {
                let asked = self.asked.remove(&(*server, *link, *request));
                if let (Some(asked), Answer::Refused(refusal)) = (asked, answer)
                    && refusal.code == ReasonCode::DuplicateInstance
                    && refusal.sentence.contains("key")
                {
                    return self.refused(books, at, *server, *link, asked);
                }
            }
            Fact::LinkClosed { server, link, .. } => {
                let first = (*server, *link, 0);
                let asked = self.asked.range(first..=(*server, *link, RequestId::MAX));
                for key in asked.map(|(key, _)| *key).collect::<Vec<_>>() {
                    self.asked.remove(&key);
                }
            }
            Fact::ServerStopped { server, .. } => self.asked.retain(|(of, ..), _| of != server),
            _ => {}
        }
        Ok(())
    }
}
