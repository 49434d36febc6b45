//! An `instances.db` that a story can slow down and break.

use std::collections::{BTreeMap, VecDeque};

use ve_core::{
    id::{HostKey, SpanId},
    node::{event::AppendError, io::EnrollId},
    registry::{Batch, HostEntry, KnownPeer, Position, RememberedHosts, Span, changes::MAX_SPANS},
};

use super::Disk;

/// The registry of a server as it is on its disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistryFile {
    pub(crate) broken: bool,
    pub(crate) slow: bool,
    pub(crate) entries: BTreeMap<HostKey, (u64, HostEntry)>,
    spans: Vec<Span>,
    pub(crate) pulled: Option<Position>,
    pub(crate) peer: Option<KnownPeer>,
    pub(crate) may_lack_hosts: bool,
    pub(crate) waiting: VecDeque<(EnrollId, Batch)>,
    /// How many entries were ever written.
    pub(crate) written: usize,
    starts: u8,
}

impl RegistryFile {
    pub(crate) fn set_disk(&mut self, disk: Disk) {
        self.slow = disk == Disk::Slow;
        self.broken = disk == Disk::Full;
    }

    /// Takes a change; its outcome, unless the disk is slow.
    pub(crate) fn enroll(&mut self, id: EnrollId, batch: Batch) -> Option<Result<(), AppendError>> {
        if self.slow || !self.waiting.is_empty() {
            self.waiting.push_back((id, batch));
            return None;
        }
        Some(self.write(batch))
    }

    fn write(&mut self, batch: Batch) -> Result<(), AppendError> {
        if self.broken {
            return Err(AppendError("no space left on device".to_string()));
        }
        self.written += batch.entries.len();
        for (number, entry) in batch.entries {
            self.entries.insert(entry.host, (number, entry));
        }
        self.pulled = batch.pulled.or(self.pulled);
        self.peer = batch.peer.or(self.peer.take());
        Ok(())
    }

    pub(crate) fn settle_one(
        &mut self,
        succeeds: bool,
    ) -> Option<(EnrollId, Result<(), AppendError>)> {
        let (id, batch) = self.waiting.pop_front()?;
        let was_broken = core::mem::replace(&mut self.broken, !succeeds);
        let outcome = self.write(batch);
        self.broken = was_broken;
        Some((id, outcome))
    }

    /// What a server finds at its start, which begins a span.
    pub(crate) fn begin(&mut self) -> RememberedHosts {
        self.starts += 1;
        let after = self.entries.values().map(|(number, _)| *number).max().unwrap_or(0);
        self.spans.push(Span { id: SpanId([self.starts; 16]), after });
        if self.spans.len() > MAX_SPANS {
            self.spans.remove(0);
        }
        RememberedHosts {
            entries: self.entries.values().cloned().collect(),
            spans: self.spans.clone(),
            pulled: self.pulled,
            peer: self.peer.clone(),
            may_lack_hosts: self.may_lack_hosts,
        }
    }

    /// The file is lost, and whoever starts the server knows.
    pub(crate) fn lose(&mut self) {
        *self = Self { starts: self.starts, may_lack_hosts: true, ..Self::default() };
    }
}
