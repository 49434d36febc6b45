//! A seat stays its holder's until its lease is over.

use ve_core::node::event::{CloseCause, Event, Record};

use super::{
    Invariant,
    books::{Books, Place},
};
use crate::{clock::At, fact::Fact};

/// No lease ends early, and none while its holder is connected.
pub(crate) struct Leases;

impl Invariant for Leases {
    fn name(&self) -> &'static str {
        "leases"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Appending { server, records, now } = fact else { return Ok(()) };
        for Record { event, .. } in *records {
            let Event::SessionClosed { number, cause: CloseCause::LeaseEnded } = event else {
                continue;
            };
            let Some(session) = books.servers[*server].by_number(*number) else { continue };
            let early = match session.place {
                Place::On(_) => true,
                Place::Left(_) => !session.lease_is_over(now.elapsed),
                Place::Unknown => false,
            };
            if session.was_granted() && early {
                return Err(format!(
                    "server {server} ended the lease of session {number} at {}: {:?}, lease {} ms",
                    now.elapsed.0, session.place, session.lease_ms
                ));
            }
        }
        Ok(())
    }
}
