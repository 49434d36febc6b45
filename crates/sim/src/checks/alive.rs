//! Which sessions are surely alive: on a link that nothing has disturbed, and over which the last thing
//! that was granted has come.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    id::{HostKey, LinkId},
    node::io::Answer,
};

use super::books::{Books, Place};
use crate::{clock::At, fact::Fact};

/// How long news may take from one server to the other, in milliseconds.
pub(crate) const NEWS_MS: u64 = 20_000;

/// Where another machine runs that is not at the same server.
pub(super) const AT_PEER: &str = "at the other server";

/// What is known of links.
#[derive(Default)]
pub(crate) struct Alive {
    /// When something was granted on a link first.
    granted: BTreeMap<LinkId, At>,
    /// The links that work without any doubt.
    sure: BTreeSet<LinkId>,
}

impl Alive {
    pub(crate) fn take(&mut self, at: At, fact: &Fact<'_>) {
        match fact {
            Fact::Answered { link, answer: Answer::Granted(_), .. } => {
                self.granted.entry(*link).or_insert(at);
            }
            // Every link begins disturbed; what came over it has found an open way.
            Fact::Granted { link, .. } if self.granted.contains_key(link) => {
                self.sure.insert(*link);
            }
            // Whoever has ended answers no more, and that may not be known yet.
            Fact::LinkDisturbed { link }
            | Fact::LinkLost { link, .. }
            | Fact::GaveUp { link, .. } => {
                self.sure.remove(link);
            }
            Fact::LinkClosed { link, .. } => {
                self.sure.remove(link);
                self.granted.remove(link);
            }
            Fact::ServerStopped { .. } => {
                // Its links close without a word.
                self.sure.clear();
            }
            _ => {}
        }
    }
}

impl Books {
    /// The places of machines that surely run a session of a host at a server, granted until `before`.
    pub(crate) fn alive_places(
        &self,
        server: usize,
        host: HostKey,
        before: At,
    ) -> impl Iterator<Item = usize> {
        let book = &self.servers[server];
        book.sessions_of(host).filter_map(move |(_, session)| {
            let Place::On(link) = session.place else { return None };
            let alive = &self.hosts.alive;
            let granted = alive.granted.get(&link).filter(|_| alive.sure.contains(&link));
            let (_, client) = book.links.get(&link)?;
            let is_alive = session.holds() && granted.is_some_and(|granted| *granted <= before);
            is_alive.then_some(self.hosts.place_of[*client])
        })
    }

    /// Whether both servers have been in contact, undisturbed, for longer than news takes.
    pub(crate) fn have_news(&self, at: At) -> bool {
        let news = at.saturating_sub(NEWS_MS);
        self.hosts.servers.iter().all(|it| it.contact_since.is_some_and(|it| it < news))
    }

    /// Another machine with this host's key that surely runs: at the same server, or where its peer
    /// must have heard of it.
    pub(crate) fn other_machine(
        &self,
        at: At,
        server: usize,
        host: HostKey,
        place: usize,
    ) -> Option<&'static str> {
        let is_other = |it: &usize| *it != place && self.has_key(*it, host);
        if self.alive_places(server, host, at).any(|it| is_other(&it)) {
            return Some("there");
        }
        let news = at.saturating_sub(NEWS_MS);
        let there = || self.alive_places(1 - server, host, news).any(|it| is_other(&it));
        (self.have_news(at) && there()).then_some(AT_PEER)
    }
}
