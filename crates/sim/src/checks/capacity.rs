//! Never more hosts served by a server than it has instances: its own that run, and its guests.
//!
//! Who is counted: the distinct hosts that the server has let run since the last event that may take a
//! right away (a license, a start, contact that comes or goes, changes from the peer), and that still
//! hold a session. A host of the other home isn't counted while the peer is in contact and serves: it
//! has its instance there.

use std::collections::BTreeSet;

use ve_core::{
    id::{HostKey, LicenseId},
    node::io::Answer,
};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// Whoever is let run finds an instance that nobody has.
pub(crate) struct Capacity;

impl Invariant for Capacity {
    fn name(&self) -> &'static str {
        "capacity"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Answered { server, link, answer: Answer::Granted(grant), now, .. } = fact else {
            return Ok(());
        };
        let Some(host) = books.host_of(*server, *link) else { return Ok(()) };
        let home = &books.hosts.servers[*server];
        let known = home.granted.get(&host).is_some_and(|(at, _)| *at > home.unsettled_at);
        let carried =
            |home_of: &Option<LicenseId>| home_of.as_ref().is_some_and(|it| home.is_carried(it));
        if known || carried(&grant.home) {
            return Ok(());
        }
        let counts = |(other, (at, home_of)): (&HostKey, &(At, Option<LicenseId>))| {
            (*at > home.unsettled_at && !carried(home_of)).then_some(*other)
        };
        let mut served: BTreeSet<HostKey> = home.granted.iter().filter_map(counts).collect();
        served.insert(host);
        let instances = books.instances(*server);
        if served.len() > instances {
            let live = books.live_hosts(*server, now.elapsed);
            served.retain(|other| *other == host || live.contains(other));
        }
        if served.len() <= instances {
            return Ok(());
        }
        Err(format!("server {server} serves {} hosts, and has {instances} instances", served.len()))
    }
}
