//! The thread that writes the registry.

use ve_core::{
    node::{event::AppendError, io::EnrollId},
    registry::Batch,
};

use super::group::{FinishError, Group, Target};
use crate::{
    host_store::HostStore,
    store::{AppendFailure, CloseError},
};

/// So many entries of a batch weigh as much as a batch: a batch of a resync has some hundred of them,
/// and a commit takes at most some ten thousand.
const ENTRIES_PER_WEIGHT: usize = 32;

/// The thread that writes the registry. Dropping it writes what waits, as [`Self::finish`] does.
#[derive(Debug)]
pub struct HostWriter(Group<Batch>);

impl HostWriter {
    /// Starts the thread, which calls `on_done` once for every batch that [`Self::submit`] took, in the
    /// order in which they were submitted, when it is durable or has failed.
    ///
    /// `on_done` must not wait for the writer. A panic in the store is an error for every batch from
    /// then on; one in `on_done` itself ends the writer, and [`Self::submit`] says so. Errs when the
    /// system gives no thread.
    pub fn start(
        store: impl HostStore + 'static,
        on_done: impl FnMut(EnrollId, Result<(), AppendError>) + Send + 'static,
    ) -> std::io::Result<Self> {
        Group::start("registry", Registry(store), on_done).map(Self)
    }

    /// Hands in a batch, without waiting. An error is the outcome: it was not taken, and `on_done` will
    /// not hear of it.
    pub fn submit(&self, id: EnrollId, batch: Batch) -> Result<(), AppendError> {
        self.0.submit(id, batch)
    }

    /// Writes what waits, reports it, and closes the store.
    pub fn finish(self) -> Result<(), FinishError> {
        self.0.finish()
    }
}

struct Registry<S>(S);

impl<S: HostStore + 'static> Target for Registry<S> {
    type Job = Batch;
    type Done = ();

    /// One commit for all; when one batch of several is at fault, one for each.
    fn write(&mut self, group: &[(EnrollId, Batch)]) -> Vec<Result<(), AppendError>> {
        let batches: Vec<&Batch> = group.iter().map(|(_, batch)| batch).collect();
        let in_words = |failure: AppendFailure| AppendError(failure.to_string());
        match self.0.write(&batches) {
            Err(AppendFailure::Batch { .. }) if batches.len() > 1 => {
                batches.iter().map(|batch| self.0.write(&[batch]).map_err(in_words)).collect()
            }
            outcome => vec![outcome.map_err(in_words); batches.len()],
        }
    }

    fn close(self) -> Result<(), CloseError> {
        self.0.close()
    }

    fn weight(batch: &Batch) -> usize {
        1 + batch.entries.len() / ENTRIES_PER_WEIGHT
    }
}
