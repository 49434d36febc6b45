//! What is going to happen, in the order of time; what happens at the same moment, in the order in
//! which it was planned.

use std::collections::BTreeMap;

use crate::clock::At;

/// A queue of events.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    events: BTreeMap<(At, u64), E>,
    planned: u64,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self { events: BTreeMap::new(), planned: 0 }
    }

    pub(crate) fn plan(&mut self, at: At, event: E) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }

    pub(crate) fn next(&mut self) -> Option<(At, E)> {
        let ((at, _), event) = self.events.pop_first()?;
        Some((at, event))
    }

    /// How much is planned.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }
}
