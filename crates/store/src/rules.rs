//! The rules that all engines share: what may be appended, where it is kept, and how much of it.

use ve_core::{
    node::event::{Denial, Event, Record},
    time::Utc,
};

use crate::high_water::HighWater;

/// How many records of the audit trail are kept: some 400 MB.
pub const MAX_RECORDS: u64 = 1_000_000;

/// How many denials are kept. Anyone who reaches the port can cause them, so they have a place of
/// their own: a flood of them drives out older denials and nothing else.
pub const MAX_DENIALS: u64 = 10_000;

/// The largest number that a ledger takes. No server ever gets there, so a higher one is damage, or
/// was made up; and as positions only go up, it would leave no room for the next.
pub(crate) const MAX_NUMBER: u64 = 1 << 56;

/// How much an engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records of the audit trail.
    pub records: u64,
    /// Denials.
    pub denials: u64,
    /// The file's size in pages of 4 KiB, when it shall end before the disk does; such an end reads
    /// `disk full` as well.
    pub pages: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records: MAX_RECORDS, denials: MAX_DENIALS, pages: None }
    }
}

/// Where a record stays after it has taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf<'a> {
    /// In the audit trail.
    Trail,
    /// Among the denials.
    Denials(&'a Denial),
    /// Nowhere: its mark holds all that it says. A meter ticks every minute, and a year of that
    /// would drive what people did out of the audit trail.
    Mark,
}

impl<'a> Shelf<'a> {
    pub(crate) fn of(event: &'a Event) -> Self {
        match event {
            Event::SessionOpened(_)
            | Event::SessionClosed { .. }
            | Event::SessionPromised { .. }
            | Event::SessionPlaced { .. }
            | Event::HoldersUnknown { .. }
            | Event::RunBlocked(_)
            | Event::HostRegistered { .. }
            | Event::HostRetired { .. }
            | Event::LicenseSeen { .. } => Self::Trail,
            Event::Denied(denial) => Self::Denials(denial),
            Event::HoursUsed { .. } | Event::TimeMarked { .. } | Event::HostsHomed { .. } => {
                Self::Mark
            }
        }
    }
}

/// The ledger's own high-water marks: what only ever goes up, whatever is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The last position.
    pub(crate) position: u64,
    /// The highest session number.
    pub(crate) last_session: u64,
    /// The time mark.
    pub(crate) time: Option<Utc>,
}

impl Marks {
    /// Takes the record in, or says which rule it breaks.
    pub(crate) fn admit(&mut self, record: &Record) -> Result<(), String> {
        rise(&mut self.position, record.position, "position")?;
        match &record.event {
            Event::SessionOpened(session) => {
                rise(&mut self.last_session, session.number.0, "session number")?;
            }
            Event::TimeMarked { mark } => self.time = self.time.max(Some(*mark)),
            Event::HoursUsed { used_ms, .. } if *used_ms > MAX_NUMBER => {
                return Err(format!("a meter can't hold {used_ms} ms"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Takes a batch into marks that the reserve is to hold, or says why it can't: the reserve has room
/// for marks and nothing else.
pub(crate) fn only_marks(marks: &mut HighWater, batch: &[Record]) -> Result<(), String> {
    for record in batch {
        if !marks.take(record) {
            return Err("the reserve keeps marks and nothing else".to_string());
        }
    }
    marks.prune();
    if marks.fits() { Ok(()) } else { Err(format!("no mark can be above {MAX_NUMBER}")) }
}

fn rise(mark: &mut u64, number: u64, what: &str) -> Result<(), String> {
    if number <= *mark {
        return Err(format!("{what} {number} is not above {mark}, the last one"));
    }
    if number > MAX_NUMBER {
        return Err(format!("{what} {number} is above {MAX_NUMBER}, the highest there can be"));
    }
    *mark = number;
    Ok(())
}
