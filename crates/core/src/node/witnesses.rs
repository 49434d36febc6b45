//! Witnesses: grants that this server signed earlier, shown to it again.
//!
//! None of the marks in a grant ever goes back, so one that is higher than ours was reached by this
//! server and forgotten: an older ledger was put in place. It counts from now on. A crash forgets
//! a little as well: hours since they were last written, and the time mark of the last minutes.
//! That comes back in the same way, without a word.

use alloc::vec;

use super::{
    Node,
    append::Waiting,
    event::Event,
    io::{Note, RaisedMark},
    review::TIME_MARK_EVERY_MS,
};
use crate::{
    grant::Witness,
    license::Verified,
    meter::Meter,
    time::{MINUTE_MS, Now, SECOND_MS, Utc},
};

/// How far the time mark may be behind a witness after a crash, in seconds.
const TIME_LOST_S: i64 = ((TIME_MARK_EVERY_MS + MINUTE_MS) / SECOND_MS).cast_signed();

impl Node {
    /// Takes over what grants prove to have been reached, and judges the licenses by it.
    pub(super) fn hear_witnesses(&mut self, now: Now, witnesses: &[Verified<Witness>]) {
        let mut news = false;
        for witness in witnesses {
            self.count_on_witness(witness);
            // First, so that what is written down next goes above it.
            news |= self.raise_position(now, witness);
            news |= self.raise_version(now, witness);
            news |= self.raise_hours(now, witness);
            news |= self.raise_time(now, witness);
        }
        if news {
            self.refresh_standings(now);
            self.note_hours_low(now);
        }
    }

    fn raise_position(&mut self, now: Now, witness: &Witness) -> bool {
        let to = witness.marks.ledger_position;
        // Of what was granted before this process, its ledger must have every record.
        // A clock that was set back can't hide that: this process has granted nothing later than now.
        let granted_at = witness.marks.time;
        let of_earlier = self
            .served_from
            .is_some_and(|from| granted_at < from || granted_at > self.time_mark.mark(now));
        let from =
            if of_earlier { self.position_at_start } else { self.appends.durable_position() };
        if to <= from {
            return false;
        }
        self.position_at_start = to;
        self.appends.go_on_above(to);
        self.ledger_is_old = true;
        self.raised(RaisedMark::LedgerPosition { from, to });
        self.find_holders_missing(now);
        true
    }

    fn raise_version(&mut self, now: Now, witness: &Witness) -> bool {
        let (id, to) = (&witness.license_id, witness.marks.license_version);
        let from = self.versions.get(id).copied().unwrap_or(0);
        if to <= from {
            return false;
        }
        self.raised(RaisedMark::LicenseVersion { id: id.clone(), from, to });
        self.keep_mark(now, Event::LicenseSeen { license_id: id.clone(), version: to });
        true
    }

    fn raise_hours(&mut self, now: Now, witness: &Witness) -> bool {
        let (id, version) = (&witness.license_id, witness.marks.license_version);
        let to_ms = witness.marks.hours_used_ms;
        let moment = self.moment(now);
        let in_process_ms = now.elapsed.since_ms(self.started);
        let age_ms = ms_between(witness.marks.time, moment.wall).saturating_sub(in_process_ms);
        let key = (id.clone(), version);
        let from_ms = self.meters.get_mut(&key).map_or(0, |meter| {
            meter.advance(now.elapsed);
            meter.charged_ms()
        });
        if to_ms <= from_ms {
            return false;
        }
        let meter = self.meters.entry(key).or_insert_with(|| Meter::new(now.elapsed));
        meter.raise(to_ms, age_ms);
        let charged_to = meter.charged_to(moment);
        if self.ledger_is_old || to_ms - from_ms > MINUTE_MS {
            self.raised(RaisedMark::HoursUsed { id: id.clone(), version, from_ms, to_ms });
        }
        let license_id = id.clone();
        self.keep_mark(now, Event::HoursUsed { license_id, version, used_ms: to_ms, charged_to });
        true
    }

    fn raise_time(&mut self, now: Now, witness: &Witness) -> bool {
        let (from, to) = (self.time_mark.mark(now), witness.marks.time);
        if !self.time_mark.raise(now, to) {
            return false;
        }
        if self.ledger_is_old || to.0.saturating_sub(from.0) > TIME_LOST_S {
            self.raised(RaisedMark::Time { from, to });
        }
        self.keep_mark(now, Event::TimeMarked { mark: to });
        true
    }

    fn raised(&mut self, mark: RaisedMark) {
        self.marks_raised += 1;
        self.note(Note::MarkRaised(mark));
    }

    /// Each on its own: a reserve takes marks and nothing else.
    fn keep_mark(&mut self, now: Now, event: Event) {
        self.commit(now, vec![event], Waiting::NoOne);
    }
}

fn ms_between(earlier: Utc, later: Utc) -> u64 {
    u64::try_from(later.0.saturating_sub(earlier.0)).unwrap_or(0).saturating_mul(SECOND_MS)
}
