//! The writer's thread of a server's shell: what waits for the ledger and for the registry, commits,
//! and what a crash leaves of them.

use std::collections::VecDeque;

use ve_core::{
    node::{
        event::{AppendError, Event as Recorded, Record},
        io::{AppendId, Durable, EnrollId, Input},
    },
    registry::Batch,
};
use ve_store::{AppendFailure, HostStore, Store};

use crate::{
    Bug,
    disk::Disk,
    fact::Fact,
    server::Process,
    world::{Event, World},
};

/// How many appends share a commit at most.
const MAX_GROUP: usize = 512;

/// What waits for a disk, and what is being written.
pub(crate) struct Writing<T> {
    waiting: VecDeque<T>,
    under_way: Vec<T>,
    /// A commit came to its end while the process stood still.
    pub(crate) done_unseen: bool,
}

impl<T> Default for Writing<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), under_way: Vec::new(), done_unseen: false }
    }
}

impl<T> Writing<T> {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    /// Adds what is to be written; whether nothing is being written yet.
    fn add(&mut self, what: T) -> bool {
        self.waiting.push_back(what);
        self.under_way.is_empty()
    }

    /// What waits is being written from now on, unless something is already; whether that is anything.
    fn begin(&mut self) -> bool {
        if !self.under_way.is_empty() {
            return false;
        }
        let count = self.waiting.len().min(MAX_GROUP);
        self.under_way = self.waiting.drain(..count).collect();
        count > 0
    }

    fn end(&mut self) -> Vec<T> {
        std::mem::take(&mut self.under_way)
    }
}

impl World {
    pub(crate) fn submit(&mut self, server: usize, id: AppendId, records: Vec<Record>) {
        let records = self.spoil(records);
        let Some(process) = &mut self.servers[server].process else { return };
        if process.appends.add((id, records)) {
            self.begin_commit(server);
        }
        if self.plan.bug == Some(Bug::AnswerBeforeDurable) {
            self.feed(server, Input::Appended { id, outcome: Ok(Durable::Ledger) });
        }
    }

    /// What a shell with a bug keeps from the ledger.
    fn spoil(&self, mut records: Vec<Record>) -> Vec<Record> {
        match self.plan.bug {
            Some(Bug::MeterNotWritten) => {
                records.retain(|record| !matches!(record.event, Recorded::HoursUsed { .. }));
            }
            Some(Bug::VersionMarkDropped) => {
                records.retain(|record| !matches!(record.event, Recorded::LicenseSeen { .. }));
            }
            _ => {}
        }
        records
    }

    fn begin_commit(&mut self, server: usize) {
        let this = &mut self.servers[server];
        let Some(process) = &mut this.process else { return };
        let number = process.number;
        if process.appends.begin() {
            let slowest = this.disk.slow_ms.max(12);
            let at = self.at + self.random.between(1, slowest);
            self.queue.plan(at, Event::DiskDone { server, process: number });
        }
    }

    /// One commit for all; when one append of several is at fault, one for each. Marks that the
    /// ledger doesn't take are kept in the reserve.
    pub(crate) fn disk_done(&mut self, server: usize, process: u64) {
        let hung = self.servers[server].hung;
        let Some(running) = self.running(server, process) else { return };
        if hung {
            running.appends.done_unseen = true;
            return;
        }
        let group = running.appends.end();
        let batches: Vec<&[Record]> = group.iter().map(|(_, records)| records.as_slice()).collect();
        let disk = &mut self.servers[server].disk;
        let outcomes: Vec<Outcome> = match disk.append(&batches) {
            Err(AppendFailure::Batch { .. }) if batches.len() > 1 => batches
                .iter()
                .map(|batch| {
                    disk.append(&[batch])
                        .map(|()| Durable::Ledger)
                        .or_else(|failure| keep(disk, batch, failure))
                })
                .collect(),
            Err(failure) => {
                batches.iter().map(|batch| keep(disk, batch, failure.clone())).collect()
            }
            Ok(()) => vec![Ok(Durable::Ledger); batches.len()],
        };
        for ((id, records), outcome) in std::iter::zip(group, outcomes) {
            if outcome.is_ok() {
                self.checks.see(self.at, &Fact::Written { server, records: &records });
            }
            let outcome = match self.plan.bug {
                Some(Bug::AnswerBeforeDurable) => continue,
                Some(Bug::FailureReportedDurable) => Ok(Durable::Ledger),
                _ => outcome,
            };
            self.feed(server, Input::Appended { id, outcome });
        }
        self.begin_commit(server);
    }

