//! Queues are bounded, whatever happens.

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// What waits and what is open grows with the number of clients, not with time.
pub(crate) struct Bounds;

impl Invariant for Bounds {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn see(&mut self, _: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Counted { events, appends, links, clients } = fact else { return Ok(()) };
        let limits = [
            ("events are planned", *events, 2_000 + 200 * clients),
            ("appends are under way", *appends, 500 + 10 * clients),
            ("links are open at one server", *links, 20 + 4 * clients),
        ];
        match limits.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => Err(format!("{count} {what}; the bound is {limit}")),
            None => Ok(()),
        }
    }
}
