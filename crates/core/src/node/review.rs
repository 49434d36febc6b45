//! Everything that time alone changes.

use alloc::{vec, vec::Vec};

use super::{Node, append::Waiting, event::Event, io::Note};
use crate::{
    mark::ClockState,
    meter::PERSIST_EVERY_MS,
    time::{Elapsed, MINUTE_MS, Now},
};

/// How often a node looks at its clocks at the latest, in milliseconds: a wall clock may step at any
/// moment, and nothing announces it.
const REVIEW_EVERY_MS: u64 = 10_000;

/// How often the time mark is written, in milliseconds.
const TIME_MARK_EVERY_MS: u64 = 10 * MINUTE_MS;

impl Node {
    /// Looks at everything that depends on the clocks.
    pub(super) fn review(&mut self, now: Now) {
        if !self.ready {
            return;
        }
        self.settle_parked(now);
        self.end_leases(now);
        if now.elapsed < self.next_review {
            return;
        }
        self.denials_in_review = 0;
        self.time_mark.advance(now);
        self.note_clock(now);
        self.meters.values_mut().for_each(|meter| meter.advance(now.elapsed));
        self.refresh_standings(now);
        self.retry_unfinished(now);
        if now.elapsed >= self.next_meter_write || now.elapsed >= self.next_time_mark {
            self.write_marks(now);
        }
        self.next_review = self.next_change(now);
    }

    fn note_clock(&mut self, now: Now) {
        let state = self.time_mark.state(now);
        let before = core::mem::replace(&mut self.clock_state, state);
        match (before, state) {
            (ClockState::Sound | ClockState::Ahead(_), ClockState::Behind(seconds)) => {
                self.note(Note::ClockBehind(seconds))
            }
            (ClockState::Sound | ClockState::Behind(_), ClockState::Ahead(seconds)) => {
                self.note(Note::ClockAhead(seconds))
            }
            (ClockState::Behind(_) | ClockState::Ahead(_), ClockState::Sound) => {
                self.note(Note::ClockSound)
            }
            _ => {}
        }
    }

    /// Writes what the meters and the time mark have reached.
    pub(super) fn write_marks(&mut self, now: Now) {
        self.next_meter_write = now.elapsed.plus_ms(PERSIST_EVERY_MS - REVIEW_EVERY_MS);
        let mut events: Vec<Event> = Vec::new();
        for ((license_id, version), meter) in &mut self.meters {
            meter.advance(now.elapsed);
            if let Some(used_ms) = meter.unpersisted() {
                events.push(Event::HoursUsed {
                    license_id: license_id.clone(),
                    version: *version,
                    used_ms,
                });
            }
        }
        if now.elapsed >= self.next_time_mark || self.draining {
            self.next_time_mark = now.elapsed.plus_ms(TIME_MARK_EVERY_MS);
            events.push(Event::TimeMarked { mark: self.time_mark.mark(now) });
        }
        // Each on its own: a meter must not wait for a mark.
        events.into_iter().for_each(|event| self.commit(now, vec![event], Waiting::NoOne));
    }

    /// When a date or the hours run out, or the next regular review, whichever is first.
    fn next_change(&self, now: Now) -> Elapsed {
        let judged = self.time_mark.judged(now);
        let licenses = || self.licenses.values().map(|installed| &installed.license);
        let dates = licenses().flat_map(|license| {
            license.sections.iter().filter_map(|section| crate::select::expiry(license, section))
        });
        let until_dates = dates
            .filter(|end| *end > judged)
            .map(|end| u64::try_from(end.0 - judged.0).unwrap_or(0) * 1_000);
        let until_exhausted = licenses()
            .filter_map(|license| self.remaining_ms(now, license))
            .filter(|&left_ms| left_ms > 0);
        let soonest_ms = until_dates.chain(until_exhausted).fold(REVIEW_EVERY_MS, u64::min);
        now.elapsed.plus_ms(soonest_ms)
    }
}
