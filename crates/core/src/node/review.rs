//! Everything that time alone changes.

use alloc::{vec, vec::Vec};

use super::{Node, append::Waiting, event::Event, io::Note};
use crate::{
    mark::ClockState,
    meter::PERSIST_EVERY_MS,
    select::expiry,
    time::{Elapsed, MINUTE_MS, Now},
};

/// How often a node looks at its clocks at the latest, in milliseconds: a wall clock may step at any
/// moment, and nothing announces it.
const REVIEW_EVERY_MS: u64 = 10_000;

/// How often the time mark is written, in milliseconds.
pub(super) const TIME_MARK_EVERY_MS: u64 = 10 * MINUTE_MS;

impl Node {
    /// Looks at everything that depends on the clocks. Before the server is ready nothing of it
    /// takes anything from a session: they hold their seats without end, and none is revoked.
    pub(super) fn review(&mut self, now: Now) {
        self.settle_parked(now);
        self.settle_clones(now);
        self.end_leases(now);
        if now.elapsed < self.next_review {
            return;
        }
        self.denials_in_review = 0;
        self.time_mark.advance(now);
        self.note_clock(now);
        self.meters.values_mut().for_each(|meter| meter.advance(now.elapsed));
        self.refresh_standings(now);
        self.note_hours_low(now);
        self.retry_unfinished(now);
        self.forget_unknown_holders(now);
        self.review_hosts(now);
        self.review_peer(now);
        let marks_are_due = now.elapsed >= self.next_meter_write.min(self.next_time_mark);
        if marks_are_due || self.appends.are_failing() {
            self.write_marks(now);
        }
        self.next_review = self.next_change(now);
    }

    fn note_clock(&mut self, now: Now) {
        let state = self.time_mark.state(now);
        let before = core::mem::replace(&mut self.clock_state, state);
        let note = match (before, state) {
            (ClockState::Sound | ClockState::Ahead(_), ClockState::Behind(seconds)) => {
                Note::ClockBehind(seconds)
            }
            (ClockState::Sound | ClockState::Behind(_), ClockState::Ahead(seconds)) => {
                Note::ClockAhead(seconds)
            }
            (ClockState::Behind(_) | ClockState::Ahead(_), ClockState::Sound) => Note::ClockSound,
            _ => return,
        };
        self.note(note);
    }

    /// Writes what the meters and the time mark have reached.
    pub(super) fn write_marks(&mut self, now: Now) {
        self.next_meter_write = now.elapsed.plus_ms(PERSIST_EVERY_MS - REVIEW_EVERY_MS);
        let moment = self.moment(now);
        let mut events: Vec<Event> = Vec::new();
        for ((license_id, version), meter) in &mut self.meters {
            meter.advance(now.elapsed);
            if let Some(used_ms) = meter.unpersisted() {
                let charged_to = meter.charged_to(moment);
                let (license_id, version) = (license_id.clone(), *version);
                events.push(Event::HoursUsed { license_id, version, used_ms, charged_to });
            }
        }
        // A ledger that fails is tried with something harmless until it can be written again.
        if now.elapsed >= self.next_time_mark || self.draining || self.appends.are_failing() {
            self.next_time_mark = now.elapsed.plus_ms(TIME_MARK_EVERY_MS);
            events.push(Event::TimeMarked { mark: self.time_mark.mark(now) });
        }
        // Each on its own: a meter must not wait for a mark.
        for event in events {
            self.commit(now, vec![event], Waiting::NoOne);
        }
    }

    /// When a date or the hours run out, or the next regular review, whichever is first.
    fn next_change(&self, now: Now) -> Elapsed {
        let judged = self.time_mark.judged(now);
        let licenses = self.licenses.values().map(|installed| &installed.license);
        let dates = licenses.flat_map(|license| {
            license.sections.iter().filter_map(|section| expiry(license, section))
        });
        let until_dates = dates
            .filter(|end| *end > judged)
            .map(|end| u64::try_from(end.0 - judged.0).unwrap_or(0).saturating_mul(1_000));
        let soonest_ms =
            until_dates.chain(self.first_exhaustion_ms(now)).fold(REVIEW_EVERY_MS, u64::min);
        now.elapsed.plus_ms(soonest_ms)
    }
}
