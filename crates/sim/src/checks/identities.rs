//! A machine's instance isn't taken over by another key while one that has it is alive.
//!
//! Alive is a key whose session is live on an undisturbed link of the same server, or of the other one
//! while both have been in contact, undisturbed, for longer than news takes, and the registry has its
//! identity.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{id::HostKey, node::io::Answer, registry::PlatformIdentity};

use super::{
    Invariant,
    alive::NEWS_MS,
    books::{AskBook, Books},
};
use crate::{clock::At, fact::Fact, host_fact::short};

/// What a host has shown last, as far as it was believed.
struct Shown {
    identity: PlatformIdentity,
    server: usize,
    at: At,
}

/// Whoever shows the identity of a living one is refused.
#[derive(Default)]
pub(crate) struct Identities {
    shown: BTreeMap<HostKey, Shown>,
    keys: BTreeMap<PlatformIdentity, BTreeSet<HostKey>>,
    /// When each server's registry could not be written, or was read anew: what it was to learn before
    /// may be forgotten.
    forgotten: [At; 2],
}

impl Identities {
    /// Whether a key that has shown this identity is alive.
    fn is_alive(
        &self,
        books: &Books,
        at: At,
        server: usize,
        key: HostKey,
        identity: &PlatformIdentity,
    ) -> bool {
        let Some(shown) = self.shown.get(&key) else { return false };
        if shown.server == server && shown.at > self.forgotten[server] {
            return books.alive_places(server, key, at).next().is_some();
        }
        let entry = books.hosts.servers[server].entries.get(&key);
        let is_known = entry
            .is_some_and(|entry| entry.is_active() && entry.identity.as_ref() == Some(identity));
        let there = || books.alive_places(1 - server, key, at.saturating_sub(NEWS_MS)).next();
        shown.server != server && is_known && books.have_news(at) && there().is_some()
    }

    fn judge(
        &self,
        books: &Books,
        at: At,
        server: usize,
        host: HostKey,
        identity: &PlatformIdentity,
    ) -> Result<(), String> {
        let others = self.keys.get(identity).into_iter().flatten().filter(|key| **key != host);
        let mut others = others.copied();
        match others.find(|other| self.is_alive(books, at, server, *other, identity)) {
            None => Ok(()),
            Some(other) => {
                let (host, other) = (short(&host), short(&other));
                Err(format!("server {server} serves {host} as the machine of {other}, which runs"))
            }
        }
    }

    fn note(&mut self, host: HostKey, shown: Shown) {
        self.keys.entry(shown.identity.clone()).or_default().insert(host);
        let identity = shown.identity.clone();
        if let Some(before) = self.shown.insert(host, shown)
            && before.identity != identity
            && let Some(keys) = self.keys.get_mut(&before.identity)
        {
            keys.remove(&host);
        }
    }
}

impl Invariant for Identities {
    fn name(&self) -> &'static str {
        "identities"
    }

    fn see(&mut self, books: &Books, at: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Answered { server, link, request, answer: Answer::Granted(_), .. } => {
                let asked = books.servers[*server].asked.get(&(*link, *request));
                let host = books.host_of(*server, *link);
                let (Some(AskBook::Login { identity: Some(identity), .. }), Some(host)) =
                    (asked, host)
                else {
                    return Ok(());
                };
                let judged = self.judge(books, at, *server, host, identity);
                self.note(host, Shown { identity: identity.clone(), server: *server, at });
                return judged;
            }
            Fact::Enrolled { server, durable: false, .. } | Fact::ServerStarted { server, .. } => {
                self.forgotten[*server] = at;
            }
            _ => {}
        }
        Ok(())
    }
}
