//! With `lease = "grace"` never more emulators running than licensed, whatever fails.

use ve_core::license::Lease;

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// Whoever begins to run on such a license finds fewer running on it than it has seats.
pub(crate) struct Running;

impl Invariant for Running {
    fn name(&self) -> &'static str {
        "running"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Granted { client, server, grant, .. } = fact else { return Ok(()) };
        let seat = (*server, grant.license_id.clone(), grant.product_code.clone());
        let Some(license) = books.terms(&grant.license_id, grant.marks.license_version) else {
            return Ok(());
        };
        if license.lease != Lease::Grace || books.clients[*client].on.as_ref() == Some(&seat) {
            return Ok(());
        }
        let others = books
            .clients
            .iter()
            .enumerate()
            .filter(|(other, book)| other != client && book.runs_with_promise(&seat));
        let others: Vec<usize> = others.map(|(other, _)| other).collect();
        if others.len() < grant.instances as usize {
            return Ok(());
        }
        Err(format!(
            "client {client} begins to run on {} of server {server}, where {} already run ({others:?}) \
             and {} are licensed",
            grant.product_code,
            others.len(),
            grant.instances
        ))
    }
}
