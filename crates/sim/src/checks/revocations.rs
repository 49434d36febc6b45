//! Whose session is taken back hears it at once, where the way is open.

use std::collections::BTreeMap;

use ve_core::id::LinkId;

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// How long a message may take on an open way, in milliseconds, packets lost and sent again
/// included.
const AT_ONCE_MS: u64 = 15_000;

/// No client goes on as if nothing had happened.
#[derive(Default)]
pub(crate) struct Revocations {
    due: BTreeMap<LinkId, At>,
}

impl Invariant for Revocations {
    fn name(&self) -> &'static str {
        "revocations"
    }

    fn see(&mut self, _: &Books, at: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Revoking { link, .. } => {
                self.due.entry(*link).or_insert(at + AT_ONCE_MS);
            }
            Fact::Revoked { link, .. }
            | Fact::LinkLost { link, .. }
            | Fact::GaveUp { link, .. }
            | Fact::LinkDisturbed { link }
            | Fact::LinkClosed { link, .. } => {
                self.due.remove(link);
            }
            Fact::Counted { .. } => {
                if let Some((link, _)) = self.due.iter().find(|(_, due)| **due < at) {
                    return Err(format!(
                        "a session on link {} was revoked {AT_ONCE_MS} ms ago and its client \
                         doesn't know",
                        link.0
                    ));
                }
            }
            Fact::ServerStopped { .. } => self.due.clear(),
            _ => {}
        }
        Ok(())
    }
}
