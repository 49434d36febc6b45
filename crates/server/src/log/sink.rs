//! Where entries end up, and how what is lost on the way is counted and told.

use std::{io, sync::Arc};

use jiff::Timestamp;

use super::{
    Entry, Field, Level, Module,
    queue::{Queue, Work},
};

/// A place that takes entries: a file, the journal, standard error.
pub(super) trait Sink: Send {
    /// What messages call it.
    fn name(&self) -> String;
    /// Takes these entries, at most two, whole; all of them or none, as far as the place knows how.
    fn put(&mut self, entries: &[&Entry]) -> io::Result<()>;
    /// Finds the place anew under its name.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Makes durable what was taken.
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Carries entries from a queue to a sink until the queue is closed.
///
/// A sink that fails is tried again with every entry. Its first failure and its recovery are told
/// to `others`; the sink itself is told how many lines are missing as soon as it works again.
pub(super) fn carry(queue: &Queue, sink: Box<dyn Sink>, others: Option<Arc<Queue>>) {
    let mut carrier = Carrier { queue, sink, others, lost: 0, failing: false };
    loop {
        match queue.next() {
            Work::Put(entry) => carrier.put(&entry),
            Work::Reopen => {
                if let Err(error) = carrier.sink.reopen() {
                    carrier.failed(&error);
                }
            }
            Work::Sync(ticket) => {
                let durable = carrier.sink.sync();
                queue.synced(ticket, durable.is_ok() && carrier.lost == 0);
            }
            Work::End => return,
        }
    }
}

struct Carrier<'a> {
    queue: &'a Queue,
    sink: Box<dyn Sink>,
    others: Option<Arc<Queue>>,
    /// Lines that the sink has not been told of yet.
    lost: u64,
    failing: bool,
}

impl Carrier<'_> {
    fn put(&mut self, entry: &Entry) {
        let outcome = if self.lost > 0 {
            self.sink.put(&[&missing(entry.time(), self.lost, "lost"), entry])
        } else {
            self.sink.put(&[entry])
        };
        match outcome {
            Ok(()) => self.succeeded(),
            Err(error) => {
                self.lost += 1;
                self.queue.count_unwritten();
                self.failed(&error);
            }
        }
    }

    fn succeeded(&mut self) {
        self.failing = false;
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            let message =
                format!("The {} can be written again; {}.", self.sink.name(), lines(lost, "lost"));
            self.tell_others(Level::Info, "log-recovered", &message);
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.failing {
            self.failing = true;
            let message = format!(
                "The {} can't be written: {error}. The server goes on, and every new line tries \
                 again. Make room or repair the disk.",
                self.sink.name()
            );
            self.tell_others(Level::Error, "log-failed", &message);
        }
    }

    fn tell_others(&self, level: Level, event: &str, message: &str) {
        if let Some(others) = &self.others {
            let entry = Entry::new(level, Module::Main, message).with(Field::Event, event);
            others.push(Arc::new(entry));
        }
    }
}

/// The entry that stands where `count` lines are missing; `how` they went missing.
pub(super) fn missing(at: Timestamp, count: u64, how: &str) -> Entry {
    Entry::at(at, Level::Warn, Module::Main, format!("{}.", lines(count, how)))
        .with(Field::Event, format!("lines-{how}"))
        .with(Field::Lines, count)
}

fn lines(count: u64, how: &str) -> String {
    if count == 1 { format!("1 line was {how}") } else { format!("{count} lines were {how}") }
}
