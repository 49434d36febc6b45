//! No registration and no retirement is acknowledged before it is durable.
//!
//! Peers send each other what is durable with them. So a host that came from there is safe before it is
//! written here as well.

use ve_core::{
    node::io::Answer,
    registry::{HostEntry, HostState},
};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact, host_fact::short};

/// A grant's host is in a registry's file when the grant leaves; who is said to be retired is so in
/// the ledger and in the registry.
#[derive(Default)]
pub(crate) struct RegisteredFirst {
    /// Whether the registry knew the host as retired that an administrator asks for.
    retired_before: bool,
}

impl Invariant for RegisteredFirst {
    fn name(&self) -> &'static str {
        "registered_first"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Answered { server, link, answer: Answer::Granted(_), roll, .. } => {
                let Some(host) = books.host_of(*server, *link) else { return Ok(()) };
                let there = books.hosts.servers[1 - *server].entries.get(&host);
                if roll.find(host).or(there).is_some_and(HostEntry::is_active) {
                    return Ok(());
                }
                let host = short(&host);
                Err(format!("server {server} serves {host}, which is not in its registry's file"))
            }
            Fact::RetireAsked { server, host } => {
                let entry = books.hosts.servers[*server].entries.get(host);
                self.retired_before = entry.is_some_and(|it| it.state == HostState::Retired);
                Ok(())
            }
            Fact::RetireAnswered { server, host, done: true, ledger, roll } => {
                let before = std::mem::take(&mut self.retired_before);
                if roll.has_retired(*host) && (ledger.has_retired(*host) || before) {
                    return Ok(());
                }
                let host = short(host);
                Err(format!("server {server} confirms a retirement of {host} that is not durable"))
            }
            _ => Ok(()),
        }
    }
}
