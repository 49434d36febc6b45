//! A retired machine gets no instance by a new key.
//!
//! A server knows that a machine is retired while its registry has a retired entry with that machine's
//! identity, or its ledger a retirement. A key that has an instance of its own is not the one that was retired.

use std::collections::BTreeSet;

use ve_core::{
    id::{HostKey, LinkId},
    node::io::{Answer, RequestId},
    registry::{HostEntry, PlatformIdentity},
};

use super::{
    Invariant,
    books::{AskBook, Books},
};
use crate::{clock::At, fact::Fact, host_fact::short};

/// Retired is for ever, for all of a machine's keys.
#[derive(Default)]
pub(crate) struct RetiredMachines {
    /// Logins that have to be refused.
    doomed: BTreeSet<(usize, LinkId, RequestId)>,
}

/// Whether a host has or may soon have an instance somewhere.
fn may_be_active(books: &Books, host: HostKey) -> bool {
    books.hosts.servers.iter().any(|home| {
        let soon = home.under_way.iter().flatten().filter(|entry| entry.host == host);
        let durable = home.entries.get(&host);
        soon.chain(durable).any(HostEntry::is_active)
    })
}

fn is_doomed(books: &Books, server: usize, host: HostKey, identity: &PlatformIdentity) -> bool {
    books.hosts.servers[server].has_retired_machine(identity) && !may_be_active(books, host)
}

impl Invariant for RetiredMachines {
    fn name(&self) -> &'static str {
        "retired_machines"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Asked { server, link, request, ask, .. } => {
                let host = books.host_of(*server, *link);
                if let (Some(host), AskBook::Login { identity: Some(identity), .. }) =
                    (host, AskBook::of(ask))
                    && is_doomed(books, *server, host, &identity)
                {
                    self.doomed.insert((*server, *link, *request));
                }
            }
            Fact::Answered { server, link, request, answer, .. } => {
                let doomed = self.doomed.remove(&(*server, *link, *request));
                let host = books.host_of(*server, *link).filter(|_| doomed);
                if let (Some(host), Answer::Granted(_)) = (host, answer)
                    && !books.hosts.servers[1 - *server].has_active(host)
                {
                    let key = short(&host);
                    return Err(format!(
                        "server {server} serves {key}, a new key of a machine that is retired"
                    ));
                }
            }
            Fact::LinkClosed { server, link, .. } => {
                self.doomed.retain(|(of, on, _)| (of, on) != (server, link));
            }
            Fact::ServerStopped { server, .. } => self.doomed.retain(|(of, ..)| of != server),
            _ => {}
        }
        Ok(())
    }
}