    /// What was being written is there, in part, or not at all.
    pub(crate) fn tear(&mut self, server: usize, process: &Process) {
        let batches: Vec<&[Record]> =
            process.appends.under_way.iter().map(|(_, records)| records.as_slice()).collect();
        let (choice, part) = (self.random.index(3), self.random.number());
        self.servers[server].disk.tear(&batches, |length| match choice {
            0 => 0,
            1 => length,
            _ => usize::try_from(part % length.max(1) as u64).unwrap_or(0),
        });
    }

    /// A change of the registry goes to its own file, in order.
    pub(crate) fn enroll(&mut self, server: usize, id: EnrollId, batch: Batch) {
        self.checks.see(self.at, &Fact::Enrolling { server, batch: &batch });
        let Some(process) = &mut self.servers[server].process else { return };
        if process.enrolls.add((id, batch)) {
            self.begin_enrolling(server);
        }
        if self.plan.bug == Some(Bug::RegisteredBeforeDurable) {
            self.feed(server, Input::Enrolled { id, outcome: Ok(()) });
        }
    }

    fn begin_enrolling(&mut self, server: usize) {
        let this = &mut self.servers[server];
        let Some(process) = &mut this.process else { return };
        let number = process.number;
        if process.enrolls.begin() {
            let slowest = this.roll.slow_ms.max(12);
            let at = self.at + self.random.between(1, slowest);
            self.queue.plan(at, Event::RollDone { server, process: number });
        }
    }

    /// One commit for all that waited; all of it is written, or nothing.
    pub(crate) fn roll_done(&mut self, server: usize, process: u64) {
        let hung = self.servers[server].hung;
        let Some(running) = self.running(server, process) else { return };
        if hung {
            running.enrolls.done_unseen = true;
            return;
        }
        let group = running.enrolls.end();
        let batches: Vec<&Batch> = group.iter().map(|(_, batch)| batch).collect();
        let written = self.servers[server].roll.write(&batches);
        for (id, batch) in group {
            let outcome = match &written {
                Ok(()) => Ok(()),
                Err(failure) => Err(AppendError(failure.to_string())),
            };
            self.checks
                .see(self.at, &Fact::Enrolled { server, batch: &batch, durable: outcome.is_ok() });
            if self.plan.bug != Some(Bug::RegisteredBeforeDurable) {
                self.feed(server, Input::Enrolled { id, outcome });
            }
        }
        self.begin_enrolling(server);
    }

    /// What of the registry was being written is there, in part, or not at all.
    pub(crate) fn tear_roll(&mut self, server: usize, process: &Process) {
        let batches: Vec<&Batch> =
            process.enrolls.under_way.iter().map(|(_, batch)| batch).collect();
        if batches.is_empty() {
            return;
        }
        let (choice, part) = (self.random.index(3), self.random.number());
        self.servers[server].roll.tear(&batches, |length| match choice {
            0 => 0,
            1 => length,
            _ => usize::try_from(part % length.max(1) as u64).unwrap_or(0),
        });
    }
}

type Outcome = Result<Durable, AppendError>;

fn keep(disk: &mut Disk, batch: &[Record], failure: AppendFailure) -> Outcome {
    match failure {
        AppendFailure::Ledger(_) if disk.reserve(batch).is_ok() => Ok(Durable::Reserve),
        failure => Err(AppendError(failure.to_string())),
    }
}
