//! What a server's disk remembers: the registry, which may be lost or put back to an old copy, and
//! the ledger, which the stories here leave alone.

use std::collections::BTreeMap;

use ve_core::{
    id::{HostKey, SpanId},
    node::event::{Event, Record, Remembered, RetiredHost},
    registry::{Batch, HostEntry, KnownPeer, Position, RememberedHosts, Span, changes::MAX_SPANS},
};

/// One copy of the registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    pub(crate) entries: BTreeMap<HostKey, (u64, HostEntry)>,
    pub(crate) spans: Vec<Span>,
    pub(crate) pulled: Option<Position>,
    pub(crate) peer: Option<KnownPeer>,
    pub(crate) may_lack_hosts: bool,
}

impl Store {
    pub(crate) fn write(&mut self, batch: &Batch) {
        for (number, entry) in &batch.entries {
            let span = self.spans.last().expect("a start begins a span");
            assert!(*number > span.after, "change {number} is older than this start");
            self.entries.insert(entry.host, (*number, entry.clone()));
        }
        self.pulled = batch.pulled.or(self.pulled);
        if batch.peer.is_some() {
            self.peer.clone_from(&batch.peer);
        }
    }

    /// A server starts: what is remembered, with a span of its own.
    pub(crate) fn begin(&mut self, id: SpanId) -> RememberedHosts {
        let numbers = self.entries.values().map(|(number, _)| *number);
        let last = self.spans.last().map_or(0, |span| span.after);
        self.spans.push(Span { id, after: numbers.fold(last, u64::max) });
        let surplus = self.spans.len().saturating_sub(MAX_SPANS);
        self.spans.drain(..surplus);
        RememberedHosts {
            entries: self.entries.values().cloned().collect(),
            spans: self.spans.clone(),
            pulled: self.pulled,
            peer: self.peer.clone(),
            may_lack_hosts: self.may_lack_hosts,
        }
    }

    /// The entries alone, which must be equal on both sides.
    pub(crate) fn hosts(&self) -> BTreeMap<HostKey, HostEntry> {
        self.entries.iter().map(|(host, (_, entry))| (*host, entry.clone())).collect()
    }
}

/// What a ledger adds up to, as far as these stories need it.
pub(crate) fn fold(records: &[Record]) -> Remembered {
    let mut remembered = Remembered::default();
    for Record { position, event, .. } in records {
        remembered.position = *position;
        match event {
            Event::HostRetired { host, name, home, at, identity, .. } => {
                let retired = RetiredHost {
                    at: *at,
                    name: name.clone(),
                    home: home.clone(),
                    identity: identity.clone(),
                };
                remembered.retired_hosts.entry(*host).or_insert(retired);
            }
            Event::HostsHomed { home, count } => {
                remembered.homed.insert(home.clone(), *count);
            }
            Event::LicenseSeen { license_id, version } => {
                remembered.versions.insert(license_id.clone(), *version);
            }
            Event::TimeMarked { mark } => remembered.time_mark = Some(*mark),
            Event::SessionOpened(session) => {
                remembered.last_session = session.number.0;
                remembered.sessions.push(session.clone());
            }
            Event::SessionClosed { number, .. } => {
                remembered.sessions.retain(|session| session.number != *number);
            }
            _ => {}
        }
    }
    remembered
}
