//! Clones: one host's key alive on two machines, told apart by the boots that they run in.
//!
//! A host that was rebooted leaves links that look alive for seconds. So the links of the other boot
//! are asked: silence says that it was a reboot, an answer that there are two machines.

use alloc::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    format, vec,
    vec::Vec,
};

use super::{MAX_WAITING, Node, Waiting, registering::too_many_wait};
use crate::{
    id::{BootId, HostKey, LinkId, SessionId, SessionNumber},
    node::{
        Asker,
        io::{Effect, Login, Note},
        login::Placement,
        sessions::{Session, State},
        takeover::PING_MS,
    },
    reason::{ReasonCode, Refusal},
    text::Name,
    time::{Elapsed, Now},
};

/// How often a link is asked for the sake of one wait. Who has answered so often is there, whatever
/// becomes of its sessions.
const MAX_ROUNDS: u32 = 16;

/// The links that are asked, each about one session of its own at a time.
type Asked = BTreeMap<LinkId, SessionId>;

/// Logins of one boot that wait while the links of another are asked.
#[derive(Debug)]
struct Wait {
    boot: BootId,
    until: Elapsed,
    asked: Asked,
    /// How often a link was asked again, after it had answered.
    rounds: u32,
    waiting: Vec<Waiting>,
}

/// The hosts that are being told apart, one wait for each.
#[derive(Debug, Default)]
pub(super) struct Clones {
    by_host: BTreeMap<HostKey, Wait>,
    /// In the order of their ends, because all wait equally long; may name some that are gone.
    ends: VecDeque<(Elapsed, HostKey)>,
}

impl Clones {
    fn insert(&mut self, host: HostKey, wait: Wait) {
        self.ends.push_back((wait.until, host));
        self.by_host.insert(host, wait);
    }

    fn take_ended(&mut self, now: Elapsed) -> Option<(HostKey, Wait)> {
        while self.ends.front().is_some_and(|(until, _)| *until <= now) {
            let (until, host) = self.ends.pop_front()?;
            if self.by_host.get(&host).is_some_and(|wait| wait.until == until) {
                return self.by_host.remove(&host).map(|wait| (host, wait));
            }
        }
        None
    }
}

impl Node {
    /// When the first wait for the sake of a host ends.
    pub(in crate::node) fn first_host_end(&self) -> Option<Elapsed> {
        self.hosts.clones.ends.front().map(|(until, _)| *until)
    }

    /// Lets a login pass unless its host is alive in another boot. `None`: it was refused or waits.
    pub(super) fn pass_clones(
        &mut self,
        now: Now,
        host: HostKey,
        address: &Name,
        waiting: Waiting,
    ) -> Option<Waiting> {
        let Some(boot) = waiting.login.facts.as_ref().map(|facts| facts.boot) else {
            return Some(waiting);
        };
        let there = self.peers.presence(host);
        let there = there.filter(|there| there.boot.is_some_and(|other| other != boot));
        if let Some(first) = there.map(|there| there.address.clone())
            && !self.was_here_before(host, boot, waiting.login.session)
        {
            self.refuse_clone(now, host, &first, true, vec![waiting]);
            return None;
        }
        if self.boot_here(host).is_none_or(|here| here == boot) {
            return Some(waiting);
        }
        if let Some(wait) = self.hosts.clones.by_host.get_mut(&host) {
            if wait.boot == boot && wait.waiting.len() < MAX_WAITING {
                let link = waiting.asker.link;
                wait.waiting.push(waiting);
                self.count_login_begun(link);
            } else if wait.boot == boot {
                self.deny(now, waiting.asker, &waiting.login, too_many_wait());
            } else {
                // A third boot, while two are told apart.
                let refusal = cloned(address, address);
                self.deny(now, waiting.asker, &waiting.login, refusal);
            }
            return None;
        }
        self.count_login_begun(waiting.asker.link);
        self.ask_boot(now, host, boot, Asked::new(), vec![waiting]);
        None
    }

