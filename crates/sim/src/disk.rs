//! A server's disk: a ledger of encoded, checksummed commits in a row of bytes, and the reserve.
//!
//! A commit is one frame. A crash may leave a part of the last one; recovery reads whole frames and
//! cuts off what follows. The disk can be slow, full, failing or read-only.

use serde::{Deserialize, Serialize};
use ve_core::node::event::{Event, Record, Remembered};
use ve_store::{AppendFailure, CloseError, Denied, LoadError, Store};

use crate::{
    frame::{decode, encode},
    ledger::Ledger,
};

/// From this size on a start writes what it has read anew, in one frame.
const COMPACT_BYTES: usize = 256 * 1024;

/// How many records a disk keeps for the lists.
const MAX_LISTED: usize = 64;

/// What a disk does with writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Sound,
    /// The ledger takes nothing; the reserve has its room.
    Full,
    /// Nothing is written, the reserve neither.
    Failing,
}

/// A frame's content.
#[derive(Debug, Serialize, Deserialize)]
enum Frame {
    Commit(Vec<Vec<Record>>),
    Whole(Ledger),
}

/// The disk of one server.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    bytes: Vec<u8>,
    reserve: Ledger,
    ledger: Ledger,
    pub(crate) health: Health,
    /// How long a commit takes at most, in milliseconds.
    pub(crate) slow_ms: u64,
    recent: Vec<Record>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            reserve: Ledger::default(),
            ledger: Ledger::default(),
            health: Health::Sound,
            slow_ms: 0,
            recent: Vec::new(),
        }
    }

    /// What is durable now.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The power goes while these batches are being written: all of the frame is there, a part of it
    /// or nothing.
    pub(crate) fn tear(&mut self, batches: &[&[Record]], keep: impl Fn(usize) -> usize) {
        if self.health != Health::Sound || batches.is_empty() {
            return;
        }
        let frame = encode(&Frame::Commit(batches.iter().map(|batch| batch.to_vec()).collect()));
        let kept = keep(frame.len()).min(frame.len());
        self.bytes.extend_from_slice(&frame[..kept]);
    }

    /// The ledger's bytes, as a backup holds them.
    pub(crate) fn copy(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Puts other bytes in the ledger's place; the reserve goes as well when `everything` is lost.
    pub(crate) fn replace(&mut self, bytes: Vec<u8>, everything: bool) {
        self.bytes = bytes;
        if everything {
            self.reserve = Ledger::default();
        }
        self.recover();
        self.ledger.may_lack_holders = true;
        self.bytes = encode(&Frame::Whole(self.ledger.clone()));
    }

    /// Reads the whole ledger, and cuts off what is no whole frame.
    fn recover(&mut self) {
        let mut ledger = Ledger::default();
        let mut good = 0;
        while let Some((frame, length)) = decode(&self.bytes[good..]) {
            good += length;
            match frame {
                Frame::Whole(whole) => ledger = whole,
                Frame::Commit(batches) => {
                    batches.iter().flatten().for_each(|record| ledger.take(record));
                }
            }
        }
        self.bytes.truncate(good);
        self.ledger = ledger;
        if self.bytes.len() > COMPACT_BYTES {
            self.bytes = encode(&Frame::Whole(self.ledger.clone()));
        }
    }

    fn admit(&self, batches: &[&[Record]]) -> Result<(), AppendFailure> {
        let mut position = self.ledger.position;
        for (index, batch) in batches.iter().enumerate() {
            for record in *batch {
                if record.position <= position {
                    let why = format!("position {} is not above {position}", record.position);
                    return Err(AppendFailure::Batch { index, why });
                }
                position = record.position;
            }
        }
        Ok(())
    }
}

impl Store for Disk {
    fn remember(&mut self) -> Result<Remembered, LoadError> {
        self.recover();
        let mut joined = self.ledger.clone();
        joined.join_marks(&self.reserve);
        Ok(joined.remembered())
    }

    fn append(&mut self, batches: &[&[Record]]) -> Result<(), AppendFailure> {
        match self.health {
            Health::Sound => {}
            Health::Full => return Err(AppendFailure::Ledger("disk full".to_owned())),
            Health::Failing => return Err(AppendFailure::Ledger("input/output error".to_owned())),
        }
        self.admit(batches)?;
        let frame = encode(&Frame::Commit(batches.iter().map(|batch| batch.to_vec()).collect()));
        self.bytes.extend_from_slice(&frame);
        for record in batches.iter().copied().flatten() {
            self.ledger.take(record);
            self.recent.push(record.clone());
        }
        self.recent.drain(..self.recent.len().saturating_sub(MAX_LISTED));
        // The marks are mirrored, so that a lost ledger loses none of them.
        let ledger = self.ledger.clone_marks();
        self.reserve.join_marks(&ledger);
        Ok(())
    }

    fn reserve(&mut self, batch: &[Record]) -> Result<(), AppendFailure> {
        if self.health == Health::Failing {
            return Err(AppendFailure::Ledger("input/output error".to_owned()));
        }
        let is_mark = |record: &Record| {
            matches!(
                record.event,
                Event::HoursUsed { .. } | Event::TimeMarked { .. } | Event::LicenseSeen { .. }
            )
        };
        if let Some(record) = batch.iter().find(|record| !is_mark(record)) {
            let why = format!("record {} is no mark", record.position);
            return Err(AppendFailure::Batch { index: 0, why });
        }
        for record in batch {
            self.reserve.take(record);
        }
        Ok(())
    }

    fn records(&mut self, limit: usize) -> Result<Vec<Record>, LoadError> {
        Ok(self.recent.iter().rev().take(limit).cloned().collect())
    }

    fn denials(&mut self, _limit: usize) -> Result<Vec<Denied>, LoadError> {
        Ok(Vec::new())
    }

    fn close(self) -> Result<(), CloseError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ve_core::time::Utc;

    use super::*;

    fn marked(position: u64, mark: i64) -> Record {
        Record { position, at: Utc(0), event: Event::TimeMarked { mark: Utc(mark) } }
    }

    #[test]
    fn a_torn_write_leaves_what_was_before() {
        let whole = encode(&Frame::Commit(vec![vec![marked(2, 20)]])).len();
        for kept in 0..=whole {
            let mut disk = Disk::new();
            disk.append(&[&[marked(1, 10)]]).expect("a sound disk");
            disk.reserve = Ledger::default();
            disk.tear(&[&[marked(2, 20)]], |_| kept);
            let mark = disk.remember().expect("a sound disk").time_mark;
            assert_eq!(mark, Some(Utc(if kept == whole { 20 } else { 10 })), "{kept} of {whole}");
            disk.append(&[&[marked(3, 30)]]).expect("a sound disk");
            assert_eq!(disk.remember().expect("a sound disk").time_mark, Some(Utc(30)));
        }
    }

    #[test]
    fn a_full_disk_keeps_marks_in_its_reserve_and_a_failing_one_nothing() {
        let mut disk = Disk::new();
        disk.health = Health::Full;
        assert!(disk.append(&[&[marked(1, 10)]]).is_err());
        disk.reserve(&[marked(1, 10)]).expect("the reserve has its room");
        assert_eq!(disk.remember().expect("readable").time_mark, Some(Utc(10)));
        disk.health = Health::Failing;
        assert!(disk.reserve(&[marked(2, 20)]).is_err());
    }
}
