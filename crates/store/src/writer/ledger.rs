//! The thread that writes the ledger.

use ve_core::node::{
    event::{AppendError, Record},
    io::{AppendId, Durable},
};

use super::group::{FinishError, Group, Target};
use crate::store::{AppendFailure, CloseError, Store};

/// So many records make an append as heavy as another one.
const RECORDS_PER_WEIGHT: usize = 32;

/// The thread that writes the ledger. Dropping it writes what waits, as [`Self::finish`] does.
#[derive(Debug)]
pub struct Writer(Group<Vec<Record>>);

type Outcome = Result<Durable, AppendError>;

impl Writer {
    /// Starts the thread, which calls `on_done` once for every append that [`Self::submit`] took, in
    /// the order in which they were submitted, when it is durable or has failed.
    ///
    /// `on_done` must not wait for the writer. A panic in the store is an error for every append from
    /// then on; one in `on_done` itself ends the writer, and [`Self::submit`] says so. Errs when the
    /// system gives no thread.
    pub fn start(
        store: impl Store + 'static,
        on_done: impl FnMut(AppendId, Outcome) + Send + 'static,
    ) -> std::io::Result<Self> {
        Group::start("ledger", Ledger(store), on_done).map(Self)
    }

    /// Hands in an append, without waiting. An error is the outcome: it was not taken, and `on_done`
    /// will not hear of it.
    pub fn submit(&self, id: AppendId, records: Vec<Record>) -> Result<(), AppendError> {
        self.0.submit(id, records)
    }

    /// Writes what waits, reports it, and closes the store.
    pub fn finish(self) -> Result<(), FinishError> {
        self.0.finish()
    }
}

struct Ledger<S>(S);

impl<S: Store + 'static> Target for Ledger<S> {
    type Job = Vec<Record>;
    type Done = Durable;

    /// One commit for all; when one append of several is at fault, one for each. Marks that the ledger
    /// doesn't take are kept in the reserve.
    fn write(&mut self, group: &[(AppendId, Vec<Record>)]) -> Vec<Outcome> {
        let store = &mut self.0;
        let batches: Vec<&[Record]> = group.iter().map(|(_, records)| records.as_slice()).collect();
        match store.append(&batches) {
            Err(AppendFailure::Batch { .. }) if batches.len() > 1 => {
                batches.iter().map(|batch| write_alone(store, batch)).collect()
            }
            Err(failure @ AppendFailure::Ledger(_)) => {
                batches.iter().map(|batch| keep_in_reserve(store, batch, &failure)).collect()
            }
            outcome => {
                vec![
                    outcome.map(|()| Durable::Ledger).map_err(|failure| in_words(&failure));
                    batches.len()
                ]
            }
        }
    }

    fn close(self) -> Result<(), CloseError> {
        self.0.close()
    }

    /// A large append shares its commit with fewer others: they would wait for all of it.
    fn weight(records: &Vec<Record>) -> usize {
        1 + records.len() / RECORDS_PER_WEIGHT
    }
}

fn write_alone(store: &mut impl Store, batch: &[Record]) -> Outcome {
    match store.append(&[batch]) {
        Ok(()) => Ok(Durable::Ledger),
        Err(failure) => keep_in_reserve(store, batch, &failure),
    }
}

fn keep_in_reserve(store: &mut impl Store, batch: &[Record], failure: &AppendFailure) -> Outcome {
    let AppendFailure::Ledger(why) = failure else { return Err(in_words(failure)) };
    match store.reserve(batch) {
        Ok(()) => Ok(Durable::Reserve),
        // A batch that the reserve is not for.
        Err(AppendFailure::Batch { .. }) => Err(in_words(failure)),
        Err(AppendFailure::Ledger(reserve)) if reserve == *why => Err(in_words(failure)),
        Err(AppendFailure::Ledger(reserve)) => Err(AppendError(format!("{why}; {reserve}"))),
    }
}

fn in_words(failure: &AppendFailure) -> AppendError {
    AppendError(failure.to_string())
}
