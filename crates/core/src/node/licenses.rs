//! Which of the installed licenses are valid, and what a change means for the sessions.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::{
    Node,
    append::Waiting,
    event::{Event, SessionRecord},
    io::{Note, UnusableLicense},
    sessions::{Session, State},
};
use crate::{
    fingerprint::Machine,
    id::{LicenseId, SessionNumber},
    license::{License, Mode, ProductSection, Verified},
    mark::DOUBT_MS,
    reason::{ReasonCode, Refusal},
    select::{Candidate, hours_exhausted, instances_in_use, still_covered},
    time::{Now, Utc},
};

/// A license with a good signature, and whether it is valid here and now.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    pub(super) license: License,
    /// `Err`: why the license as a whole is not valid.
    pub(super) standing: Result<(), Refusal>,
}

impl Installed {
    /// Whether its sections are worth asking: an expired license is, because its refusal says so.
    pub(super) fn may_be_chosen(&self) -> bool {
        match &self.standing {
            Ok(()) => true,
            Err(refusal) => {
                matches!(refusal.code, ReasonCode::LicenseExpired | ReasonCode::HoursExhausted)
            }
        }
    }
}

/// What installing a license would do to the sessions of its predecessor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// How many go on and notice nothing.
    pub kept: usize,
    /// Which would be revoked, and why.
    pub revoked: Vec<(SessionNumber, Refusal)>,
}

impl Node {
    pub(super) fn take_licenses(
        &mut self,
        now: Now,
        trusted: Vec<Verified<License>>,
        unusable: Vec<UnusableLicense>,
    ) {
        for UnusableLicense { id, refusal } in &unusable {
            self.note(Note::LicenseInvalid { id: id.clone(), refusal: refusal.clone() });
        }
        self.unusable = unusable;
        let removed: Vec<LicenseId> = self
            .licenses
            .keys()
            .filter(|id| trusted.iter().all(|license| license.id != **id))
            .cloned()
            .collect();
        removed.iter().for_each(|id| self.remove(now, id));
        for license in trusted {
            let license = license.into_inner();
            if self.licenses.get(&license.id).is_none_or(|installed| installed.license != license) {
                self.see_version(now, &license);
                self.install(now, license);
            }
        }
        if !self.licenses.values().any(|installed| installed.standing.is_ok()) {
            let why = self.why_no_license();
            self.note(Note::NoLicense(why));
        }
        self.next_review = now.elapsed;
    }

    fn see_version(&mut self, now: Now, license: &License) {
        if self.versions.get(&license.id).is_none_or(|&seen| seen < license.version) {
            let seen =
                Event::LicenseSeen { license_id: license.id.clone(), version: license.version };
            self.commit(now, vec![seen], Waiting::NoOne);
        }
    }

    /// Revokes while the license is still known: it may say that its seats stay reserved.
    fn remove(&mut self, now: Now, id: &LicenseId) {
        let sentence = format!("license {id} is not installed any more.");
        self.revoke_license(now, id, &Refusal::new(ReasonCode::LicenseNotAvailable, sentence));
        self.retire_meters(now, id, None);
        self.licenses.remove(id);
    }

    fn install(&mut self, now: Now, license: License) {
        let id = license.id.clone();
        self.restart_meter(now, &license);
        let (placed, revoked) = self.place_sessions(now, &license);
        let standing = self.standing(now, &license);
        self.licenses.insert(id.clone(), Installed { license, standing: Ok(()) });
        for (number, section) in placed {
            self.sessions.set_section(number, section);
        }
        for (number, refusal) in revoked {
            self.revoke(now, number, &refusal);
        }
        self.note_standing(now, &id, standing);
    }

    /// A new version has a meter of its own, which runs at once when sessions are live.
    fn restart_meter(&mut self, now: Now, license: &License) {
        self.retire_meters(now, &license.id, Some(license.version));
        let live = |session: &&Session| matches!(session.state, State::Live(_));
        let live = self.sessions.of_license(&license.id).filter(live).count();
        let meter = self.meters.entry((license.id.clone(), license.version)).or_default();
        if !meter.runs() {
            (0..live).for_each(|_| meter.start(now.elapsed, false));
        }
    }

    /// Stops the meters of every version of a license but one.
    fn retire_meters(&mut self, now: Now, id: &LicenseId, but: Option<u32>) {
        let versions = self.meters.range_mut((id.clone(), 0)..=(id.clone(), u32::MAX));
        versions
            .filter(|((_, version), _)| Some(*version) != but)
            .for_each(|(_, meter)| meter.retire(now.elapsed));
    }

