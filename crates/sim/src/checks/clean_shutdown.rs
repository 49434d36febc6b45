//! The guest is always given its clean shutdown first.

use std::collections::BTreeSet;

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// No guest is stopped that was not asked before.
#[derive(Default)]
pub(crate) struct CleanShutdown {
    asked: BTreeSet<usize>,
}

impl Invariant for CleanShutdown {
    fn name(&self) -> &'static str {
        "clean_shutdown"
    }

    fn see(&mut self, _: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GuestStarted { client } => {
                self.asked.remove(client);
                Ok(())
            }
            Fact::GuestAskedToShutDown { client, .. } => {
                self.asked.insert(*client);
                Ok(())
            }
            Fact::GuestStopped { client, .. } if !self.asked.contains(client) => {
                Err(format!("guest {client} was stopped without being asked to shut down"))
            }
            _ => Ok(()),
        }
    }
}
