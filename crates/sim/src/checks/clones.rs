//! One key never runs on two machines: the second one is refused where the first can be seen.
//!
//! Seen is a machine whose session is live on an undisturbed link of the same server, or of the other
//! one while both have been in contact, undisturbed, for longer than news takes.

use std::collections::BTreeSet;

use ve_core::{
    id::{HostKey, LinkId},
    node::io::{Answer, Ask},
};

use super::{
    Invariant,
    books::{Books, Place},
};
use crate::{clock::At, fact::Fact, host_fact::short};

/// How long news may take from one server to the other, in milliseconds.
const NEWS_MS: u64 = 20_000;

/// No login of a clone is granted.
#[derive(Default)]
pub(crate) struct Clones {
    disturbed: BTreeSet<LinkId>,
    /// When a session was granted on a link.
    granted: std::collections::BTreeMap<LinkId, At>,
}

impl Clones {
    /// Another machine with this key whose session is surely alive at a server.
    fn other(&self, books: &Books, server: usize, host: HostKey, place: usize, before: At) -> bool {
        let book = &books.servers[server];
        book.sessions.values().any(|session| {
            let Place::On(link) = session.place else { return false };
            let client = book.links.get(&link).map(|(_, client)| *client);
            let other = client.map(|client| books.hosts.place_of[client]);
            session.host == host
                && session.holds()
                && !self.disturbed.contains(&link)
                && self.granted.get(&link).is_some_and(|at| *at <= before)
                && other.is_some_and(|it| it != place && books.has_key(it, host))
        })
    }

    fn judge(&self, books: &Books, at: At, server: usize, link: LinkId) -> Result<(), String> {
        let Some((host, client)) = books.servers[server].links.get(&link) else { return Ok(()) };
        let place = books.hosts.place_of[*client];
        let news = at.saturating_sub(NEWS_MS);
        let in_contact =
            books.hosts.servers.iter().all(|it| it.contact_since.is_some_and(|it| it < news));
        let here = self.other(books, server, *host, place, at);
        let there = in_contact && self.other(books, 1 - server, *host, place, news);
        if !here && !there {
            return Ok(());
        }
        let key = short(host);
        let where_else = if here { "there" } else { "at the other server" };
        Err(format!("server {server} let {key} in, whose key another machine uses {where_else}"))
    }
}

impl Invariant for Clones {
    fn name(&self) -> &'static str {
        "clones"
    }

    fn see(&mut self, books: &Books, at: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::LinkClosed { link, .. } => {
                self.disturbed.remove(link);
                self.granted.remove(link);
            }
            // Every link begins disturbed; what came over it has found an open way.
            Fact::Granted { link, .. } => {
                self.disturbed.remove(link);
            }
            // Whoever has ended answers no more, and that may not be known yet.
            Fact::LinkDisturbed { link }
            | Fact::LinkLost { link, .. }
            | Fact::GaveUp { link, .. } => {
                self.disturbed.insert(*link);
            }
            Fact::Answered { server, link, request, answer: Answer::Granted(_), .. } => {
                let asked = books.servers[*server].asked.get(&(*link, *request));
                let judged = match asked {
                    Some(Ask::Login { .. }) => self.judge(books, at, *server, *link),
                    _ => Ok(()),
                };
                self.granted.entry(*link).or_insert(at);
                return judged;
            }
            _ => {}
        }
        Ok(())
    }
}