    /// Where every session of this license's ID would stand under it: its section, or why not.
    #[allow(clippy::type_complexity, reason = "two lists that are used where they are made")]
    fn place_sessions(
        &self,
        now: Now,
        license: &License,
    ) -> (Vec<(SessionNumber, usize)>, Vec<(SessionNumber, Refusal)>) {
        let judged = self.time_mark.judged(now);
        let mut taken: BTreeMap<usize, u32> = BTreeMap::new();
        let (mut placed, mut revoked) = (Vec::new(), Vec::new());
        let mut sessions: Vec<&SessionRecord> =
            self.sessions.of_license(&license.id).map(|session| &session.record).collect();
        // The oldest keep their seats; an excess is taken from the newest.
        sessions.sort_by_key(|record| record.number);
        for record in sessions {
            match place_again(license, record, judged, &taken) {
                Ok(section) => {
                    *taken.entry(section).or_default() += 1;
                    placed.push((record.number, section));
                }
                Err(refusal) => revoked.push((record.number, refusal)),
            }
        }
        (placed, revoked)
    }

    /// What installing `license` would do to the sessions, without doing it.
    pub fn preview_install(&self, now: Now, license: &License) -> Preview {
        let (placed, revoked) = self.place_sessions(now, license);
        Preview { kept: placed.len(), revoked }
    }

    pub(super) fn take_machine(&mut self, now: Now, machine: Machine) {
        self.machine = machine;
        self.refresh_standings(now);
    }

    /// Judges every license anew and revokes the sessions of those that are not valid any more.
    pub(super) fn refresh_standings(&mut self, now: Now) {
        let ids: Vec<LicenseId> = self.licenses.keys().cloned().collect();
        let had_one = self.licenses.values().any(|installed| installed.standing.is_ok());
        for id in &ids {
            let standing = self.standing(now, &self.licenses[id].license);
            if standing != self.licenses[id].standing {
                self.note_standing(now, id, standing);
            }
        }
        if had_one && !self.licenses.values().any(|installed| installed.standing.is_ok()) {
            let why = self.why_no_license();
            self.note(Note::NoLicense(why));
        }
        self.end_sections(now);
    }

    fn note_standing(&mut self, now: Now, id: &LicenseId, standing: Result<(), Refusal>) {
        let Some(installed) = self.licenses.get_mut(id) else { return };
        installed.standing = standing.clone();
        let version = installed.license.version;
        match standing {
            Ok(()) => self.note(Note::LicenseValid { id: id.clone(), version }),
            Err(refusal) => {
                self.note(Note::LicenseInvalid { id: Some(id.clone()), refusal: refusal.clone() });
                self.revoke_license(now, id, &refusal);
            }
        }
    }

    fn revoke_license(&mut self, now: Now, id: &LicenseId, refusal: &Refusal) {
        let numbers: Vec<SessionNumber> =
            self.sessions.of_license(id).map(|session| session.record.number).collect();
        for number in numbers {
            self.revoke(now, number, refusal);
        }
    }

    /// Revokes the sessions of sections that have run out before their license.
    fn end_sections(&mut self, now: Now) {
        let judged = self.time_mark.judged(now);
        let mut ended = Vec::new();
        for Installed { license, .. } in self.licenses.values() {
            let over = |section: &ProductSection| section.expires.is_some_and(|end| end <= judged);
            for (index, section) in
                license.sections.iter().enumerate().filter(|(_, section)| over(section))
            {
                let end = section.expires.unwrap_or_default();
                let sentence =
                    format!("{} of license {} expired on {end} UTC.", section.code, license.id);
                let key = (license.id.clone(), index);
                let sessions = self.sessions.in_section(&key);
                ended.extend(sessions.map(|session| (session.record.number, sentence.clone())));
            }
        }
        for (number, sentence) in ended {
            self.revoke(now, number, &Refusal::new(ReasonCode::LicenseExpired, sentence));
        }
    }

