//! When everything is healed, every host that the rules allow is served, at home, and nobody else is.

use std::collections::BTreeSet;

use ve_core::{
    id::{HostKey, LicenseId},
    registry::{HostEntry, HostState, PlatformIdentity},
};

use crate::{host_fact::short, roll::Roll};

/// What a host may expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// To be served by this server.
    ServedBy(usize),
    /// To be a guest of this server, or of none: its home's instances are taken by older hosts, and who
    /// comes first gets what is free at the other server.
    GuestOf(usize),
    /// To be refused.
    Refused(&'static str),
}

/// What a key is due whose machine has another one.
const NOTHING: Due = Due::Refused("another key has its instance");

/// Whose due is asked for.
pub(crate) struct Who {
    pub(crate) key: HostKey,
    /// What its provider says of it.
    pub(crate) identity: Option<PlatformIdentity>,
    /// The keys of all other machines that run.
    pub(crate) others: BTreeSet<HostKey>,
}

/// One registry, and the licenses of both servers with their numbers of instances.
pub(crate) struct Rules<'a> {
    pub(crate) roll: &'a Roll,
    pub(crate) licenses: &'a [(LicenseId, usize)],
}

impl Rules<'_> {
    /// What the rules say of a host. `Err`: what is wrong with the registry.
    pub(crate) fn due(&self, who: &Who) -> Result<Due, String> {
        let entry = self.roll.find(who.key);
        match entry.map(|entry| entry.state) {
            Some(HostState::Retired) => return Ok(Due::Refused("it is retired")),
            Some(HostState::Active) => return entry.map_or(Ok(NOTHING), |it| self.due_of(it)),
            Some(HostState::Moved) | None => {}
        }
        if let Some(due) = self.due_of_machine(who, entry)? {
            return Ok(due);
        }
        if entry.is_some() {
            return Ok(NOTHING);
        }
        match self.licenses.iter().find(|license| self.has_room_beside_guests(license)) {
            None => Ok(Due::Refused("all instances are taken")),
            Some((license, _)) => {
                let key = short(&who.key);
                Err(format!("host {key} is not registered although {license} has room"))
            }
        }
    }

    /// What a key without an instance is due as one of its machine's; `None`: nothing by that.
    fn due_of_machine(&self, who: &Who, own: Option<&HostEntry>) -> Result<Option<Due>, String> {
        let Some(identity) = &who.identity else { return Ok(None) };
        let of_machine = |it: &&HostEntry| it.identity.as_ref() == Some(identity);
        let keys = || self.roll.entries().filter(of_machine).filter(|it| it.host != who.key);
        if keys().any(|entry| entry.state == HostState::Retired) {
            return Ok(Some(Due::Refused("its machine is retired")));
        }
        let key = short(&who.key);
        if let Some(owner) = keys().find(|entry| entry.is_active()) {
            if who.others.contains(&owner.host) {
                return Ok(Some(Due::Refused("another machine shows the same document")));
            }
            return match self.due_of(owner)? {
                Due::ServedBy(_) => Err(format!(
                    "host {key} has not the instance of its machine's earlier key {}",
                    short(&owner.host)
                )),
                due => Ok(Some(due)),
            };
        }
        let back = own.filter(|own| own.identity.as_ref() == Some(identity));
        match back.and_then(|own| self.licenses.iter().find(|(license, _)| *license == own.home)) {
            Some(license) if self.has_room_beside_guests(license) => {
                Err(format!("host {key} has not its instance, which no other key has"))
            }
            _ => Ok(None),
        }
    }

    /// What an active entry's host is due.
    fn due_of(&self, entry: &HostEntry) -> Result<Due, String> {
        let HostEntry { host, home, .. } = entry;
        let Some(server) = self.licenses.iter().position(|(license, _)| license == home) else {
            return Err(format!("host {} is at home nowhere: {home}", short(host)));
        };
        let instances = self.licenses[server].1;
        let oldest = self.homed(home).iter().take(instances).any(|it| it.host == *host);
        let other = |it: &(LicenseId, usize)| it.0 != *home && self.has_room(it);
        Ok(match self.licenses.iter().position(other) {
            _ if oldest => Due::ServedBy(server),
            Some(other) => Due::GuestOf(other),
            None => Due::Refused("older hosts have all instances"),
        })
    }

    fn homed(&self, license: &LicenseId) -> Vec<&HostEntry> {
        let mut homed: Vec<&HostEntry> =
            self.roll.entries().filter(|it| it.is_active() && it.home == *license).collect();
        homed.sort_by_key(|entry| (entry.registered, entry.host));
        homed
    }

    /// Whether a license has room even if all are its guests whom their home has no instance for.
    fn has_room_beside_guests(&self, license: &(LicenseId, usize)) -> bool {
        let others = self.licenses.iter().filter(|other| other.0 != license.0);
        let unserved = |(home, instances): &(LicenseId, usize)| {
            self.homed(home).len().saturating_sub(*instances)
        };
        self.homed(&license.0).len() + others.map(unserved).sum::<usize>() < license.1
    }

    fn has_room(&self, (license, instances): &(LicenseId, usize)) -> bool {
        self.homed(license).len() < *instances
    }
}
