//! The installed licenses, and what a change of them means for the sessions.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{
    Node,
    append::Waiting,
    event::Event,
    io::{Note, UnusableLicense},
    sessions::{NO_END, State},
};
use crate::{
    id::{LicenseId, SessionNumber},
    license::{License, Verified},
    reason::{ReasonCode, Refusal},
    time::Now,
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
        let before = self.capacity();
        let installed = highest_versions(trusted);
        let gone = |id: &&LicenseId| !installed.contains_key(*id);
        let removed: Vec<LicenseId> = self.licenses.keys().filter(gone).cloned().collect();
        for id in &removed {
            self.remove(now, id);
        }
        for (id, license) in installed {
            if self.licenses.get(&id).is_none_or(|installed| installed.license != license) {
                self.install(now, license);
            }
        }
        self.choose_autove(now);
        self.revoke_unserved(now, before);
        self.note_without_license();
        self.note_unknown_holders(now);
        self.judge_peers(now);
        self.next_review = now.elapsed;
    }

    /// Revokes while the license is still known: it may say that its seats stay reserved.
    fn remove(&mut self, now: Now, id: &LicenseId) {
        let refusal = self.why_removed(id);
        if let Some(installed) = self.licenses.get_mut(id) {
            installed.standing = Err(refusal.clone());
        }
        self.revoke_license(now, id, &refusal);
        self.retire_meters(now, id, None);
        self.licenses.remove(id);
    }

    fn why_removed(&self, id: &LicenseId) -> Refusal {
        let unusable = self.unusable.iter().find(|license| license.id.as_ref() == Some(id));
        let removed = || {
            let sentence = format!("license {id} is not installed any more.");
            Refusal::new(ReasonCode::LicenseNotAvailable, sentence)
        };
        unusable.map_or_else(removed, |license| license.refusal.clone())
    }

    fn install(&mut self, now: Now, license: License) {
        let id = license.id.clone();
        self.restart_meter(now, &license);
        self.count_on_license(&license);
        let standing = self.standing(now, &license);
        let before = self.licenses.remove(&id);
        self.licenses.insert(id.clone(), Installed { license, standing: standing.clone() });
        self.see_version(now, &id);
        if self.ready {
            self.settle_sessions(now, &id, before.as_ref().map(|installed| &installed.license));
        }
        self.take_standing(now, &id, standing);
    }

    /// Finds the sessions of a license their sections in its new version, and revokes those that it
    /// has none for.
    fn settle_sessions(&mut self, now: Now, id: &LicenseId, before: Option<&License>) {
        let Some(Installed { license, .. }) = self.licenses.get(id) else { return };
        let placing = self.place_sessions(now, license, before);
        let seats = placing.placed.iter().chain(&placing.reserved);
        let moves: Vec<Event> = seats.filter_map(|to| self.section_move(license, *to)).collect();
        if !moves.is_empty() {
            self.commit(now, moves, Waiting::NoOne);
        }
        for (number, _) in placing.placed {
            self.count_lease(now, number);
        }
        for (number, refusal) in placing.refused {
            self.count_lease(now, number);
            self.revoke(now, number, &refusal);
        }
    }

    /// What is to be remembered of a session that a new version serves in another section: after a
    /// restart its seat must count where it did before.
    fn section_move(
        &self,
        license: &License,
        (number, section): (SessionNumber, usize),
    ) -> Option<Event> {
        let record = &self.sessions.find(number)?.record;
        let product_code = license.sections[section].code.clone();
        let stays = record.section == section && record.product_code == product_code;
        (!stays).then_some(Event::SessionPlaced { number, section, product_code })
    }

    /// A reservation whose length was not known counts from when its license is. One that a new
    /// version makes longer is longer at once: that version may count on it.
    pub(super) fn count_lease(&mut self, now: Now, number: SessionNumber) {
        let state = self.sessions.find(number).map(|session| session.state);
        let Some(State::Left { since, until }) = state else { return };
        let until = if until == NO_END {
            self.reserved_until(number, now.elapsed)
        } else {
            until.max(self.reserved_until(number, since))
        };
        self.sessions.set_state(number, State::Left { since, until });
    }

    /// The server begins to serve: what its ledger remembers meets what is installed, and every
    /// known session gets a full lease. One whose license is missing keeps its seat until that is
    /// installed again: no one else could take it anyway.
    pub(super) fn begin_to_serve(&mut self, now: Now) {
        self.ready = true;
        self.count_unknown_holders(now);
        let ids: Vec<LicenseId> = self.licenses.keys().cloned().collect();
        for id in &ids {
            self.settle_sessions(now, id, None);
            if let Err(refusal) = self.licenses[id].standing.clone() {
                self.revoke_license(now, id, &refusal);
            }
        }
        self.next_review = now.elapsed;
        self.review(now);
        self.served_from.get_or_insert(self.time_mark.mark(now));
    }
}

fn highest_versions(licenses: Vec<Verified<License>>) -> BTreeMap<LicenseId, License> {
    let mut highest: BTreeMap<LicenseId, License> = BTreeMap::new();
    for license in licenses.into_iter().map(Verified::into_inner) {
        if highest.get(&license.id).is_none_or(|other| other.version < license.version) {
            highest.insert(license.id.clone(), license);
        }
    }
    highest
}