    /// Whether a license as a whole is valid here and now.
    pub(super) fn standing(&self, now: Now, license: &License) -> Result<(), Refusal> {
        self.binding_holds(license)?;
        let refuse = |code, sentence: String| Err(Refusal::new(code, sentence));
        let seen = self.versions.get(&license.id).copied().unwrap_or(0);
        if license.version < seen {
            let sentence = format!(
                "license {} has version {}, but version {seen} was installed here before.",
                license.id, license.version
            );
            return refuse(ReasonCode::LicenseVersionRolledBack, sentence);
        }
        if license.mode == Mode::AutoVe {
            let sentence = format!(
                "license {} is for AutoVE mode, which this server does not serve yet.",
                license.id
            );
            return refuse(ReasonCode::LicenseNotAvailable, sentence);
        }
        let judged = self.time_mark.judged(now);
        if license.released > judged.plus_seconds((DOUBT_MS / 1_000).cast_signed()) {
            let sentence = format!(
                "license {} was released on {} UTC, more than a day ahead of now, {judged} UTC.",
                license.id, license.released
            );
            return refuse(ReasonCode::NotYetValid, sentence);
        }
        match license_end(license) {
            Some(end) if end <= judged => refuse(
                ReasonCode::LicenseExpired,
                format!("license {} expired on {end} UTC.", license.id),
            ),
            _ if self.remaining_ms(now, license) == Some(0) => {
                refuse(ReasonCode::HoursExhausted, hours_exhausted(license))
            }
            _ => Ok(()),
        }
    }

    fn binding_holds(&self, license: &License) -> Result<(), Refusal> {
        let refuse = |sentence| Err(Refusal::new(ReasonCode::BindingChanged, sentence));
        if license.server_key != self.settings.server_key {
            return refuse(format!("license {} is bound to another server's key.", license.id));
        }
        let changed = license.binding.compare(&self.machine).changed(&license.tolerance);
        if changed.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = changed.iter().map(ToString::to_string).collect();
        refuse(format!(
            "license {} is bound to another machine, or this one has changed: {}.",
            license.id,
            names.join(", ")
        ))
    }

    /// Run time left on a license's meter, in milliseconds; `None` for `NORMAL`.
    pub fn remaining_ms(&self, now: Now, license: &License) -> Option<u64> {
        license
            .key_type
            .licensed_ms()
            .map(|licensed| licensed.saturating_sub(self.used_ms(now, license)))
    }

    /// Run time on a license version's meter, in milliseconds.
    pub fn used_ms(&self, now: Now, license: &License) -> u64 {
        let meter = self.meters.get(&(license.id.clone(), license.version));
        meter.map_or(0, |meter| meter.used_ms(now.elapsed))
    }

    /// Why no license serves: the first reason that is known.
    pub(super) fn why_no_license(&self) -> Refusal {
        let invalid = self.licenses.values().find_map(|installed| installed.standing.clone().err());
        let unusable = || self.unusable.first().map(|license| license.refusal.clone());
        invalid.or_else(unusable).unwrap_or_else(|| {
            Refusal::new(ReasonCode::LicenseNotAvailable, "no license is installed on this server.")
        })
    }
}

/// The license's own end date.
fn license_end(license: &License) -> Option<Utc> {
    match license.key_type {
        crate::license::KeyType::Normal { expires } => expires,
        crate::license::KeyType::Countdown { .. } => None,
    }
}

/// The section of `license` that goes on serving a session of an earlier version: the one in the
/// same place, else the first of the same product code, else any that covers it and has a seat.
fn place_again(
    license: &License,
    record: &SessionRecord,
    judged: Utc,
    taken: &BTreeMap<usize, u32>,
) -> Result<usize, Refusal> {
    let wanted = record.wanted();
    let distance = |index: usize| {
        let same_code = license.sections[index].code == record.product_code;
        (!(same_code && index == record.section), !same_code, index)
    };
    let mut order: Vec<usize> = (0..license.sections.len()).collect();
    order.sort_by_key(|&index| distance(index));
    let mut first_refusal = None;
    for index in order {
        let section = &license.sections[index];
        let free_seats = section.instances.saturating_sub(taken.get(&index).copied().unwrap_or(0));
        let candidate = Candidate { license, index, hours_left: true, free_seats };
        let verdict = still_covered(&candidate, &wanted, judged).and_then(|()| {
            if free_seats > 0 {
                Ok(())
            } else {
                Err(Refusal::new(ReasonCode::InstanceLimit, instances_in_use(section)))
            }
        });
        match verdict {
            Ok(()) => return Ok(index),
            Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
        }
    }
    Err(first_refusal.expect("a license has at least one section"))
}
