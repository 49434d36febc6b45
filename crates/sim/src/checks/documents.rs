//! A server believes of a machine only what its provider has signed.

use std::collections::BTreeMap;

use ve_core::{node::io::Ask, registry::PlatformIdentity};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// No forged document is believed.
#[derive(Default)]
pub(crate) struct Documents {
    /// Whom a place's forged document names.
    forged: BTreeMap<usize, PlatformIdentity>,
}

impl Invariant for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::PapersShown { host, named: Some(identity), forged: true } => {
                self.forged.insert(*host, (*identity).clone());
                Ok(())
            }
            Fact::PapersShown { host, .. } | Fact::HostGone { host } => {
                self.forged.remove(host);
                Ok(())
            }
            Fact::Asked { server, link, ask: Ask::Login { login, .. }, .. } => {
                let believed = login.facts.as_ref().and_then(|facts| facts.identity.as_deref());
                let client = books.servers[*server].links.get(link).map(|(_, client)| *client);
                let place = client.map(|client| books.hosts.place_of[client]);
                let forged = place.and_then(|place| self.forged.get(&place));
                if believed.is_none() || believed != forged {
                    return Ok(());
                }
                Err(format!("server {server} believes a document that nobody has signed"))
            }
            _ => Ok(()),
        }
    }
}
