//! Two machines with one key that both got in while nobody could know don't both go on when somebody can:
//! one of them is refused at its next check.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{id::HostKey, time::MINUTE_MS};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact, host_fact::short};

/// How long two may go on where they can be seen, in milliseconds, beyond the longest interval between
/// checks.
const NOTICING_MS: u64 = 5 * MINUTE_MS;

/// No key stays on two machines.
#[derive(Default)]
pub(crate) struct Twins {
    /// Since when two machines with a key have been alive without a doubt.
    since: BTreeMap<HostKey, At>,
}

/// The keys that more than one machine has.
fn shared_keys(books: &Books) -> BTreeSet<HostKey> {
    let mut seen = BTreeSet::new();
    books.hosts.places.values().filter(|key| !seen.insert(**key)).copied().collect()
}

/// Whether two machines run with this key where the servers can see both.
fn are_alive(books: &Books, at: At, host: HostKey) -> bool {
    let places = |server| -> BTreeSet<usize> {
        let places = books.alive_places(server, host, at);
        places.filter(|place| books.has_key(*place, host)).collect()
    };
    let (here, there) = (places(0), places(1));
    let in_contact = books.have_news(at) && here.union(&there).count() > 1;
    here.len() > 1 || there.len() > 1 || in_contact
}

impl Invariant for Twins {
    fn name(&self) -> &'static str {
        "twins"
    }

    fn see(&mut self, books: &Books, at: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Counted { .. } = fact else { return Ok(()) };
        let intervals = books.issued.values().map(|license| license.check_interval_ms);
        let bound_ms = intervals.max().unwrap_or(0) + NOTICING_MS;
        let mut shared = shared_keys(books);
        shared.retain(|host| are_alive(books, at, *host));
        self.since.retain(|host, _| shared.contains(host));
        for host in shared {
            let since = *self.since.entry(host).or_insert(at);
            if at - since > bound_ms {
                let minutes = (at - since) / MINUTE_MS;
                let key = short(&host);
                return Err(format!(
                    "two machines have run with the key {key} for {minutes} minutes"
                ));
            }
        }
        Ok(())
    }
}
