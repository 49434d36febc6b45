//! A retired host is never granted anything by a server that has heard of it.
//!
//! A server has heard of a retirement when its own ledger or its own registry says so durably at this
//! moment. Nothing is asked of a server whose two copies were both lost or put back: until its peer has
//! told it again it can't know. At the end, when all is healed and the servers have talked, a host that
//! any ledger or registry knows as retired must be retired in both registries.

use ve_core::{id::HostKey, node::io::Answer};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact, host_fact::short, roll::Roll};

/// Retired is for ever.
pub(crate) struct Retired;

impl Invariant for Retired {
    fn name(&self) -> &'static str {
        "retired"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::Healed { rolls } = fact {
            return at_the_end(books, *rolls);
        }
        let Fact::Answered { server, link, answer: Answer::Granted(_), ledger, roll, .. } = fact
        else {
            return Ok(());
        };
        let Some(host) = books.host_of(*server, *link) else { return Ok(()) };
        if ledger.has_retired(host) || roll.has_retired(host) {
            return Err(format!("server {server} serves {}, which is retired", short(&host)));
        }
        Ok(())
    }
}

/// Judges the registries after everything was healed.
fn at_the_end(books: &Books, rolls: [&Roll; 2]) -> Result<(), String> {
    let of_registries = books.hosts.servers.iter().flat_map(|home| home.entries.keys());
    let of_ledgers = books.hosts.servers.iter().flat_map(|home| &home.retired);
    let revived = |host: &&HostKey| {
        books.hosts.is_known_as_retired(**host)
            && rolls.iter().any(|roll| !roll.has_retired(**host))
    };
    match of_registries.chain(of_ledgers).find(revived) {
        Some(host) => Err(format!("{} was retired and is not in both registries", short(host))),
        None => Ok(()),
    }
}
