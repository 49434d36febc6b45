//! The two threads that remember what the node decides, seen as one: the ledger's and the registry's.

use tokio::{sync::mpsc, task::spawn_blocking};
use ve_core::{
    node::{
        event::{AppendError, Record},
        io::{AppendId, Durable, EnrollId},
    },
    registry::Batch,
};
use ve_store::{HostStore, HostWriter, Store, Writer};

/// A thread that writes is gone: a mistake in this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a writer of the ledger or of the registry has stopped")]
pub struct WriterGone;

/// What became of something that was to be remembered.
#[derive(Debug)]
pub(super) enum Outcome {
    Appended(AppendId, Result<Durable, AppendError>),
    Enrolled(EnrollId, Result<(), AppendError>),
}

/// The writers, and what they report.
pub struct Writers {
    ledger: Writer,
    registry: HostWriter,
    appended: mpsc::UnboundedReceiver<Outcome>,
    enrolled: mpsc::UnboundedReceiver<Outcome>,
    /// How much was handed in whose outcome is not known yet.
    under_way: usize,
}

impl Writers {
    /// Starts both threads. Errs when the system gives none.
    pub fn start(
        ledger: impl Store + 'static,
        registry: impl HostStore + 'static,
    ) -> std::io::Result<Self> {
        let (report, appended) = mpsc::unbounded_channel();
        // The driver outlives the writers; nobody else could be told.
        let ledger = Writer::start(ledger, move |id, outcome| {
            drop(report.send(Outcome::Appended(id, outcome)));
        })?;
        let (report, enrolled) = mpsc::unbounded_channel();
        let registry = HostWriter::start(registry, move |id, outcome| {
            drop(report.send(Outcome::Enrolled(id, outcome)));
        })?;
        Ok(Self { ledger, registry, appended, enrolled, under_way: 0 })
    }

    pub(super) fn append(&mut self, id: AppendId, records: Vec<Record>) -> Result<(), AppendError> {
        self.ledger.submit(id, records)?;
        self.under_way += 1;
        Ok(())
    }

    pub(super) fn enroll(&mut self, id: EnrollId, batch: Batch) -> Result<(), AppendError> {
        self.registry.submit(id, batch)?;
        self.under_way += 1;
        Ok(())
    }

    /// Waits for outcomes; at most `limit` at a time. Cancel safe.
    pub(super) async fn hear(
        &mut self,
        outcomes: &mut Vec<Outcome>,
        limit: usize,
    ) -> Result<(), WriterGone> {
        let first = tokio::select! {
            outcome = self.appended.recv() => outcome,
            outcome = self.enrolled.recv() => outcome,
        };
        outcomes.push(first.ok_or(WriterGone)?);
        self.under_way -= 1;
        while outcomes.len() < limit {
            let next = self.appended.try_recv().or_else(|_| self.enrolled.try_recv());
            let Ok(next) = next else { break };
            outcomes.push(next);
            self.under_way -= 1;
        }
        Ok(())
    }

    /// Whether an outcome is still to come.
    pub(super) fn are_busy(&self) -> bool {
        self.under_way > 0
    }

    /// Writes what waits and closes both; says what went wrong.
    pub(super) async fn finish(self) -> Vec<String> {
        let Self { ledger, registry, .. } = self;
        let ledger = spawn_blocking(move || ledger.finish());
        let registry = spawn_blocking(move || registry.finish());
        let mut troubles = Vec::new();
        for ended in [ledger.await, registry.await] {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => troubles.push(error.to_string()),
                Err(panic) => troubles.push(panic.to_string()),
            }
        }
        troubles
    }
}
