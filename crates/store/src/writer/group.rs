//! Group commit: one thread owns what is written, and the jobs that wait share one commit.
//!
//! A commit costs one flush of the disk, however much is in it. While one is under way the next
//! jobs gather, so the more there is to do, the less each costs; a job that comes alone waits for no
//! one.

use std::{
    any::Any,
    iter,
    panic::{self, AssertUnwindSafe},
    sync::mpsc::{self, Receiver, SyncSender, TrySendError},
    thread::{self, JoinHandle},
};

use thiserror::Error;
use ve_core::node::event::AppendError;

use crate::store::CloseError;

/// How many jobs may wait; more of them are refused at once.
pub const MAX_WAITING_APPENDS: usize = 16_384;

/// How many jobs share a commit at most: enough to make its cost small for each, and few enough that
/// the first of them doesn't wait long.
pub const MAX_GROUP_APPENDS: usize = 512;

/// The writer's last words weren't good ones. What was reported durable is durable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FinishError {
    /// The store couldn't be tidied up.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// A mistake in this program; nothing was written from then on.
    #[error("the writer stopped: {0}")]
    Panicked(String),
}

/// What a thread writes to.
pub(super) trait Target: Send + 'static {
    /// One job.
    type Job: Send + 'static;
    /// What the outcome says of a job that is durable.
    type Done;

    /// Makes the jobs of a group durable, and says for each what became of it, in their order.
    fn write(&mut self, group: &[(u64, Self::Job)]) -> Vec<Result<Self::Done, AppendError>>;

    /// The target's own end.
    fn close(self) -> Result<(), CloseError>;

    /// How much of a group's room a job takes, of `MAX_GROUP_APPENDS` in all.
    fn weight(job: &Self::Job) -> usize;
}

/// The thread. Dropping it writes what waits, as [`Self::finish`] does.
#[derive(Debug)]
pub(super) struct Group<Job> {
    /// `None` once it shall finish.
    queue: Option<SyncSender<(u64, Job)>>,
    thread: Option<JoinHandle<Result<(), FinishError>>>,
}

impl<Job: Send + 'static> Group<Job> {
    /// Starts the thread, which calls `on_done` once for every job that [`Self::submit`] took, in the
    /// order in which they were submitted, when it is durable or has failed.
    pub(super) fn start<T: Target<Job = Job>>(
        name: &str,
        target: T,
        on_done: impl FnMut(u64, Result<T::Done, AppendError>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, waiting) = mpsc::sync_channel(MAX_WAITING_APPENDS);
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || write_until_the_end(target, &waiting, on_done))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands in a job, without waiting. An error is the outcome: it was not taken.
    pub(super) fn submit(&self, id: u64, job: Job) -> Result<(), AppendError> {
        let queue = self.queue.as_ref().expect("only finishing and dropping take the queue");
        queue.try_send((id, job)).map_err(|error| {
            AppendError(match error {
                TrySendError::Full(_) => {
                    format!("{MAX_WAITING_APPENDS} appends wait for a slow disk")
                }
                TrySendError::Disconnected(_) => "its writer has stopped".to_string(),
            })
        })
    }

    /// Writes what waits, reports it, and closes the target.
    pub(super) fn finish(mut self) -> Result<(), FinishError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), FinishError> {
        self.queue = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|panic| Err(FinishError::Panicked(words_of(&*panic))))
    }
}

impl<Job> Drop for Group<Job> {
    fn drop(&mut self) {
        self.queue = None;
        // Whoever wants to know how it ended calls `finish`.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn write_until_the_end<T: Target>(
    mut target: T,
    waiting: &Receiver<(u64, T::Job)>,
    mut on_done: impl FnMut(u64, Result<T::Done, AppendError>),
) -> Result<(), FinishError> {
    let mut left_over = None;
    while let Some(group) = next_group::<T>(waiting, &mut left_over) {
        let written = panic::catch_unwind(AssertUnwindSafe(|| target.write(&group)));
        match written {
            Ok(outcomes) => {
                for ((id, _), outcome) in iter::zip(group, outcomes) {
                    on_done(id, outcome);
                }
            }
            Err(panic) => {
                // Nobody knows what state the target is in: it is not touched again.
                drop(target);
                let why = words_of(&*panic);
                // Everyone is answered from now on, so that no one waits for a writer that is no more.
                for (id, _) in group.into_iter().chain(left_over).chain(waiting) {
                    on_done(id, Err(AppendError(format!("its writer stopped: {why}"))));
                }
                return Err(FinishError::Panicked(why));
            }
        }
    }
    target.close().map_err(FinishError::Close)
}

/// Waits for a job and takes along what else is there and has room; `None` when there never will be
/// one. What had no room is `left_over` for the next group.
fn next_group<T: Target>(
    waiting: &Receiver<(u64, T::Job)>,
    left_over: &mut Option<(u64, T::Job)>,
) -> Option<Vec<(u64, T::Job)>> {
    let first = left_over.take().or_else(|| waiting.recv().ok())?;
    let mut room = MAX_GROUP_APPENDS.saturating_sub(T::weight(&first.1));
    let mut group = vec![first];
    for job in waiting.try_iter() {
        let Some(rest) = room.checked_sub(T::weight(&job.1)) else {
            *left_over = Some(job);
            break;
        };
        room = rest;
        group.push(job);
        if room == 0 {
            break;
        }
    }
    Some(group)
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_string()
}
