//! The order in which a copy of the registry learned things.
//!
//! Every change gets the next number. A peer remembers up to where it has taken them, and asks for
//! what came after. A number alone would lie after an old copy was put back: the same numbers would
//! be given to other changes. So each start of a server begins a new *span* of numbers with a random
//! name, and a position is a number in a span. A copy that was put back doesn't know the spans that
//! came after it, or knows that they ended earlier, and the peer goes on from the last change that
//! both have seen.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::entry::HostEntry;
use crate::id::{LicenseId, SpanId};

/// The most spans that are remembered; a position in an older one is as good as none.
pub const MAX_SPANS: usize = 64;

/// A change of one copy of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The span that the number was given in.
    pub span: SpanId,
    /// The number, counted through all spans of the copy.
    pub number: u64,
}

/// The numbers that were given between two starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its random name.
    pub id: SpanId,
    /// The last number before it.
    pub after: u64,
}

/// The peer as it was known last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPeer {
    /// Its license.
    pub license_id: LicenseId,
    /// How many instances that has.
    pub instances: u32,
}

/// What is written to `instances.db` in one go, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Entries as they are now, each with the number of its change; in the order of the numbers.
    pub entries: Vec<(u64, HostEntry)>,
    /// Up to where the peer's changes are in here.
    pub pulled: Option<Position>,
    /// The peer, when there is news of it.
    pub peer: Option<KnownPeer>,
}

/// What `instances.db` remembers at a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedHosts {
    /// The entries, each with the number of its last change; in no order.
    pub entries: Vec<(u64, HostEntry)>,
    /// The latest spans, oldest first, at most [`MAX_SPANS`]; the last one is this start's, and
    /// nothing was changed in it.
    pub spans: Vec<Span>,
    /// Up to where the peer's changes are in here.
    pub pulled: Option<Position>,
    /// The peer as it was known last.
    pub peer: Option<KnownPeer>,
    /// Whether hosts may be missing, because the file was lost or an old copy was put back. Newcomers
    /// then get only what is certainly free.
    pub may_lack_hosts: bool,
}

impl RememberedHosts {
    /// An empty registry, whose first span has this name.
    pub fn empty(span: SpanId) -> Self {
        Self {
            entries: Vec::new(),
            spans: alloc::vec![Span { id: span, after: 0 }],
            pulled: None,
            peer: None,
            may_lack_hosts: false,
        }
    }
}

/// The last number that a copy with these `spans` (oldest first, not empty) gave within `span`, if it
/// remembers that; `last` is the last it gave at all.
fn end_of(spans: &[Span], span: SpanId, last: u64) -> Option<u64> {
    let index = spans.iter().position(|known| known.id == span)?;
    Some(spans.get(index + 1).map_or(last, |next| next.after))
}

/// From where a copy goes on for a peer that has its changes up to `position`: after this number.
pub fn resume_after(spans: &[Span], last: u64, position: Option<Position>) -> u64 {
    position
        .and_then(|position| Some(end_of(spans, position.span, last)?.min(position.number)))
        .unwrap_or(0)
}

/// Whether a copy with these spans still has the change at `position`.
pub fn still_has(spans: &[Span], last: u64, position: Position) -> bool {
    end_of(spans, position.span, last).is_some_and(|end| position.number <= end)
}
