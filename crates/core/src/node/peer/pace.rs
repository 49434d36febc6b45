//! How fast a peer may talk: every message counts, whichever link it comes over, and a new link does
//! not begin anew. One that is faster is no peer but a flood, and is cut off.
//!
//! What [`PeerMessage::Changes`] may bring is the window's to say.

use super::{MAX_PEER_LINKS, Node, PeerMessage, WINDOW, misspoken};
use crate::reason::Refusal;

/// The most statuses between two reviews. Who keeps to the rules says one a second over each link.
const MAX_STATUSES: u32 = 100;

/// The most statuses that say something new, and pulls, between two reviews, together: each has this
/// server look at many hosts. Who keeps to the rules needs a status a second and a pull for each link
/// that is lost.
const MAX_OPENINGS: u32 = 30;

/// The most presence messages between two reviews: more than twice of what the rules allow.
const MAX_PRESENCE_MESSAGES: u32 = 2_000;

/// The most changes messages that may still be taken. Those that were lost with their link are never.
const MAX_TO_BE_TAKEN: usize = 16 * WINDOW * MAX_PEER_LINKS;

/// What the peer has said since the last review.
#[derive(Debug, Default)]
pub(super) struct Pace {
    statuses: u32,
    openings: u32,
    presences: u32,
    /// How many changes messages were sent, ever, that it has not said to have taken.
    to_be_taken: usize,
}

impl Pace {
    pub(super) fn begin_review(&mut self) {
        *self = Self { to_be_taken: self.to_be_taken, ..Self::default() };
    }

    /// Something was said to the peer.
    pub(super) fn say(&mut self, message: &PeerMessage) {
        if matches!(message, PeerMessage::Changes { .. }) {
            self.to_be_taken = (self.to_be_taken + 1).min(MAX_TO_BE_TAKEN);
        }
    }

    /// Something was heard.
    fn hear(&mut self, message: &PeerMessage) -> Result<(), Refusal> {
        match message {
            PeerMessage::Status(_) => count(&mut self.statuses, MAX_STATUSES, "statuses"),
            PeerMessage::Pull { .. } => self.open(),
            PeerMessage::Presence { .. } => {
                count(&mut self.presences, MAX_PRESENCE_MESSAGES, "presences")
            }
            PeerMessage::Taken { .. } => match self.to_be_taken.checked_sub(1) {
                Some(left) => {
                    self.to_be_taken = left;
                    Ok(())
                }
                None => Err(misspoken("it has taken what it was not sent")),
            },
            PeerMessage::Changes { .. } => Ok(()),
        }
    }

    fn open(&mut self) -> Result<(), Refusal> {
        count(&mut self.openings, MAX_OPENINGS, "news and pulls")
    }
}

fn count(counted: &mut u32, limit: u32, what: &str) -> Result<(), Refusal> {
    *counted = counted.saturating_add(1);
    if *counted <= limit {
        return Ok(());
    }
    Err(misspoken(&alloc::format!("its {what} come too fast")))
}

impl Node {
    /// Counts what the peer says.
    pub(super) fn count_word(&mut self, message: &PeerMessage) -> Result<(), Refusal> {
        self.peers.pace.hear(message)
    }

    /// Counts a status that says something new.
    pub(super) fn count_news(&mut self) -> Result<(), Refusal> {
        self.peers.pace.open()
    }
}
