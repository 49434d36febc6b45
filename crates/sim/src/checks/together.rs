//! Never more hosts served by both servers together than both licenses have instances.
//!
//! A license that is gone or has shrunk counts as before until the other server can have heard of that.
//! Counted are the distinct hosts that either has let run since the last event at either that may take
//! a right away, and that still hold a session.

use std::collections::BTreeSet;

use ve_core::{node::io::Answer, time::Elapsed};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// A host that both serve counts once, and no host is served for nothing.
#[derive(Default)]
pub(crate) struct Together {
    /// What each server's clock showed last.
    now: [Elapsed; 2],
}

impl Invariant for Together {
    fn name(&self) -> &'static str {
        "together"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Answered { server, link, answer: Answer::Granted(_), now, .. } = fact else {
            return Ok(());
        };
        self.now[*server] = now.elapsed;
        let Some(host) = books.host_of(*server, *link) else { return Ok(()) };
        let since = books.hosts.servers.iter().map(|home| home.unsettled_at).max().unwrap_or(0);
        let known = books.hosts.servers[*server].granted.get(&host);
        if known.is_some_and(|(at, _)| *at > since) {
            return Ok(());
        }
        let instances = (0..2).map(|server| known_instances(books, server)).sum::<usize>();
        let granted = || books.hosts.servers.iter().map(|home| home.granted.iter());
        if granted().flatten().filter(|(_, (at, _))| *at > since).count() < instances {
            return Ok(());
        }
        let mut served = BTreeSet::from([host]);
        for (index, granted) in granted().enumerate() {
            let live = books.live_hosts(index, self.now[index]);
            let granted = granted.filter(|(_, (at, _))| *at > since);
            served.extend(granted.map(|(host, _)| *host).filter(|host| live.contains(host)));
        }
        if served.len() <= instances {
            return Ok(());
        }
        Err(format!("both serve {} hosts, and have {instances} instances", served.len()))
    }
}

/// How many instances a server has, or said last that it has to a peer in contact.
fn known_instances(books: &Books, server: usize) -> usize {
    let told = books.hosts.servers[1 - server].contact.values();
    let told = told.filter(|status| status.serves.is_ok()).map(|status| status.instances as usize);
    told.max().unwrap_or(0).max(books.instances(server))
}
