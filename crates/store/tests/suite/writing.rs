//! The writer: groups, order, failures, and an answer for everyone.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
};

use ve_core::node::{
    event::{AppendError, Record, Remembered},
    io::{AppendId, Durable},
};
use ve_store::{
    AppendFailure, CloseError, Denied, FinishError, LoadError, MAX_GROUP_APPENDS,
    MAX_WAITING_APPENDS, Memory, Store, Writer,
};

use crate::events::{Home, denied, opened, record};

type Done = (AppendId, Result<Durable, AppendError>);

/// A store whose appends wait until the test lets them go on.
struct Held {
    inside: Memory,
    entered: Sender<()>,
    go_on: Receiver<()>,
    appends: Arc<AtomicUsize>,
    panics: bool,
}

impl Store for Held {
    fn append(&mut self, batches: &[&[Record]]) -> Result<(), AppendFailure> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        self.entered.send(()).expect("the test listens");
        self.go_on.recv().expect("the test says so");
        assert!(!self.panics, "planted");
        self.inside.append(batches)
    }

    fn reserve(&mut self, batch: &[Record]) -> Result<(), AppendFailure> {
        self.inside.reserve(batch)
    }

    fn remember(&mut self) -> Result<Remembered, LoadError> {
        self.inside.remember()
    }

    fn records(&mut self, limit: usize) -> Result<Vec<Record>, LoadError> {
        self.inside.records(limit)
    }

    fn denials(&mut self, limit: usize) -> Result<Vec<Denied>, LoadError> {
        self.inside.denials(limit)
    }

    fn close(self) -> Result<(), CloseError> {
        self.inside.close()
    }
}

/// A writer over a held store.
struct HeldWriter {
    writer: Writer,
    memory: Memory,
    entered: Receiver<()>,
    go_on: Sender<()>,
    done: Receiver<Done>,
    appends: Arc<AtomicUsize>,
}

impl HeldWriter {
    fn new(panics: bool) -> Self {
        let (entered, hears_entered) = mpsc::channel();
        let (lets_go_on, go_on) = mpsc::channel();
        let (memory, appends) = (Memory::new(), Arc::new(AtomicUsize::new(0)));
        let held =
            Held { inside: memory.clone(), entered, go_on, appends: Arc::clone(&appends), panics };
        let (writer, done) = start(held);
        Self { writer, memory, entered: hears_entered, go_on: lets_go_on, done, appends }
    }

    /// Submits the first append and waits until the store holds it, then the others.
    fn queue_up(&self, appends: impl IntoIterator<Item = (AppendId, Vec<Record>)>) {
        for (count, (id, records)) in appends.into_iter().enumerate() {
            self.writer.submit(id, records).expect("room");
            if count == 0 {
                self.entered.recv().expect("the store is asked");
            }
        }
    }

    fn let_go_on(&self, times: usize) {
        iter::repeat_n((), times).for_each(|()| self.go_on.send(()).expect("the store waits"));
    }

    fn outcomes(&self, count: usize) -> Vec<Done> {
        iter::repeat_with(|| self.done.recv().expect("an outcome")).take(count).collect()
    }
}

fn start(store: impl Store + 'static) -> (Writer, Receiver<Done>) {
    let (tell, done) = mpsc::channel();
    let tell = move |id, outcome| tell.send((id, outcome)).expect("the test listens");
    (Writer::start(store, tell).expect("a thread"), done)
}

fn one(position: u64) -> (AppendId, Vec<Record>) {
    (position, vec![record(position, denied())])
}

fn fine(ids: impl IntoIterator<Item = AppendId>) -> Vec<Done> {
    ids.into_iter().map(|id| (id, Ok(Durable::Ledger))).collect()
}

fn failed(ids: impl IntoIterator<Item = AppendId>, why: &str) -> Vec<Done> {
    ids.into_iter().map(|id| (id, Err(AppendError(why.into())))).collect()
}

#[test]
fn appends_that_wait_share_one_commit() {
    let held = HeldWriter::new(false);
    held.queue_up((1..=100).map(one));
    held.let_go_on(2);
    assert_eq!(held.outcomes(100), fine(1..=100));
    assert_eq!(held.appends.load(Ordering::SeqCst), 2);
}

