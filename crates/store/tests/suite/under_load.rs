//! Many at once: no lock is in anyone's way, and the log stays small.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use ve_core::node::{
    event::AppendError,
    io::{AppendId, Durable},
};
use ve_store::{Limits, ReadOnly, Store, Writer};

use crate::events::{Home, closed, opened, record};

const SUBMITTERS: u64 = 256;
const APPENDS_EACH: u64 = 400;

/// The log is cut back to this; a checkpoint at every 1,000 pages keeps it well below.
const MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;

/// How often a tool reads the ledger meanwhile.
const READS: u64 = 40;

/// Reads whenever it is told to, and counts how often that went well.
fn read_when_told(path: &Path, told: &Receiver<()>) -> u64 {
    let mut reader = ReadOnly::open(path).expect("a reader");
    let mut last = 0;
    let mut reads = 0;
    while told.recv().is_ok() {
        let remembered = reader.remember().expect("no lock is in the way");
        assert!(remembered.position >= last, "time runs backwards");
        assert!(remembered.sessions.len() as u64 <= SUBMITTERS);
        last = remembered.position;
        reads += 1;
    }
    reads
}

/// Tells each submitter its outcome, the reader to read now and then, and watches the log.
fn listener(
    log: PathBuf,
    submitters: Vec<Sender<Result<Durable, AppendError>>>,
    reader: Sender<()>,
    largest_log: Arc<Mutex<u64>>,
) -> impl FnMut(AppendId, Result<Durable, AppendError>) + Send + 'static {
    let mut count = 0;
    move |id, outcome| {
        count += 1;
        if count % (SUBMITTERS * APPENDS_EACH / READS) == 0 {
            reader.send(()).expect("the reader listens");
            let size = log.metadata().expect("a log").len();
            let mut largest = largest_log.lock().expect("no panic");
            *largest = size.max(*largest);
        }
        let index = usize::try_from(id % SUBMITTERS).expect("small");
        submitters[index].send(outcome).expect("the submitter listens");
    }
}

/// Opens and closes one session after the other, each when the last append is durable.
fn submit_all(
    index: u64,
    turn: &Mutex<(Writer, u64)>,
    outcomes: &Receiver<Result<Durable, AppendError>>,
) -> Result<(), AppendError> {
    let mut session = 0;
    for count in 0..APPENDS_EACH {
        {
            // Positions go up in the order of the queue; a node sees to it by being one.
            let mut turn = turn.lock().expect("no panic");
            turn.1 += 1;
            let position = turn.1;
            let event = if count % 2 == 0 { opened(position) } else { closed(session) };
            session = position;
            turn.0.submit(index + SUBMITTERS * count, vec![record(position, event)])?;
        }
        outcomes.recv().expect("an outcome")?;
    }
    Ok(())
}

#[test]
fn a_hundred_thousand_appends_of_many_at_once() {
    let home = Home::new();
    let store = home.open_with(Limits { records: 20_000, ..Limits::default() });
    let (tell_reader, told) = mpsc::channel();
    let path = home.ledger();
    let reader = thread::spawn(move || read_when_told(&path, &told));
    let (tell, outcomes): (Vec<_>, Vec<_>) = (0..SUBMITTERS).map(|_| mpsc::channel()).unzip();
    let largest_log = Arc::new(Mutex::new(0));
    let listener = listener(home.log(), tell, tell_reader, Arc::clone(&largest_log));
    let turn = Mutex::new((Writer::start(store, listener).expect("a thread"), 0));

    thread::scope(|scope| {
        let turn = &turn;
        let submitters: Vec<_> = (0..)
            .zip(outcomes)
            .map(|(index, outcomes)| scope.spawn(move || submit_all(index, turn, &outcomes)))
            .collect();
        for submitter in submitters {
            assert_eq!(submitter.join().expect("no panic"), Ok(()));
        }
    });
    let (writer, position) = turn.into_inner().expect("no panic");
    assert_eq!(writer.finish(), Ok(()));
    assert_eq!(reader.join().expect("no panic"), READS);
    let largest_log = *largest_log.lock().expect("no panic");
    assert!((1..=MAX_LOG_BYTES).contains(&largest_log), "{largest_log} bytes");
    let mut store = home.open();
    let remembered = store.remember().expect("a sound ledger");
    assert_eq!((remembered.position, remembered.sessions), (position, Vec::new()));
    assert_eq!(store.records(usize::MAX).map(|records| records.len()), Ok(20_000));
}
