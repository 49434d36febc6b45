//! How a license stands: whether it is valid here and now, and why not.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::{Node, append::Waiting, event::Event, io::Note};
use crate::{
    fingerprint::Machine,
    id::{LicenseId, SessionNumber},
    license::{KeyType, License, Mode, ProductSection},
    mark::DOUBT_MS,
    reason::{ReasonCode, Refusal},
    select::hours_exhausted,
    time::{Now, Utc},
};

impl Node {
    pub(super) fn take_machine(&mut self, now: Now, machine: Machine) {
        self.machine = machine;
        self.refresh_standings(now);
        self.judge_peers(now);
    }

    /// Judges every license anew and revokes the sessions of those that are not valid any more.
    pub(super) fn refresh_standings(&mut self, now: Now) {
        self.review_autove(now);
        let ids: Vec<LicenseId> = self.licenses.keys().cloned().collect();
        let had_one = self.has_valid_license();
        for id in &ids {
            self.see_version(now, id);
            let standing = self.standing(now, &self.licenses[id].license);
            if standing != self.licenses[id].standing {
                self.take_standing(now, id, standing);
            }
        }
        if had_one {
            self.note_without_license();
        }
        self.end_sections(now);
    }

    fn has_valid_license(&self) -> bool {
        self.licenses.values().any(|installed| installed.standing.is_ok())
    }

    pub(super) fn note_without_license(&mut self) {
        if !self.has_valid_license() {
            let why = self.why_no_license();
            self.note(Note::NoLicense(why));
        }
    }

    /// Notes how a license stands, and what follows for its sessions.
    pub(super) fn take_standing(
        &mut self,
        now: Now,
        id: &LicenseId,
        standing: Result<(), Refusal>,
    ) {
        let Some(installed) = self.licenses.get_mut(id) else { return };
        installed.standing.clone_from(&standing);
        let version = installed.license.version;
        match standing {
            Ok(()) => self.note(Note::LicenseValid { id: id.clone(), version }),
            Err(refusal) => {
                self.note(Note::LicenseInvalid { id: Some(id.clone()), refusal: refusal.clone() });
                self.revoke_license(now, id, &refusal);
            }
        }
    }

    pub(super) fn revoke_license(&mut self, now: Now, id: &LicenseId, refusal: &Refusal) {
        let numbers: Vec<SessionNumber> =
            self.sessions.of_license(id).map(|session| session.record.number).collect();
        for number in numbers {
            self.revoke(now, number, refusal);
        }
    }

    /// Revokes the sessions of sections that have run out before their license.
    fn end_sections(&mut self, now: Now) {
        let judged = self.time_mark.judged(now);
        let over = |section: &ProductSection| section.expires.is_some_and(|end| end <= judged);
        let mut ended = Vec::new();
        for license in self.licenses.values().map(|installed| &installed.license) {
            let sections = license.sections.iter().enumerate();
            for (index, section) in sections.filter(|(_, section)| over(section)) {
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

    /// Remembers that this version was installed here, if it is meant for here at all: another
    /// server's license must not spoil ours.
    pub(super) fn see_version(&mut self, now: Now, id: &LicenseId) {
        let Some(installed) = self.licenses.get(id) else { return };
        let license = &installed.license;
        let seen = self.versions.get(id).copied().unwrap_or(0);
        if seen < license.version && self.binding_holds(license).is_ok() {
            let seen = Event::LicenseSeen { license_id: id.clone(), version: license.version };
            self.commit(now, vec![seen], Waiting::NoOne);
        }
    }

    /// Whether a license as a whole is valid here and now.
    pub(super) fn standing(&self, now: Now, license: &License) -> Result<(), Refusal> {
        self.binding_holds(license)?;
        self.version_holds(license)?;
        if license.mode == Mode::AutoVe {
            self.is_only_autove(license)?;
        }
        self.dates_hold(now, license)?;
        if self.remaining_ms(now, license) == Some(0) {
            return Err(Refusal::new(ReasonCode::HoursExhausted, hours_exhausted(license)));
        }
        Ok(())
    }

    /// Whether a license is meant for this server and machine, and no newer version of it is known.
    pub(super) fn is_meant_for_here(&self, license: &License) -> bool {
        self.binding_holds(license).is_ok() && self.version_holds(license).is_ok()
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

    fn version_holds(&self, license: &License) -> Result<(), Refusal> {
        let seen = self.versions.get(&license.id).copied().unwrap_or(0);
        if license.version >= seen {
            return Ok(());
        }
        let sentence = format!(
            "license {} has version {}, but version {seen} was installed here before.",
            license.id, license.version
        );
        Err(Refusal::new(ReasonCode::LicenseVersionRolledBack, sentence))
    }

    fn dates_hold(&self, now: Now, license: &License) -> Result<(), Refusal> {
        let judged = self.time_mark.judged(now);
        if license.released > judged.plus_seconds((DOUBT_MS / 1_000).cast_signed()) {
            let sentence = format!(
                "license {} was released on {} UTC, more than a day ahead of now, {judged} UTC.",
                license.id, license.released
            );
            return Err(Refusal::new(ReasonCode::NotYetValid, sentence));
        }
        match license_end(license).filter(|end| *end <= judged) {
            None => Ok(()),
            Some(end) => {
                let sentence = format!("license {} expired on {end} UTC.", license.id);
                Err(Refusal::new(ReasonCode::LicenseExpired, sentence))
            }
        }
    }

    /// Why no license serves: the first reason that is known.
    pub fn why_no_license(&self) -> Refusal {
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
        KeyType::Normal { expires } => expires,
        KeyType::Countdown { .. } => None,
    }
}
