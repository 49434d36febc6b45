//! Admission: what a host is to this server, and why it is refused.

use alloc::format;

use super::{Node, registering::Registration};
use crate::{
    id::{HostKey, LicenseId, SessionNumber},
    license::License,
    node::{Asker, Standing, io::Login},
    reason::{ReasonCode, Refusal},
    registry::{HostEntry, HostFacts, HostState},
    text::Name,
    time::Now,
};

/// What a host is to this server.
#[derive(Debug)]
pub(in crate::node) enum Verdict {
    /// It has an instance, here or at the peer.
    Served,
    /// A free instance would be its own, as a guest.
    Guest,
    /// It has to be registered first.
    Newcomer(Registration),
    /// It says that it is the machine of another host, which is alive.
    Claims {
        /// The other host.
        owner: HostKey,
        /// Where that is, `address:port`.
        owner_address: Name,
    },
    /// It gets nothing.
    Refused(Refusal),
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Verdict {
    /// Why nothing comes of it, if that is so.
    pub(in crate::node) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Served | Self::Guest | Self::Newcomer(_) => None,
            Self::Claims { owner_address, .. } => Some(claimed(owner_address)),
            Self::Refused(refusal) => Some(refusal.clone()),
        }
    }
}

impl Node {
    /// Whether a license counts hosts, and is the one that does so here.
    pub(in crate::node) fn counts_hosts(&self, license: &License) -> bool {
        self.hosts.own.as_ref() == Some(&license.id)
    }

    /// What a host that logs in from `address` is to this server.
    pub(in crate::node) fn judge_login(
        &self,
        now: Now,
        host: HostKey,
        address: &Name,
        login: &Login,
    ) -> Verdict {
        if self.hosts.retiring.has(host) {
            return retired().into();
        }
        let facts = login.facts.as_ref();
        match self.hosts.registry.find(host) {
            Some(entry) if entry.is_active() && !self.claims_more(entry, facts) => {
                match self.new_home(now, host, login) {
                    Some(registration) => Verdict::Newcomer(registration),
                    None => self.outwait(now, host, login, self.judge_entry(entry)),
                }
            }
            Some(entry) if entry.state == HostState::Retired => retired().into(),
            known => self.judge_unknown(now, host, known, address, login),
        }
    }

    /// Whether an active host shows the identity of another active one.
    fn claims_more(&self, entry: &HostEntry, facts: Option<&HostFacts>) -> bool {
        let identity = facts.and_then(|facts| facts.identity.as_ref());
        identity.is_some_and(|identity| {
            let mut others = self.hosts.registry.of_identity(identity);
            others.any(|other| other.is_active() && other.host != entry.host)
        })
    }

    /// What a host that is served already is to this server now.
    pub(in crate::node) fn judge_known(&self, host: HostKey) -> Verdict {
        if self.hosts.retiring.has(host) {
            return retired().into();
        }
        match self.hosts.registry.find(host) {
            Some(entry) => self.judge_entry(entry),
            None => not_registered("this host is not registered here; log in again.").into(),
        }
    }

    /// What an entry is worth: one that is in the registry, or that would be.
    pub(super) fn judge_entry(&self, entry: &HostEntry) -> Verdict {
        match entry.state {
            HostState::Retired => return retired().into(),
            HostState::Moved => return moved().into(),
            HostState::Active => {}
        }
        let Some(capacity) = self.capacity() else {
            return self.why_no_license().into();
        };
        if entry.home == capacity.license_id {
            if self.hosts.registry.is_among_oldest(entry) {
                return Verdict::Served;
            }
            return capacity.unserved_refusal().into();
        }
        if self.is_carried_by_peer(entry) || self.hosts.guests.contains(&entry.host) {
            return Verdict::Served;
        }
        if capacity.free_for_newcomers() > 0 {
            return Verdict::Guest;
        }
        let sentence = format!(
            "this host is at home with license {}, which has no instance for it at the moment, and \
             none is free here: {}.",
            entry.home,
            capacity.in_words()
        );
        Refusal::new(ReasonCode::NoFreeInstanceOnPeer, sentence).into()
    }

    /// What an entry's host is to this server now, for the lists.
    pub(in crate::node) fn host_standing(&self, entry: &HostEntry) -> Standing {
        let is_retired = self.hosts.retiring.has(entry.host);
        match entry.state {
            HostState::Active if is_retired => Standing::Retired,
            HostState::Retired => Standing::Retired,
            HostState::Moved => Standing::Moved,
            HostState::Active if self.hosts.guests.contains(&entry.host) => Standing::Guest,
            HostState::Active if self.hosts.own.as_ref() != Some(&entry.home) => {
                let has_turn = self.hosts.registry.is_among_oldest(entry);
                if has_turn { Standing::Elsewhere } else { Standing::Unserved }
            }
            HostState::Active if self.hosts.registry.is_among_oldest(entry) => Standing::Served,
            HostState::Active => Standing::Unserved,
        }
    }

    /// Whether a login that outwaits a silent session would be refused for its host's sake.
    pub(in crate::node) fn host_would_pass(
        &self,
        now: Now,
        asker: Asker,
        login: &Login,
        number: SessionNumber,
    ) -> Result<(), Refusal> {
        let session = self.sessions.find(number);
        let installed = session.and_then(|s| self.licenses.get(&s.record.license_id));
        installed.map_or(Ok(()), |installed| {
            self.host_would_be_served(now, asker, login, &installed.license)
        })
    }

    /// Whether a host would get an instance of a license now.
    pub(in crate::node) fn host_would_be_served(
        &self,
        now: Now,
        asker: Asker,
        login: &Login,
        license: &License,
    ) -> Result<(), Refusal> {
        let Some(link) = self.links.get(&asker.link) else { return Ok(()) };
        if !self.counts_hosts(license) {
            return Ok(());
        }
        self.judge_login(now, link.host, &link.address, login).refusal().map_or(Ok(()), Err)
    }

    /// Whether a session's host may go on being served. A guest without an instance takes one.
    pub(in crate::node) fn host_may_go_on(
        &mut self,
        now: Now,
        host: HostKey,
        license: &LicenseId,
    ) -> Result<(), Refusal> {
        if self.hosts.own.as_ref() != Some(license) {
            return Ok(());
        }
        if let Some(refusal) = self.give_way(now, host) {
            return Err(refusal);
        }
        match self.judge_known(host) {
            Verdict::Guest => self.take_in(host),
            verdict => verdict.refusal().map_or(Ok(()), Err)?,
        }
        self.see_again(now, host);
        Ok(())
    }
}

/// The refusal of a host that was retired.
pub(super) fn retired() -> Refusal {
    Refusal::new(
        ReasonCode::InstanceRetired,
        "this host was retired by the administrator; it never gets an instance again.",
    )
}

/// The refusal of a key whose machine has another one now.
pub(super) fn moved() -> Refusal {
    not_registered("another key of this machine has its instance.")
}

pub(super) fn not_registered(sentence: &str) -> Refusal {
    Refusal::new(ReasonCode::InstanceNotRegistered, sentence)
}

/// The refusal of a host that shows the identity of another.
pub(super) fn claimed(owner_address: &Name) -> Refusal {
    let sentence =
        format!("this machine is registered by another key, which is in use at {owner_address}.");
    Refusal::new(ReasonCode::DuplicateInstance, sentence)
}
