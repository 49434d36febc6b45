//! A server's registry on its disk: `instances.db` as a row of frames, one for each commit. Its disk
//! fails apart from the ledger's: both files may lie on different volumes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ve_core::{
    id::{HostKey, SpanId},
    registry::{
        Batch, HostEntry, HostState, KnownPeer, Position, RememberedHosts, Span, changes::MAX_SPANS,
    },
};
use ve_store::{AppendFailure, CloseError, HostStore, LoadError};

use crate::{
    disk::Health,
    frame::{decode, encode},
};

/// What the frames add up to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Content {
    entries: BTreeMap<HostKey, (u64, HostEntry)>,
    spans: Vec<Span>,
    last: u64,
    pulled: Option<Position>,
    peer: Option<KnownPeer>,
}

/// What one batch changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step {
    entries: Vec<(u64, HostEntry)>,
    pulled: Option<Position>,
    peer: Option<KnownPeer>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Frame {
    Commit(Vec<Step>),
    Whole(Content),
}

/// The registry's disk of one server.
#[derive(Debug, Clone)]
pub(crate) struct Roll {
    bytes: Vec<u8>,
    content: Content,
    pub(crate) health: Health,
    /// How long a commit takes at most, in milliseconds.
    pub(crate) slow_ms: u64,
    /// The file is gone, and the next start finds that out.
    missing: bool,
    may_lack_hosts: bool,
}

impl Content {
    fn take(&mut self, step: &Step) {
        for (number, entry) in &step.entries {
            self.last = self.last.max(*number);
            self.entries.insert(entry.host, (*number, entry.clone()));
        }
        self.pulled = step.pulled.or(self.pulled);
        if let Some(peer) = &step.peer {
            self.peer = Some(peer.clone());
        }
    }
}

impl Step {
    fn of(batch: &Batch) -> Self {
        let peer = batch.peer.clone();
        Self { entries: batch.entries.clone(), pulled: batch.pulled, peer }
    }
}

impl Roll {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            content: Content::default(),
            health: Health::Sound,
            slow_ms: 0,
            missing: false,
            may_lack_hosts: false,
        }
    }

    /// A start reads the file, and begins a new span. `knows_hosts`: the ledger says that there were
    /// registrations, so a missing file is a lost one.
    pub(crate) fn begin(&mut self, span: SpanId, knows_hosts: bool) {
        self.recover();
        self.may_lack_hosts = std::mem::take(&mut self.missing) && knows_hosts;
        let spans = &mut self.content.spans;
        spans.push(Span { id: span, after: self.content.last });
        spans.drain(..spans.len().saturating_sub(MAX_SPANS));
        self.bytes = encode(&Frame::Whole(self.content.clone()));
    }

    /// The power goes while these batches are being written.
    pub(crate) fn tear(&mut self, batches: &[&Batch], keep: impl Fn(usize) -> usize) {
        if self.health != Health::Sound || batches.is_empty() {
            return;
        }
        let frame = encode(&Frame::Commit(batches.iter().map(|batch| Step::of(batch)).collect()));
        let kept = keep(frame.len()).min(frame.len());
        self.bytes.extend_from_slice(&frame[..kept]);
    }

    /// The file, as a backup holds it.
    pub(crate) fn copy(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Puts another file in place; `None`: there is none.
    pub(crate) fn replace(&mut self, bytes: Option<Vec<u8>>) {
        self.missing = bytes.is_none();
        self.bytes = bytes.unwrap_or_default();
        self.recover();
    }

    fn recover(&mut self) {
        let mut content = Content::default();
        let mut good = 0;
        while let Some((frame, length)) = decode(&self.bytes[good..]) {
            good += length;
            match frame {
                Frame::Whole(whole) => content = whole,
                Frame::Commit(steps) => steps.iter().for_each(|step| content.take(step)),
            }
        }
        self.bytes.truncate(good);
        self.content = content;
    }

    /// What is durable of a host.
    pub(crate) fn find(&self, host: HostKey) -> Option<&HostEntry> {
        self.content.entries.get(&host).map(|(_, entry)| entry)
    }

    /// All durable entries, in the order of their keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &HostEntry> {
        self.content.entries.values().map(|(_, entry)| entry)
    }

    pub(crate) fn has_retired(&self, host: HostKey) -> bool {
        self.find(host).is_some_and(|entry| entry.state == HostState::Retired)
    }
}

impl HostStore for Roll {
    fn remember(&mut self) -> Result<RememberedHosts, LoadError> {
        Ok(RememberedHosts {
            entries: self.content.entries.values().cloned().collect(),
            spans: self.content.spans.clone(),
            pulled: self.content.pulled,
            peer: self.content.peer.clone(),
            may_lack_hosts: self.may_lack_hosts,
        })
    }

    fn write(&mut self, batches: &[&Batch]) -> Result<(), AppendFailure> {
        match self.health {
            Health::Sound => {}
            Health::Full => return Err(AppendFailure::Ledger("disk full".to_owned())),
            Health::Failing => return Err(AppendFailure::Ledger("input/output error".to_owned())),
        }
        let steps: Vec<Step> = batches.iter().map(|batch| Step::of(batch)).collect();
        for step in &steps {
            self.content.take(step);
        }
        self.bytes.extend_from_slice(&encode(&Frame::Commit(steps)));
        Ok(())
    }

    fn close(self) -> Result<(), CloseError> {
        Ok(())
    }
}
