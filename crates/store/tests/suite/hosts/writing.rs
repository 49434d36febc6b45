//! The writer's thread: order, groups, failures, and an answer for everyone.

use std::sync::mpsc::{self, Receiver};

use ve_core::{
    node::{event::AppendError, io::EnrollId},
    registry::{Batch, RememberedHosts},
};
use ve_store::{
    AppendFailure, CloseError, FinishError, HostStore, HostWriter, LoadError, MemoryHosts,
};

use crate::hosts::entries::{Place, fresh, numbers, span};

type Done = (EnrollId, Result<(), AppendError>);

fn start(store: impl HostStore + 'static) -> (HostWriter, Receiver<Done>) {
    let (tell, done) = mpsc::channel();
    let tell = move |id, outcome| tell.send((id, outcome)).expect("the test listens");
    (HostWriter::start(store, tell).expect("a thread"), done)
}

fn fine(ids: impl IntoIterator<Item = EnrollId>) -> Vec<Done> {
    ids.into_iter().map(|id| (id, Ok(()))).collect()
}

/// Says how many entries each commit had, and waits before each until the test lets it go on.
struct Held {
    inside: MemoryHosts,
    entered: mpsc::Sender<usize>,
    go_on: Receiver<()>,
    panics: bool,
}

impl HostStore for Held {
    fn remember(&mut self) -> Result<RememberedHosts, LoadError> {
        self.inside.remember()
    }

    fn write(&mut self, batches: &[&Batch]) -> Result<(), AppendFailure> {
        let entries = batches.iter().map(|batch| batch.entries.len()).sum();
        self.entered.send(entries).expect("the test listens");
        self.go_on.recv().expect("the test says so");
        assert!(!self.panics, "planted");
        self.inside.write(batches)
    }

    fn close(self) -> Result<(), CloseError> {
        self.inside.close()
    }
}

struct HeldWriter {
    writer: HostWriter,
    memory: MemoryHosts,
    entered: Receiver<usize>,
    go_on: mpsc::Sender<()>,
    done: Receiver<Done>,
}

fn held(panics: bool) -> HeldWriter {
    let (entered, hears_entered) = mpsc::channel();
    let (lets_go_on, go_on) = mpsc::channel();
    let memory = MemoryHosts::new(span(1));
    let (writer, done) = start(Held { inside: memory.clone(), entered, go_on, panics });
    HeldWriter { writer, memory, entered: hears_entered, go_on: lets_go_on, done }
}

impl HeldWriter {
    /// Submits these, the first of which is written alone, and gives the entries of each commit.
    fn commits(&self, batches: Vec<Batch>, count: usize) -> Vec<usize> {
        let mut commits = Vec::new();
        for (id, batch) in (1..).zip(batches) {
            self.writer.submit(id, batch).expect("room");
            if id == 1 {
                commits.push(self.entered.recv().expect("the store is asked"));
            }
        }
        self.go_on.send(()).expect("the store waits");
        for _ in 1..count {
            commits.push(self.entered.recv().expect("the store is asked"));
            self.go_on.send(()).expect("the store waits");
        }
        commits
    }
}

#[test]
fn batches_that_wait_share_one_commit() {
    let held = held(false);
    let commits = held.commits((1..=100).map(|number| fresh([number])).collect(), 2);
    assert_eq!(commits, [1, 99]);
    assert_eq!(held.done.iter().take(100).collect::<Vec<_>>(), fine(1..=100));
}

/// The first of a group doesn't wait for a whole registry.
#[test]
fn large_batches_share_fewer_commits() {
    let held = held(false);
    let batches = (0..201).map(|number| fresh(number * 256 + 1..=number * 256 + 256)).collect();
    let commits = held.commits(batches, 5);
    assert_eq!(commits.iter().sum::<usize>(), 201 * 256);
    assert!(commits.iter().all(|entries| *entries < 16_384), "{commits:?}");
    assert_eq!(held.done.iter().take(201).collect::<Vec<_>>(), fine(1..=201));
}

#[test]
fn a_batch_that_breaks_a_rule_fails_alone() {
    let held = held(false);
    let commits = held.commits([[1], [2], [0], [3]].map(fresh).into(), 5);
    assert_eq!(commits, [1, 3, 1, 1, 1]);
    let done: Vec<Done> = held.done.iter().take(4).collect();
    let why = "change 0 is not above 0, the last before this start";
    let failed = vec![(3, Err(AppendError(why.into())))];
    assert_eq!(done, [fine([1, 2]), failed, fine([4])].concat());
    let mut memory = held.memory.clone();
    assert_eq!(numbers(&memory.remember().expect("in memory")), [1, 2, 3]);
}

#[test]
fn a_registry_that_fails_fails_all_and_recovers() {
    let memory = MemoryHosts::new(span(1));
    let (writer, done) = start(memory.clone());
    memory.break_with("disk full (SQLITE_FULL)");
    writer.submit(1, fresh([1])).expect("room");
    let failed = (1, Err(AppendError("disk full (SQLITE_FULL)".into())));
    assert_eq!(done.recv(), Ok(failed));
    memory.repair();
    writer.submit(2, fresh([2])).expect("room");
    assert_eq!(done.recv(), Ok((2, Ok(()))));
    assert_eq!(writer.finish(), Ok(()));
}

#[test]
fn a_panic_of_the_writer_is_an_answer_for_everyone() {
    let held = held(true);
    held.commits([[1], [2], [3]].map(fresh).into(), 1);
    let failed = |id| (id, Err(AppendError("its writer stopped: planted".into())));
    assert_eq!(held.done.iter().take(3).collect::<Vec<_>>(), [1, 2, 3].map(failed));
    assert_eq!(held.writer.finish(), Err(FinishError::Panicked("planted".into())));
}

#[test]
fn finishing_writes_what_waits_and_folds_the_log() {
    let place = Place::new();
    let (writer, done) = start(place.start(1));
    for number in 1..=1_000 {
        writer.submit(number, fresh([number])).expect("room");
    }
    assert_eq!(writer.finish(), Ok(()));
    assert_eq!(done.iter().collect::<Vec<_>>(), fine(1..=1_000));
    assert!(!place.log().exists());
    assert_eq!(place.read().entries.len(), 1_000);
}
