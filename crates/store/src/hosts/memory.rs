//! The engine without a disk, for tests: it can be told to fail, and to be what it was before.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ve_core::{
    id::{HostKey, SpanId},
    registry::{Batch, HostEntry, KnownPeer, Position, RememberedHosts, Span, changes::MAX_SPANS},
};

use super::write::admit;
use crate::{
    host_store::HostStore,
    store::{AppendFailure, CloseError, LoadError},
};

/// A registry in memory. Clones share it: a test keeps one, to break the registry that a writer owns or
/// to start with it again.
#[derive(Debug, Clone)]
pub struct MemoryHosts {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Clone, Default)]
struct Shared {
    registry: Content,
    /// The last number before this start.
    after: u64,
    broken: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Content {
    hosts: BTreeMap<HostKey, (u64, HostEntry)>,
    by_number: BTreeMap<u64, HostKey>,
    spans: Vec<Span>,
    pulled: Option<Position>,
    peer: Option<KnownPeer>,
    may_lack_hosts: bool,
}

impl MemoryHosts {
    /// An empty registry, whose first span has this name.
    pub fn new(span: SpanId) -> Self {
        let memory = Self { shared: Arc::default() };
        memory.restart(span, false);
        memory
    }

    /// A start of the server: a new span begins.
    pub fn restart(&self, span: SpanId, may_lack_hosts: bool) {
        let mut shared = self.shared();
        let registry = &mut shared.registry;
        let last = registry.by_number.last_key_value().map_or(0, |(number, _)| *number);
        let after = registry.spans.last().map_or(0, |span| span.after).max(last);
        registry.spans.push(Span { id: span, after });
        let surplus = registry.spans.len().saturating_sub(MAX_SPANS);
        registry.spans.drain(..surplus);
        registry.may_lack_hosts = may_lack_hosts;
        shared.after = after;
    }

    /// A registry of its own, as this one is now.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { shared: Arc::new(Mutex::new(self.shared().clone())) }
    }

    /// Becomes what `copy` is, as when an old file is put back; a restart has to follow.
    pub fn put_back(&self, copy: &Self) {
        let copy = copy.shared().clone();
        *self.shared() = copy;
    }

    /// From now on every write fails, and this is why.
    pub fn break_with(&self, why: impl Into<String>) {
        self.shared().broken = Some(why.into());
    }

    /// Writes succeed again.
    pub fn repair(&self) {
        self.shared().broken = None;
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // No code here panics while it holds the lock.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostStore for MemoryHosts {
    fn remember(&mut self) -> Result<RememberedHosts, LoadError> {
        let registry = self.shared().registry.clone();
        Ok(RememberedHosts {
            entries: registry
                .by_number
                .values()
                .filter_map(|host| registry.hosts.get(host).cloned())
                .collect(),
            spans: registry.spans,
            pulled: registry.pulled,
            peer: registry.peer,
            may_lack_hosts: registry.may_lack_hosts,
        })
    }

    fn write(&mut self, batches: &[&Batch]) -> Result<(), AppendFailure> {
        let mut shared = self.shared();
        if let Some(why) = &shared.broken {
            return Err(AppendFailure::Ledger(why.clone()));
        }
        let mut registry = shared.registry.clone();
        for (index, batch) in batches.iter().enumerate() {
            admit(batch, shared.after)
                .and_then(|()| registry.take(batch))
                .map_err(|why| AppendFailure::Batch { index, why })?;
        }
        shared.registry = registry;
        Ok(())
    }

    fn close(self) -> Result<(), CloseError> {
        Ok(())
    }
}

impl Content {
    fn take(&mut self, batch: &Batch) -> Result<(), String> {
        for (number, entry) in &batch.entries {
            let known = self.hosts.get(&entry.host).map_or(0, |(known, _)| *known);
            if known >= *number {
                continue;
            }
            if self.by_number.contains_key(number) {
                return Err(format!("there is a change {number} already"));
            }
            self.by_number.remove(&known);
            self.by_number.insert(*number, entry.host);
            self.hosts.insert(entry.host, (*number, entry.clone()));
        }
        self.pulled = batch.pulled.or(self.pulled);
        self.peer = batch.peer.clone().or_else(|| self.peer.take());
        Ok(())
    }
}
