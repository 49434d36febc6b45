//! Registering: a newcomer's way into the registry. Its logins wait until the entry is durable, and
//! then go on as if it had always been there.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::net::SocketAddr;

use super::{MAX_WAITING, Node, Waiting, admission::not_registered, pace::without_port};
use crate::{
    id::{HostKey, LicenseId, SessionId},
    node::{
        Asker,
        append::Waiting as Then,
        enroll::Then as Next,
        event::{AppendError, Event, RegisteredBy},
        hosts::Verdict,
        io::{Login, Note},
        login::Placement,
    },
    reason::{ReasonCode, Refusal},
    registry::{HostEntry, HostFacts, HostState, MAX_HOSTS, Seen},
    text::Name,
    time::Now,
};

/// A registration that may be made.
#[derive(Debug)]
pub(in crate::node) struct Registration {
    /// The host's own entry, after those that give way to it.
    pub(super) entries: Vec<HostEntry>,
    pub(super) by: RegisteredBy,
}

/// The registrations that are under way.
#[derive(Debug, Default)]
pub(super) struct Registering {
    by_host: BTreeMap<HostKey, UnderWay>,
    /// What the ledger has to hear of hosts that have just been registered.
    pub(super) announced: BTreeMap<HostKey, Event>,
}

#[derive(Debug)]
struct UnderWay {
    by: RegisteredBy,
    waiting: Vec<Waiting>,
}

impl Node {
    /// Lets a login pass as far as its host is concerned. `None`: it was refused, or waits and comes
    /// back. In general mode every login passes.
    pub(in crate::node) fn pass_host(
        &mut self,
        now: Now,
        waiting: (Asker, Login, SessionId),
        placement: &Placement,
    ) -> Option<(Login, SessionId)> {
        let (asker, login, fresh) = waiting;
        let Some((host, address)) = self.counted_host(now, asker, &login, placement) else {
            return Some((login, fresh));
        };
        let waiting = Waiting { asker, login, fresh };
        if self.hosts.registering.by_host.contains_key(&host) {
            self.wait_for_registration(now, host, waiting);
            return None;
        }
        let verdict = self.judge_login(now, host, &address, &waiting.login);
        if let Some(refusal) = verdict.refusal() {
            self.note_claim(host, &address, &verdict);
            if refusal.code == ReasonCode::ServerBusy {
                self.note_flood(now, &address);
            }
            self.deny(now, asker, &waiting.login, refusal);
            return None;
        }
        let waiting = self.pass_unproven(now, host, waiting)?;
        let waiting = self.pass_clones(now, host, &address, waiting)?;
        match verdict {
            Verdict::Newcomer(registration) => {
                self.register(now, host, &address, registration, waiting);
                return None;
            }
            Verdict::Guest if !matches!(placement, Placement::Contested(_)) => self.take_in(host),
            _ => {}
        }
        self.see(now, host, &address, waiting.login.facts.as_ref());
        Some((waiting.login, waiting.fresh))
    }

    /// The host of a login that the AutoVE license would serve, and where it is. A login that is
    /// refused by another rule passes, and is refused there.
    fn counted_host(
        &self,
        now: Now,
        asker: Asker,
        login: &Login,
        placement: &Placement,
    ) -> Option<(HostKey, Name)> {
        let own = self.hosts.own.as_ref()?;
        let link = self.links.get(&asker.link)?;
        let license = match placement {
            Placement::Refused(_) => None,
            Placement::Resume(number) => {
                self.may_resume(now, *number, login).ok()?;
                self.sessions.find(*number).map(|session| &session.record.license_id)
            }
            Placement::Contested(number) => {
                self.may_take_over(now, login, *number).ok()?;
                self.sessions.find(*number).map(|session| &session.record.license_id)
            }
            Placement::Open(before) => Some(&self.choose(now, login, *before).ok()?.license.id),
        };
        (license == Some(own)).then(|| (link.host, link.address.clone()))
    }

    /// What an entry that is not active, or none, comes down to.
    pub(super) fn judge_unknown(
        &self,
        now: Now,
        host: HostKey,
        known: Option<&HostEntry>,
        address: &Name,
        login: &Login,
    ) -> Verdict {
        let Some(own) = self.hosts.own.as_ref() else { return self.why_no_license().into() };
        let Some(facts) = login.facts.as_ref() else {
            let sentence = "this host is not registered, and its client does not say what \
                            registering takes; use a newer emulator.";
            return not_registered(sentence).into();
        };
        if known.is_none() && self.hosts.registry.len() >= MAX_HOSTS {
            let sentence = alloc::format!("the registry is full: it holds {MAX_HOSTS} hosts.");
            return Refusal::new(ReasonCode::ServerBusy, sentence).into();
        }
        if let Some(verdict) = self.judge_identity(now, host, known, address, login) {
            return match verdict {
                Verdict::Newcomer(registration) => match self.may_register(now, address) {
                    Ok(()) => Verdict::Newcomer(registration),
                    Err(refusal) => refusal.into(),
                },
                verdict => verdict,
            };
        }
        if known.is_some() {
            return super::admission::moved().into();
        }
        if let Some(entry) = self.by_receipt(now, host, address, facts) {
            return self.judge_receipt(now, login, entry);
        }
        let entry = HostEntry {
            host,
            home: own.clone(),
            revision: 1,
            state: HostState::Active,
            registered: self.time_mark.judged(now),
            identity: facts.identity.as_deref().cloned(),
            seen: seen(now, facts, address),
        };
        match self.may_be_new(now, host, address, login) {
            Ok(()) => Registration { entries: vec![entry], by: RegisteredBy::Login }.into(),
            Err(refusal) => refusal.into(),
        }
    }

