//! How many instances there are, who has them, and whether either server could carry all hosts.

use alloc::{format, string::String, vec::Vec};

use super::Node;
use crate::{
    id::{LicenseId, SessionNumber},
    license::License,
    node::io::Note,
    reason::{ReasonCode, Refusal},
    time::Now,
};

/// How the instances of the served license are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// The license.
    pub license_id: LicenseId,
    /// How many instances it has.
    pub instances: u32,
    /// How many hosts are at home here, whether they are served or not.
    pub homed: u64,
    /// How many hosts of another home have an instance here.
    pub guests: u64,
    /// How many instances are kept for hosts that the registry may lack.
    pub kept: u64,
}

impl Capacity {
    /// How many hosts of this home are registered beyond the instances that guests leave them: the
    /// newest, which are not served.
    pub fn unserved(&self) -> u64 {
        (self.homed + self.guests).saturating_sub(u64::from(self.instances))
    }

    /// How many instances a host of another home could still get.
    pub fn free(&self) -> u64 {
        u64::from(self.instances).saturating_sub(self.homed + self.guests)
    }

    /// How many instances a newcomer could still get.
    pub fn free_for_newcomers(&self) -> u64 {
        self.free().saturating_sub(self.kept)
    }

    /// The refusal of a newcomer, or of one that comes back, when no instance is free.
    pub(super) fn full(&self) -> Refusal {
        let sentence = format!("no instance is free: {}.", self.in_words());
        Refusal::new(ReasonCode::InstanceLimit, sentence)
    }

    /// The refusal of a host that is registered, and newer than those that have the instances.
    pub(super) fn unserved_refusal(&self) -> Refusal {
        let sentence = format!(
            "this host is registered, but newer than those that are served: {}.",
            self.in_words()
        );
        Refusal::new(ReasonCode::InstanceLimit, sentence)
    }

    /// The numbers, without a full stop.
    pub(super) fn in_words(&self) -> String {
        let Self { license_id, instances, homed, guests, kept } = self;
        let instances = count(*instances, "instance");
        let homed = hosts_are(*homed);
        let guests = match guests {
            0 => String::new(),
            _ => format!(", {guests} are used by hosts of the peer"),
        };
        let kept = match kept {
            0 => String::new(),
            _ => format!(", {kept} are kept for hosts that may be missing"),
        };
        format!("license {license_id} has {instances}, {homed} registered here{guests}{kept}")
    }
}

fn count(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn hosts_are(count: u64) -> String {
    if count == 1 { String::from("1 host is") } else { format!("{count} hosts are") }
}

impl Node {
    /// How the instances of the AutoVE license are used; `None` without one.
    pub fn capacity(&self) -> Option<Capacity> {
        let own = self.own_autove()?;
        let homed = self.hosts.registry.homed(&own.id) as u64;
        Some(Capacity {
            license_id: own.id.clone(),
            instances: own.sections.first().map_or(0, |section| section.instances),
            homed,
            guests: self.hosts.guests.len() as u64,
            kept: self.hosts.missing.kept(homed),
        })
    }

    /// Says what is too small, once until that changes.
    pub(super) fn note_capacity(&mut self) {
        self.note_too_many();
        // The registries must be in step first: what is on its way would be said to be missing.
        if self.peers.is_in_step() {
            self.note_shortage();
        }
    }

    /// The sessions of hosts that would have no instance under a new version of the license, and why.
    pub(in crate::node) fn would_lose_instance(
        &self,
        license: &License,
    ) -> Vec<(SessionNumber, Refusal)> {
        let Some(now) = self.capacity().filter(|capacity| capacity.license_id == license.id) else {
            return Vec::new();
        };
        let instances = license.sections.first().map_or(0, |section| section.instances);
        let capacity = Capacity { instances, ..now };
        let limit = u64::from(instances).saturating_sub(capacity.guests);
        let hosts = self.hosts.registry.homed_at(&license.id);
        let unserved = hosts.skip(usize::try_from(limit).unwrap_or(usize::MAX));
        let sessions = unserved.flat_map(|host| self.sessions.of_host(host));
        let of_license = sessions.filter(|session| session.record.license_id == license.id);
        of_license.map(|session| (session.record.number, capacity.unserved_refusal())).collect()
    }

    /// Revokes the sessions of hosts that a license with fewer instances than `before` has none for.
    pub(in crate::node) fn revoke_unserved(&mut self, now: Now, before: Option<Capacity>) {
        let (Some(before), Some(own)) = (before, self.capacity()) else { return };
        let has_shrunk = before.license_id == own.license_id && own.instances < before.instances;
        if !has_shrunk || !self.ready {
            return;
        }
        let mut lost: Vec<(SessionNumber, Refusal)> = Vec::new();
        for host in self.sessions.hosts() {
            let Some(refusal) = self.judge_known(host).refusal() else { continue };
            let sessions = self.sessions.of_host(host);
            let own = sessions.filter(|session| session.record.license_id == own.license_id);
            lost.extend(own.map(|session| (session.record.number, refusal.clone())));
        }
        // The newest first.
        lost.sort_unstable_by_key(|(number, _)| core::cmp::Reverse(*number));
        for (number, refusal) in lost {
            self.revoke(now, number, &refusal);
        }
    }

    fn note_too_many(&mut self) {
        let Some(capacity) = self.capacity() else { return };
        let too_many = capacity.homed > u64::from(capacity.instances);
        let noted = core::mem::replace(&mut self.hosts.noted_too_many, too_many);
        if too_many && !noted {
            let Capacity { homed, instances, .. } = capacity;
            self.note(Note::TooManyHosts { homed, instances });
        }
    }

    fn note_shortage(&mut self) {
        let (here, there) = self.missing_without_peer();
        let shortage = (here, there.unwrap_or(0));
        let before = core::mem::replace(&mut self.hosts.noted_shortage, shortage);
        for (missing, before, here) in [(shortage.0, before.0, true), (shortage.1, before.1, false)]
        {
            if missing > 0 && before == 0 {
                self.note(Note::PeersTooSmall { missing, here });
            }
        }
        if shortage == (0, 0) && before != (0, 0) {
            self.note(Note::PeersSuffice);
        }
    }
}
