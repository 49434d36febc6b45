//! The high-water marks of a ledger: what only ever goes up, whatever is lost, restored or copied back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ve_core::{
    id::LicenseId,
    node::event::{Event, Metered, Record, Remembered},
    time::Utc,
};

use crate::rules::MAX_NUMBER;

/// Marks. They are joined, never replaced: of two values the higher one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HighWater {
    /// The last record's position.
    pub position: u64,
    /// The highest session number ever given.
    pub last_session: u64,
    /// The time mark.
    pub time: Option<Utc>,
    /// The highest version seen of each license.
    pub versions: BTreeMap<LicenseId, u32>,
    /// The run time used of each license version.
    #[serde(with = "meter_list")]
    pub meters: BTreeMap<(LicenseId, u32), Metered>,
}

impl HighWater {
    /// The marks in what a ledger remembers.
    pub fn of(remembered: &Remembered) -> Self {
        Self {
            position: remembered.position,
            last_session: remembered.last_session,
            time: remembered.time_mark,
            versions: remembered.versions.clone(),
            meters: remembered.meters.clone(),
        }
    }

    /// Takes over every mark of `other` that is higher.
    pub fn join(&mut self, other: &Self) {
        self.position = self.position.max(other.position);
        self.last_session = self.last_session.max(other.last_session);
        self.time = self.time.max(other.time);
        for (id, version) in &other.versions {
            self.see(id, *version);
        }
        for (key, metered) in &other.meters {
            self.meter(key.clone(), *metered);
        }
    }

    /// Both together.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        self.join(other);
        self
    }

    /// Whether no mark of `other` is higher than its own here.
    pub fn covers(&self, other: &Self) -> bool {
        let joined = self.clone().joined(other);
        joined.position == self.position
            && joined.last_session == self.last_session
            && joined.time == self.time
            && joined.versions == self.versions
            && joined.meters == self.meters
    }

    /// Whether nothing was ever marked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a ledger can hold these numbers; a file that was made up may say anything.
    pub fn fits(&self) -> bool {
        let numbers = [self.position, self.last_session].into_iter();
        let hours = self.meters.values().map(|metered| metered.used_ms);
        numbers.chain(hours).all(|number| number <= MAX_NUMBER)
    }

    /// Raises what a ledger remembers to these marks.
    pub(crate) fn raise(&self, remembered: &mut Remembered) {
        let all = Self::of(remembered).joined(self);
        remembered.position = all.position;
        remembered.last_session = all.last_session;
        remembered.time_mark = all.time;
        remembered.versions = all.versions;
        remembered.meters = all.meters;
    }

    /// Takes in a record that is durable; says whether it is one of a mark.
    pub(crate) fn take(&mut self, record: &Record) -> bool {
        self.position = self.position.max(record.position);
        match &record.event {
            Event::SessionOpened(session) => {
                self.last_session = self.last_session.max(session.number.0);
                false
            }
            Event::LicenseSeen { license_id, version } => {
                self.see(license_id, *version);
                true
            }
            Event::HoursUsed { license_id, version, used_ms, charged_to } => {
                let metered = Metered { used_ms: *used_ms, charged_to: Some(*charged_to) };
                self.read_meter((license_id.clone(), *version), metered);
                true
            }
            Event::TimeMarked { mark } => {
                self.time = self.time.max(Some(*mark));
                true
            }
            _ => false,
        }
    }

    /// Forgets the hours of license versions that can't be used any more, because a higher one was
    /// seen. So the rest is bounded by how many licenses there are.
    pub(crate) fn prune(&mut self) {
        let Self { versions, meters, .. } = self;
        meters.retain(|(id, version), _| versions.get(id).is_none_or(|seen| seen <= version));
    }

    fn see(&mut self, id: &LicenseId, version: u32) {
        let seen = self.versions.entry(id.clone()).or_default();
        *seen = (*seen).max(version);
    }

    /// A new reading: of two that say the same, it is the one that is charged up to later.
    fn read_meter(&mut self, key: (LicenseId, u32), metered: Metered) {
        let known = self.meters.entry(key).or_insert(metered);
        if known.used_ms <= metered.used_ms {
            *known = metered;
        }
    }

    fn meter(&mut self, key: (LicenseId, u32), metered: Metered) {
        let known = self.meters.entry(key).or_insert(metered);
        if known.used_ms < metered.used_ms {
            *known = metered;
        }
    }
}

/// Meters as a list: a JSON object has no keys of two parts.
mod meter_list {
    use serde::{Deserializer, Serializer, de::Error};
    use ve_core::time::Moment;

    use super::{BTreeMap, Deserialize, LicenseId, Metered, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        license_id: LicenseId,
        version: u32,
        used_ms: u64,
        charged_to: Option<Moment>,
    }

    pub(super) fn serialize<S: Serializer>(
        meters: &BTreeMap<(LicenseId, u32), Metered>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let line = |((id, version), metered): (&(LicenseId, u32), &Metered)| Line {
            license_id: id.clone(),
            version: *version,
            used_ms: metered.used_ms,
            charged_to: metered.charged_to,
        };
        serializer.collect_seq(meters.iter().map(line))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<(LicenseId, u32), Metered>, D::Error> {
        let mut meters = BTreeMap::new();
        for Line { license_id, version, used_ms, charged_to } in
            Vec::<Line>::deserialize(deserializer)?
        {
            let metered = Metered { used_ms, charged_to };
            if meters.insert((license_id, version), metered).is_some() {
                return Err(D::Error::custom("a meter is given twice"));
            }
        }
        Ok(meters)
    }
}