    /// Asks every link on which a host lives in another boot, once each.
    fn ask_boot(
        &mut self,
        now: Now,
        host: HostKey,
        boot: BootId,
        mut asked: Asked,
        waiting: Vec<Waiting>,
    ) {
        for (link, session) in self.live_in_another(host, boot) {
            if let Entry::Vacant(unasked) = asked.entry(link) {
                unasked.insert(session);
                self.effects.push_back(Effect::Ping { link, session });
            }
        }
        let until = now.elapsed.plus_ms(PING_MS);
        self.hosts.clones.insert(host, Wait { boot, until, asked, rounds: 0, waiting });
    }

    /// The sessions of a host that are live in another boot than this, and where, oldest first.
    fn live_in_another(&self, host: HostKey, boot: BootId) -> Vec<(LinkId, SessionId)> {
        let others = self.alive_here(host).filter(|session| is_other(session, boot));
        let live = others.filter_map(|session| match session.state {
            State::Live(link) => Some((link, session.record.id)),
            _ => None,
        });
        live.collect()
    }

    /// A link has shown that it works, but the session that it was asked about has ended: it is asked
    /// about the next one that is live there. A link that works is never taken for silent.
    fn ask_again(&mut self, now: Now, host: HostKey) {
        let Some(wait) = self.hosts.clones.by_host.get(&host) else { return };
        let live = self.live_in_another(host, wait.boot);
        let has_ended = |link: LinkId, asked: SessionId| !live.contains(&(link, asked));
        let next = |link: LinkId| live.iter().find(|(on, _)| *on == link).map(|(_, id)| *id);
        let ended = wait.asked.iter().filter(|(link, asked)| has_ended(**link, **asked));
        let due: Asked = ended.filter_map(|(link, _)| Some((*link, next(*link)?))).collect();
        let Some((first, _)) = due.first_key_value() else { return };
        if wait.rounds >= MAX_ROUNDS {
            return self.hear_host_runs(now, host, *first);
        }
        let until = now.elapsed.plus_ms(PING_MS);
        if let Some(mut wait) = self.hosts.clones.by_host.remove(&host) {
            wait.rounds += 1;
            wait.until = until;
            for (link, session) in due {
                wait.asked.insert(link, session);
                self.effects.push_back(Effect::Ping { link, session });
            }
            self.hosts.clones.insert(host, wait);
        }
    }

    /// A client says that it runs a session of this host, on the link that it was asked on: whoever
    /// waits in another boot is a clone.
    pub(in crate::node) fn hear_host_runs(&mut self, now: Now, host: HostKey, link: LinkId) {
        let clones = &mut self.hosts.clones.by_host;
        if clones.get(&host).is_none_or(|wait| !wait.asked.contains_key(&link)) {
            return;
        }
        let Some(wait) = clones.remove(&host) else { return };
        for Waiting { asker, .. } in &wait.waiting {
            self.count_login_decided(asker.link);
        }
        let first = self.links.get(&link).map(|link| link.address.clone());
        if let Some(first) = first {
            self.refuse_clone(now, host, &first, false, wait.waiting);
        }
    }

    fn refuse_clone(
        &mut self,
        now: Now,
        host: HostKey,
        first: &Name,
        at_peer: bool,
        waiting: Vec<Waiting>,
    ) {
        let mut noted = false;
        for Waiting { asker, login, .. } in waiting {
            let Some(link) = self.links.get(&asker.link) else { continue };
            let second = link.address.clone();
            if !core::mem::replace(&mut noted, true) {
                let (first, second) = (first.clone(), second.clone());
                self.note(Note::HostCloned { host, first, second, at_peer });
            }
            self.deny(now, asker, &login, cloned(first, &second));
        }
    }

