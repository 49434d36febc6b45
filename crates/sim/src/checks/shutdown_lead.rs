//! The guest is asked to shut down no earlier than the lead before the end of its grace period.

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// Grace is grace: the request comes when it must, and not before.
pub(crate) struct ShutdownLead;

impl Invariant for ShutdownLead {
    fn name(&self) -> &'static str {
        "shutdown_lead"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::GuestAskedToShutDown { client, now } = fact else { return Ok(()) };
        let book = &books.clients[*client];
        if book.stop_wanted {
            return Ok(());
        }
        match book.grace.shutdown_from() {
            Some(from) if now.elapsed.plus_ms(2) >= from => Ok(()),
            Some(from) => Err(format!(
                "guest {client} was asked to shut down at {}, not before {} was allowed",
                now.elapsed.0, from.0
            )),
            None => Err(format!("guest {client} was asked to shut down although it is licensed")),
        }
    }
}