#[test]
fn a_group_has_its_limit() {
    let held = HeldWriter::new(false);
    let count = 1 + 2 * MAX_GROUP_APPENDS as u64;
    held.queue_up((1..=count).map(one));
    held.let_go_on(3);
    assert_eq!(held.outcomes(1 + 2 * MAX_GROUP_APPENDS), fine(1..=count));
    assert_eq!(held.appends.load(Ordering::SeqCst), 3);
}

#[test]
fn an_append_that_breaks_a_rule_fails_alone() {
    let held = HeldWriter::new(false);
    let bad = (9, vec![record(1, denied())]);
    held.queue_up([one(1), one(2), bad, one(3)]);
    // The first alone, the group of three, and each of it again.
    held.let_go_on(5);
    let why = "position 1 is not above 2, the last one";
    let expected = [fine([1, 2]), failed([9], why), fine([3])].concat();
    assert_eq!(held.outcomes(4), expected);
    assert_eq!(held.memory.clone().denials(9).map(|denials| denials.len()), Ok(3));
}

#[test]
fn a_ledger_that_fails_fails_all_and_recovers() {
    let held = HeldWriter::new(false);
    held.memory.break_with("disk full (SQLITE_FULL)");
    held.queue_up((1..=3).map(one));
    held.let_go_on(2);
    assert_eq!(held.outcomes(3), failed(1..=3, "disk full (SQLITE_FULL)"));
    assert_eq!(held.appends.load(Ordering::SeqCst), 2);
    held.memory.repair();
    held.queue_up([one(4)]);
    held.let_go_on(1);
    assert_eq!(held.outcomes(1), fine([4]));
}

#[test]
fn what_does_not_fit_into_the_queue_is_refused_at_once() {
    let held = HeldWriter::new(false);
    let room = 1 + MAX_WAITING_APPENDS as u64;
    held.queue_up((1..=room).map(|id| (id, Vec::new())));
    let refused = held.writer.submit(room + 1, Vec::new()).expect_err("no room");
    assert_eq!(
        refused.to_string(),
        "the ledger can't be written: 16384 appends wait for a slow disk"
    );
    held.let_go_on(1 + MAX_WAITING_APPENDS.div_ceil(MAX_GROUP_APPENDS));
    assert_eq!(held.outcomes(1 + MAX_WAITING_APPENDS), fine(1..=room));
}

#[test]
fn a_panic_of_the_writer_is_an_answer_for_everyone() {
    let held = HeldWriter::new(true);
    held.queue_up((1..=3).map(one));
    held.let_go_on(1);
    assert_eq!(held.outcomes(3), failed(1..=3, "its writer stopped: planted"));
    held.writer.submit(4, Vec::new()).expect("taken");
    assert_eq!(held.outcomes(1), failed([4], "its writer stopped: planted"));
    let ended = held.writer.finish();
    assert_eq!(ended, Err(FinishError::Panicked("planted".into())));
}

#[test]
fn a_writer_whose_listener_panics_takes_no_more() {
    let (reached, hears) = mpsc::channel::<()>();
    let listener = move |_, _| {
        // Dropped by the unwinding, after which the queue is gone as well.
        let _reached = &reached;
        panic!("planted in the listener");
    };
    let writer = Writer::start(Memory::new(), listener).expect("a thread");
    writer.submit(1, Vec::new()).expect("taken");
    hears.recv().expect_err("the listener is dropped");
    assert_eq!(writer.finish(), Err(FinishError::Panicked("planted in the listener".into())));
}

#[test]
fn finishing_writes_what_waits_and_folds_the_log() {
    let home = Home::new();
    let (writer, done) = start(home.open());
    for position in 1..=1_000 {
        writer.submit(position, vec![record(position, opened(position))]).expect("room");
    }
    assert_eq!(writer.finish(), Ok(()));
    assert_eq!(done.iter().collect::<Vec<_>>(), fine(1..=1_000));
    assert!(!home.log().exists());
    assert_eq!(home.open().remember().expect("sessions").sessions.len(), 1_000);
}

#[test]
fn dropping_writes_what_waits_as_well() {
    let home = Home::new();
    let (writer, done) = start(home.open());
    for position in 1..=100 {
        writer.submit(position, vec![record(position, opened(position))]).expect("room");
    }
    drop(writer);
    assert_eq!(done.iter().count(), 100);
    assert_eq!(home.open().remember().map(|it| it.position), Ok(100));
}
