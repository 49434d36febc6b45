//! Group commit: one thread owns the store, and the appends that wait share one commit.
//!
//! A commit costs one flush of the disk, however much is in it. While one is under way the next
//! appends gather, so the more there is to do, the less each costs; an append that comes alone waits
//! for no one.

use std::{
    any::Any,
    iter,
    panic::{self, AssertUnwindSafe},
    sync::mpsc::{self, Receiver, SyncSender, TrySendError},
    thread::{self, JoinHandle},
};

use thiserror::Error;
use ve_core::node::{
    event::{AppendError, Record},
    io::{AppendId, Durable},
};

use crate::store::{AppendFailure, CloseError, Store};

/// How many appends may wait for the store; more of them are refused at once.
pub const MAX_WAITING_APPENDS: usize = 16_384;

/// How many appends share a commit at most: enough to make its cost small for each, and few enough
/// that the first of them doesn't wait long.
pub const MAX_GROUP_APPENDS: usize = 512;

/// The writer's last words weren't good ones. What was reported durable is durable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FinishError {
    /// The store couldn't be tidied up.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// A mistake in this program; nothing was written from then on.
    #[error("the ledger's writer stopped: {0}")]
    Panicked(String),
}

/// The thread that writes the ledger. Dropping it writes what waits, as [`Self::finish`] does.
#[derive(Debug)]
pub struct Writer {
    /// `None` once it shall finish.
    queue: Option<SyncSender<Append>>,
    thread: Option<JoinHandle<Result<(), FinishError>>>,
}

#[derive(Debug)]
struct Append {
    id: AppendId,
    records: Vec<Record>,
}

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
        let (queue, waiting) = mpsc::sync_channel(MAX_WAITING_APPENDS);
        let thread = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || write_until_the_end(store, &waiting, on_done))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands in an append, without waiting. An error is the outcome: it was not taken, and `on_done`
    /// will not hear of it.
    pub fn submit(&self, id: AppendId, records: Vec<Record>) -> Result<(), AppendError> {
        let queue = self.queue.as_ref().expect("only finishing and dropping take the queue");
        queue.try_send(Append { id, records }).map_err(|error| {
            AppendError(match error {
                TrySendError::Full(_) => {
                    format!("{MAX_WAITING_APPENDS} appends wait for a slow disk")
                }
                TrySendError::Disconnected(_) => "its writer has stopped".to_string(),
            })
        })
    }

    /// Writes what waits, reports it, and closes the store.
    pub fn finish(mut self) -> Result<(), FinishError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), FinishError> {
        self.queue = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|panic| Err(FinishError::Panicked(words_of(&*panic))))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever wants to know how it ended calls `finish`.
        let _ = self.join();
    }
}

fn write_until_the_end(
    mut store: impl Store,
    waiting: &Receiver<Append>,
    mut on_done: impl FnMut(AppendId, Outcome),
) -> Result<(), FinishError> {
    while let Some(group) = next_group(waiting) {
        let written = panic::catch_unwind(AssertUnwindSafe(|| write(&mut store, &group)));
        match written {
            Ok(outcomes) => report(group, outcomes, &mut on_done),
            Err(panic) => {
                // Nobody knows what state the store is in: it is not touched again.
                drop(store);
                let why = words_of(&*panic);
                refuse_all(group, waiting, &why, &mut on_done);
                return Err(FinishError::Panicked(why));
            }
        }
    }
    store.close().map_err(FinishError::Close)
}

/// Waits for an append and takes along what else is there; `None` when there never will be one.
fn next_group(waiting: &Receiver<Append>) -> Option<Vec<Append>> {
    let first = waiting.recv().ok()?;
    Some(iter::once(first).chain(waiting.try_iter()).take(MAX_GROUP_APPENDS).collect())
}

/// One commit for all; when one append of several is at fault, one for each. Marks that the ledger
/// doesn't take are kept in the reserve.
fn write(store: &mut impl Store, group: &[Append]) -> Vec<Outcome> {
    let batches: Vec<&[Record]> = group.iter().map(|append| append.records.as_slice()).collect();
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

fn report(group: Vec<Append>, outcomes: Vec<Outcome>, on_done: &mut impl FnMut(AppendId, Outcome)) {
    for (append, outcome) in iter::zip(group, outcomes) {
        on_done(append.id, outcome);
    }
}

/// Answers everyone from now on, so that no one waits for a writer that is no more.
fn refuse_all(
    group: Vec<Append>,
    waiting: &Receiver<Append>,
    why: &str,
    on_done: &mut impl FnMut(AppendId, Outcome),
) {
    for append in group.into_iter().chain(waiting) {
        on_done(append.id, Err(AppendError(format!("its writer stopped: {why}"))));
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_string()
}
