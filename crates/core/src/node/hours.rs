//! The meters of the installed licenses: one for each license version, running while it has a live
//! session.

use super::{
    Node,
    sessions::{Session, State},
};
use crate::{
    id::{LicenseId, SessionNumber},
    license::License,
    meter::Meter,
    time::{Elapsed, Now},
};

impl Node {
    /// A session goes live; `left_at` when it only comes back from a gap that began then.
    pub(super) fn start_meter(
        &mut self,
        now: Now,
        number: SessionNumber,
        left_at: Option<Elapsed>,
    ) {
        if let Some(meter) = self.meter_of(number) {
            meter.start(now.elapsed, left_at);
        }
        // The hours may run out before the next look at the clocks that was planned without them.
        let license = self.sessions.find(number).map(|session| &session.record.license_id);
        let installed = license.and_then(|id| self.licenses.get(id));
        let left_ms = installed.and_then(|installed| self.remaining_ms(now, &installed.license));
        if let Some(left_ms) = left_ms {
            self.next_review = self.next_review.min(now.elapsed.plus_ms(left_ms));
        }
    }

    /// A live session is about to lose its link; it was last heard of at `last_heard`.
    pub(super) fn stop_meter(&mut self, now: Now, number: SessionNumber, last_heard: Elapsed) {
        if let Some(meter) = self.meter_of(number) {
            meter.stop(now.elapsed, last_heard);
        }
    }

    /// The meter that a session's run time counts on now: that of the installed version, whichever
    /// version the session was opened under.
    fn meter_of(&mut self, number: SessionNumber) -> Option<&mut Meter> {
        let id = &self.sessions.find(number)?.record.license_id;
        let version = self.licenses.get(id)?.license.version;
        self.meters.get_mut(&(id.clone(), version))
    }

    /// A new version has a meter of its own, which runs at once when sessions are live.
    pub(super) fn restart_meter(&mut self, now: Now, license: &License) {
        self.retire_meters(now, &license.id, Some(license.version));
        let live = |session: &&Session| matches!(session.state, State::Live(_));
        let live = self.sessions.of_license(&license.id).filter(live).count();
        let meter = self.meters.entry((license.id.clone(), license.version));
        let meter = meter.or_insert_with(|| Meter::resume(0, now.elapsed));
        if !meter.runs() {
            (0..live).for_each(|_| meter.start(now.elapsed, None));
        }
    }

    /// Stops the meters of every version of a license but one.
    pub(super) fn retire_meters(&mut self, now: Now, id: &LicenseId, but: Option<u32>) {
        let versions = self.meters.range_mut((id.clone(), 0)..=(id.clone(), u32::MAX));
        versions
            .filter(|((_, version), _)| Some(*version) != but)
            .for_each(|(_, meter)| meter.retire(now.elapsed));
    }

    /// Run time left on a license's meter, in milliseconds; `None` for `NORMAL`.
    pub fn remaining_ms(&self, now: Now, license: &License) -> Option<u64> {
        license
            .key_type
            .licensed_ms()
            .map(|licensed| licensed.saturating_sub(self.used_ms(now, license)))
    }

    /// Charges a license's meter for a session that has just given proof of life.
    pub(super) fn charge(&mut self, now: Now, number: SessionNumber) {
        if let Some(meter) = self.meter_of(number) {
            meter.advance(now.elapsed);
        }
    }

    /// The run time that a license version was charged, in milliseconds: a mark, which never goes
    /// back.
    pub(super) fn charged_ms(&self, license: &License) -> u64 {
        self.meters.get(&(license.id.clone(), license.version)).map_or(0, Meter::charged_ms)
    }

    /// Run time on a license version's meter, in milliseconds, as it stands now.
    pub fn used_ms(&self, now: Now, license: &License) -> u64 {
        let meter = self.meters.get(&(license.id.clone(), license.version));
        meter.map_or(0, |meter| meter.used_ms(now.elapsed))
    }

    /// When the hours of a running meter are used up, in milliseconds from now, at the earliest.
    pub(super) fn first_exhaustion_ms(&self, now: Now) -> Option<u64> {
        let runs = |license: &License| {
            let meter = self.meters.get(&(license.id.clone(), license.version));
            meter.is_some_and(Meter::runs)
        };
        let licenses = self.licenses.values().map(|installed| &installed.license);
        let left = licenses.filter(|license| runs(license));
        left.filter_map(|license| self.remaining_ms(now, license)).filter(|&ms| ms > 0).min()
    }
}
