//! Which AutoVE license this server serves: one at a time.

use alloc::{format, vec::Vec};

use super::Node;
use crate::{
    id::LicenseId,
    license::{License, Mode},
    reason::{ReasonCode, Refusal},
    time::Now,
};

impl Node {
    /// Which AutoVE license this server serves, valid or not: the one that its peer knows it by.
    pub fn served_autove(&self) -> Option<LicenseId> {
        self.hosts.own.clone()
    }

    /// The AutoVE license that this server serves, whether it is valid or not.
    pub(in crate::node) fn own_autove(&self) -> Option<&License> {
        let id = self.hosts.own.as_ref()?;
        self.licenses.get(id).map(|installed| &installed.license)
    }

    /// Whether the AutoVE license is valid and this server lets its hosts in; or why not.
    pub(in crate::node) fn own_autove_serves(&self) -> Result<(), ReasonCode> {
        let own = self.hosts.own.as_ref().and_then(|id| self.licenses.get(id));
        let installed = own.ok_or(ReasonCode::LicenseNotAvailable)?;
        installed.standing.as_ref().map_err(|refusal| refusal.code)?;
        self.serves().map_err(|refusal| refusal.code)
    }

    /// Whether no other AutoVE license is served in place of this one: of several that are meant
    /// for this server and machine that with the smallest ID.
    pub(in crate::node) fn is_only_autove(&self, license: &License) -> Result<(), Refusal> {
        match self.first_autove() {
            Some(first) if first.id < license.id => {
                let sentence = format!(
                    "this server serves AutoVE license {}, and one at a time; remove one of them.",
                    first.id
                );
                Err(Refusal::new(ReasonCode::LicenseNotAvailable, sentence))
            }
            _ => Ok(()),
        }
    }

    fn first_autove(&self) -> Option<&License> {
        let licenses = self.licenses.values().map(|installed| &installed.license);
        let mut autove = licenses.filter(|license| license.mode == Mode::AutoVe);
        autove.find(|license| self.is_meant_for_here(license))
    }

    /// Chooses the license anew if another one is to be served from now on.
    pub(in crate::node) fn review_autove(&mut self, now: Now) {
        if self.first_autove().map(|license| &license.id) != self.hosts.own.as_ref() {
            self.choose_autove(now);
        }
    }

    /// Chooses the license that is served, after licenses or the machine have changed, and judges
    /// the others by that choice.
    pub(in crate::node) fn choose_autove(&mut self, now: Now) {
        let own = self.first_autove().map(|license| license.id.clone());
        if own != self.hosts.own {
            if let Some(before) = core::mem::replace(&mut self.hosts.own, own) {
                self.hosts.registry.set_limit(&before, usize::MAX);
            }
            self.hosts.guests.clear();
            self.look_for_missing();
            self.judge_autove(now);
        }
        if self.hosts.own.is_some() {
            self.fit_guests();
            self.seat_known_guests();
            self.rehome(now);
            self.judge_missing();
        }
    }

    fn judge_autove(&mut self, now: Now) {
        let of_mode = |id: &LicenseId| self.licenses[id].license.mode == Mode::AutoVe;
        let ids: Vec<LicenseId> = self.licenses.keys().filter(|id| of_mode(id)).cloned().collect();
        for id in ids {
            let standing = self.standing(now, &self.licenses[&id].license);
            if standing != self.licenses[&id].standing {
                self.take_standing(now, &id, standing);
            }
        }
    }
}