    /// A client has said that a session of this host is over, or its link is gone: perhaps no one of
    /// another boot is alive any more.
    pub(in crate::node) fn settle_clone(&mut self, now: Now, host: HostKey) {
        let Some(wait) = self.hosts.clones.by_host.get(&host) else { return };
        if self.boot_here(host).is_some_and(|here| here != wait.boot) {
            return self.ask_again(now, host);
        }
        if let Some(wait) = self.hosts.clones.by_host.remove(&host) {
            self.go_on(now, wait.waiting);
        }
    }

    pub(super) fn go_on(&mut self, now: Now, waiting: Vec<Waiting>) {
        for Waiting { asker, .. } in &waiting {
            self.count_login_decided(asker.link);
        }
        for Waiting { asker, login, fresh } in waiting {
            self.login(now, asker, login, fresh);
        }
    }

    /// Settles the waits that have ended: the links of the other boot were silent.
    pub(in crate::node) fn settle_clones(&mut self, now: Now) {
        while let Some((host, wait)) = self.hosts.clones.take_ended(now.elapsed) {
            self.settle_silence(now, host, wait);
        }
    }

    fn settle_silence(&mut self, now: Now, host: HostKey, wait: Wait) {
        let Wait { boot, asked, waiting, .. } = wait;
        let others = self.alive_here(host).filter(|session| is_other(session, boot));
        let mut silent: Vec<(LinkId, SessionNumber)> = Vec::new();
        let (mut unasked, mut opening) = (false, false);
        for session in others {
            match session.state {
                State::Live(link) if asked.contains_key(&link) => {
                    silent.push((link, session.record.number));
                }
                State::Live(_) => unasked = true,
                _ => opening = true,
            }
        }
        // Who would be refused anyway takes nothing over.
        let waiting = self.keep_admissible(now, host, waiting);
        if waiting.is_empty() {
            return;
        }
        for (link, number) in silent {
            self.oust(now, link, number);
        }
        if unasked {
            return self.ask_boot(now, host, boot, asked, waiting);
        }
        if opening {
            let busy = Refusal::new(ReasonCode::ServerBusy, "the ledger is slow; try again.");
            for Waiting { asker, login, .. } in waiting {
                self.count_login_decided(asker.link);
                self.deny(now, asker, &login, busy.clone());
            }
            return;
        }
        self.go_on(now, waiting);
    }

    /// Refuses those that would be refused, and returns the others that are still there.
    fn keep_admissible(&mut self, now: Now, host: HostKey, waiting: Vec<Waiting>) -> Vec<Waiting> {
        let mut kept = Vec::new();
        for waiting in waiting {
            let Waiting { asker, login, .. } = &waiting;
            let Some(address) = self.links.get(&asker.link).map(|link| link.address.clone()) else {
                continue;
            };
            match self.would_be_refused(now, *asker, host, &address, login) {
                None => kept.push(waiting),
                Some(refusal) => {
                    self.count_login_decided(asker.link);
                    self.deny(now, waiting.asker, &waiting.login, refusal);
                }
            }
        }
        kept
    }

    fn would_be_refused(
        &self,
        now: Now,
        asker: Asker,
        host: HostKey,
        address: &Name,
        login: &Login,
    ) -> Option<Refusal> {
        let outcome = match self.place(asker, host, login) {
            Placement::Refused(refusal) => Err(refusal),
            Placement::Resume(number) => self.may_resume(now, number, login),
            Placement::Contested(number) => self.may_take_over(now, login, number),
            Placement::Open(before) => self.choose(now, login, before).map(drop),
        };
        outcome.err().or_else(|| self.judge_login(now, host, address, login).refusal())
    }
}

/// Whether a session is of another boot. What has said nothing of its boot is none.
fn is_other(session: &Session, boot: BootId) -> bool {
    session.boot.is_some_and(|other| other != boot)
}

pub(super) fn cloned(first: &Name, second: &Name) -> Refusal {
    let sentence = format!(
        "this host's key is in use on another machine: one is at {first}, one at {second}; give \
         each machine a key of its own."
    );
    Refusal::new(ReasonCode::DuplicateInstance, sentence)
}