    fn may_be_new(
        &self,
        now: Now,
        host: HostKey,
        address: &Name,
        login: &Login,
    ) -> Result<(), Refusal> {
        let Some(capacity) = self.capacity() else { return Err(self.why_no_license()) };
        self.may_come_from(address)?;
        if capacity.free_for_newcomers() == 0 {
            return Err(capacity.full());
        }
        self.must_outwait(now, host, login).map_or(Ok(()), Err)?;
        self.pace_allows(now, address)
    }

    /// Whether a new key may be registered from this address now.
    fn may_register(&self, now: Now, address: &Name) -> Result<(), Refusal> {
        self.may_come_from(address)?;
        self.pace_allows(now, address)
    }

    fn may_come_from(&self, address: &Name) -> Result<(), Refusal> {
        let allow = &self.hosts.rules.allow;
        let parsed = address.as_str().parse::<SocketAddr>().ok();
        let inside = parsed.is_some_and(|a| allow.iter().any(|range| range.contains(a.ip())));
        if allow.is_empty() || inside {
            return Ok(());
        }
        let machine = without_port(address);
        let sentence = alloc::format!("hosts may not register from {machine} on this server.");
        Err(not_registered(&sentence))
    }

    /// Puts a host into the registry; its login waits for that.
    fn register(
        &mut self,
        now: Now,
        host: HostKey,
        address: &Name,
        registration: Registration,
        waiting: Waiting,
    ) {
        let Registration { entries, by } = registration;
        if !matches!(by, RegisteredBy::Receipt) {
            self.pay_pace(now, address);
        }
        if by == RegisteredBy::Login {
            self.hosts.missing.count_newcomer();
        }
        self.count_login_begun(waiting.asker.link);
        let under_way = UnderWay { by, waiting: vec![waiting] };
        self.hosts.registering.by_host.insert(host, under_way);
        let mut changes = Vec::new();
        for entry in entries {
            // What was seen of it may be newer, by another clock.
            let known = self.hosts.registry.find(entry.host);
            let entry = known.map_or_else(|| entry.clone(), |known| known.merge(&entry));
            changes.push(self.hosts.registry.put(entry, None));
        }
        self.take_host_news(now);
        self.enroll(changes, None, None, Next::Admit(host));
    }

    fn wait_for_registration(&mut self, now: Now, host: HostKey, waiting: Waiting) {
        let Some(under_way) = self.hosts.registering.by_host.get_mut(&host) else { return };
        if under_way.waiting.len() >= MAX_WAITING {
            return self.deny(now, waiting.asker, &waiting.login, too_many_wait());
        }
        let link = waiting.asker.link;
        under_way.waiting.push(waiting);
        self.count_login_begun(link);
    }

    /// A host's registration is durable, or has failed.
    pub(in crate::node) fn registered(
        &mut self,
        now: Now,
        host: HostKey,
        outcome: Result<(), AppendError>,
    ) {
        let under_way = self.hosts.registering.by_host.remove(&host);
        let Some(UnderWay { by, waiting }) = under_way else { return };
        self.take_host_news(now);
        for Waiting { asker, .. } in &waiting {
            self.count_login_decided(asker.link);
        }
        if let Err(error) = outcome {
            if by == RegisteredBy::Login {
                self.hosts.missing.discount_newcomer();
            }
            let sentence = alloc::format!(
                "the registry can't be written: {}; the host was not registered.",
                error.0
            );
            let refusal = Refusal::new(ReasonCode::ServerBusy, sentence);
            for Waiting { asker, login, .. } in waiting {
                self.deny(now, asker, &login, refusal.clone());
            }
            return;
        }
        self.announce(host, by);
        for Waiting { asker, login, fresh } in waiting {
            self.login(now, asker, login, fresh);
        }
        // No session was opened after all.
        if let Some(registered) = self.hosts.take_announcement(host) {
            let events = [registered].into_iter().chain(self.homed_now()).collect();
            self.commit(now, events, Then::NoOne);
        }
    }

    fn announce(&mut self, host: HostKey, by: RegisteredBy) {
        let Some(entry) = self.hosts.registry.find(host) else { return };
        let (name, address) = (entry.seen.name.clone(), entry.seen.address.clone());
        let (event, note) = registration_news(host, name, address, entry.home.clone(), by);
        self.note(note);
        self.hosts.registering.announced.insert(host, event);
    }
}

/// What the ledger and the log hear of a registration.
pub(super) fn registration_news(
    host: HostKey,
    name: Name,
    address: Name,
    home: LicenseId,
    by: RegisteredBy,
) -> (Event, Note) {
    let note = Note::HostRegistered {
        host,
        name: name.clone(),
        address: address.clone(),
        home: home.clone(),
        by: by.clone(),
    };
    (Event::HostRegistered { host, name, home, address, by }, note)
}

impl From<Registration> for Verdict {
    fn from(registration: Registration) -> Self {
        Self::Newcomer(registration)
    }
}

/// The refusal of one login too many for the sake of one host.
pub(super) fn too_many_wait() -> Refusal {
    let sentence = alloc::format!(
        "{MAX_WAITING} logins of this host wait already until it is decided; try again."
    );
    Refusal::new(ReasonCode::ServerBusy, sentence)
}

/// What is seen of a host that says this of itself.
pub(super) fn seen(now: Now, facts: &HostFacts, address: &Name) -> Seen {
    Seen {
        at: now.wall,
        name: facts.name.clone(),
        platform: facts.platform,
        address: address.clone(),
    }
}
