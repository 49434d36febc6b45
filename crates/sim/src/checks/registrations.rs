//! No acknowledged registration is lost while one copy of it is left.
//!
//! A start knows every host that its registry's file had. At the end, a host that was let run once, and
//! that at least one of the two files has known ever since, is in both. A host of which only its own
//! receipt is left is judged with those who wait: it must be served, or capacity must say why not.

use std::collections::BTreeSet;

use ve_core::{
    id::HostKey,
    node::io::Answer,
    registry::{HostEntry, RememberedHosts},
};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact, host_fact::short, roll::Roll};

/// What was acknowledged stays.
#[derive(Default)]
pub(crate) struct Registrations {
    acknowledged: BTreeSet<HostKey>,
}

impl Registrations {
    /// A file was lost or replaced: what is nowhere any more can't be asked for.
    fn replaced(&mut self, books: &Books, server: usize, roll: &Roll) {
        let other = &books.hosts.servers[1 - server].entries;
        self.acknowledged.retain(|host| roll.find(*host).is_some() || other.contains_key(host));
    }
}

fn knows_all(books: &Books, server: usize, remembered: &RememberedHosts) -> Result<(), String> {
    let known: BTreeSet<HostKey> = remembered.entries.iter().map(|(_, entry)| entry.host).collect();
    match books.hosts.servers[server].entries.keys().find(|host| !known.contains(host)) {
        Some(lost) => Err(format!("server {server} has forgotten host {}", short(lost))),
        None => Ok(()),
    }
}

impl Invariant for Registrations {
    fn name(&self) -> &'static str {
        "registrations"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Answered { server, link, answer: Answer::Granted(_), roll, .. } => {
                let host = books.host_of(*server, *link);
                let enrolled = |host: &HostKey| roll.find(*host).is_some_and(HostEntry::is_active);
                self.acknowledged.extend(host.filter(enrolled));
            }
            Fact::RollReplaced { server, roll } => self.replaced(books, *server, roll),
            Fact::RollRead { server, remembered } => return knows_all(books, *server, remembered),
            Fact::Healed { rolls } => {
                let missing =
                    |host: &&HostKey| rolls.iter().any(|roll| roll.find(**host).is_none());
                if let Some(lost) = self.acknowledged.iter().find(missing) {
                    return Err(format!("host {} is missing in a registry", short(lost)));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
