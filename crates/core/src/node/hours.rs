//! The meters of the installed licenses: one for each license version, running while it has a live
//! session.

use alloc::vec::Vec;

use super::{
    Node,
    event::Event,
    io::Note,
    licenses::Installed,
    sessions::{Session, State},
};
use crate::{
    id::{LicenseId, SessionNumber},
    license::License,
    meter::{Absence, Meter, PERSIST_EVERY_MS},
    reason::{ReasonCode, Refusal},
    select::hours_exhausted,
    time::{Elapsed, Now},
};

/// When a `COUNTDOWN` license has only so much of its hours left, the log hears of it; in percent.
const LOW_PERCENT: [u64; 5] = [50, 25, 10, 5, 1];

impl Node {
    /// A session goes live; one that comes back was charged for its absence before.
    pub(super) fn start_meter(&mut self, now: Now, number: SessionNumber) {
        if let Some(meter) = self.meter_of(number) {
            meter.start(now.elapsed);
        }
        // The hours may run out before the next look at the clocks that was planned without them.
        let license = self.sessions.find(number).map(|session| &session.record.license_id);
        let installed = license.and_then(|id| self.licenses.get(id));
        let left_ms = installed.and_then(|installed| self.remaining_ms(now, &installed.license));
        if let Some(left_ms) = left_ms {
            self.next_review = self.next_review.min(now.elapsed.plus_ms(left_ms));
        }
    }

    /// Charges a left session's license for the time in which it was away. `Err`: that used up the
    /// hours, and the license's sessions were revoked.
    pub(super) fn charge_absence(
        &mut self,
        now: Now,
        number: SessionNumber,
    ) -> Result<(), Refusal> {
        let Some(Session { record, state: State::Left { since, .. }, .. }) =
            self.sessions.find(number)
        else {
            return Ok(());
        };
        let id = record.license_id.clone();
        let Some(Installed { license, .. }) = self.licenses.get(&id) else { return Ok(()) };
        let heartbeat_ms = self.settings.heartbeat_timeout_ms;
        let longest_ms = heartbeat_ms + license.grace_ms + license.lease_ms(heartbeat_ms);
        let is_older = record.number.0 <= self.last_older_session;
        let absence = Absence { left_at: *since, longest_ms: is_older.then_some(longest_ms) };
        let licensed_ms = license.key_type.licensed_ms();
        if let Some(meter) = self.meter_of(number) {
            meter.come_back(now.elapsed, absence, licensed_ms);
            // A long gap is written at the next tick, not at the next regular one: its session may
            // end before, and then nobody would be charged for it after a crash.
            if meter.unpersisted_ms() >= PERSIST_EVERY_MS {
                self.next_meter_write = now.elapsed;
                self.next_review = now.elapsed;
            }
        }
        let Some(Installed { license, .. }) = self.licenses.get(&id) else { return Ok(()) };
        if self.remaining_ms(now, license) != Some(0) {
            return Ok(());
        }
        let refusal = Refusal::new(ReasonCode::HoursExhausted, hours_exhausted(license));
        self.refresh_standings(now);
        Err(refusal)
    }

    /// What is written with the first login of a `COUNTDOWN` license that no one is using: its meter
    /// begins here, and a session that comes back after a crash is not charged for the time before.
    /// As long as others may come back, it may have to be.
    pub(super) fn meter_begins(
        &self,
        now: Now,
        license: &License,
        predecessor: Option<SessionNumber>,
    ) -> Option<Event> {
        license.key_type.licensed_ms()?;
        let meter = self.meters.get(&(license.id.clone(), license.version))?;
        let in_use = |session: &Session| {
            session.state != State::Closing && Some(session.record.number) != predecessor
        };
        if meter.runs() || self.sessions.of_license(&license.id).any(in_use) {
            return None;
        }
        Some(Event::HoursUsed {
            license_id: license.id.clone(),
            version: license.version,
            used_ms: meter.charged_ms(),
            charged_to: self.moment(now),
        })
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
        let meter = meter.or_insert_with(|| Meter::new(now.elapsed));
        if !meter.runs() {
            (0..live).for_each(|_| meter.start(now.elapsed));
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

    /// Says which licenses have few hours left: once for every threshold that one has fallen below,
    /// or once for all of them when it fell at once.
    pub(super) fn note_hours_low(&mut self, now: Now) {
        let mut low: Vec<(LicenseId, u32, u64, usize)> = Vec::new();
        for Installed { license, standing } in self.licenses.values() {
            let (Some(licensed_ms), Ok(())) = (license.key_type.licensed_ms(), standing) else {
                continue;
            };
            let left_ms = self.remaining_ms(now, license).unwrap_or(licensed_ms);
            let passed = LOW_PERCENT.iter().filter(|&&p| left_ms <= licensed_ms / 100 * p).count();
            let key = (license.id.clone(), license.version);
            if left_ms > 0 && passed > self.low_hours_noted.get(&key).copied().unwrap_or(0) {
                low.push((key.0, key.1, left_ms, passed));
            }
        }
        for (id, version, remaining_ms, passed) in low {
            self.low_hours_noted.insert((id.clone(), version), passed);
            self.note(Note::HoursLow { id, remaining_ms });
        }
    }
}
