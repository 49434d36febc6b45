//! Proving: a host that came into the registry by its peer or an import is served when that is
//! durable, like one that registered itself.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{MAX_WAITING, Node, Waiting, registering::too_many_wait};
use crate::{id::HostKey, time::Now};

/// The logins of hosts whose latest state and home is not durable yet.
#[derive(Debug, Default)]
pub(super) struct Proving {
    /// By which change each of their hosts came to it.
    waiting: BTreeMap<HostKey, (u64, Vec<Waiting>)>,
    by_number: BTreeSet<(u64, HostKey)>,
}

impl Proving {
    fn take(&mut self, host: HostKey) -> Vec<Waiting> {
        let Some((number, waiting)) = self.waiting.remove(&host) else { return Vec::new() };
        self.by_number.remove(&(number, host));
        waiting
    }

    fn put(&mut self, host: HostKey, number: u64, waiting: Vec<Waiting>) {
        self.by_number.insert((number, host));
        self.waiting.insert(host, (number, waiting));
    }
}

impl Node {
    /// By which change a host came to its state and home, if that may still come to nothing.
    fn unproven(&self, host: HostKey) -> Option<u64> {
        let number = self.hosts.registry.standing_number(host)?;
        (number > self.enrolls.durable_number()).then_some(number)
    }

    /// A host has another state or home than before: who waits for it waits for that.
    pub(super) fn prove(&mut self, host: HostKey) {
        let waiting = self.hosts.proving.take(host);
        if !waiting.is_empty() {
            // If there is nothing to wait for, that is found out next.
            let number = self.unproven(host).unwrap_or(0);
            self.hosts.proving.put(host, number, waiting);
        }
    }

    /// Lets a login pass whose host is durably what it seems to be. `None`: it waits.
    pub(super) fn pass_unproven(
        &mut self,
        now: Now,
        host: HostKey,
        waiting: Waiting,
    ) -> Option<Waiting> {
        let Some(number) = self.unproven(host) else { return Some(waiting) };
        let mut others = self.hosts.proving.take(host);
        if others.len() >= MAX_WAITING {
            self.hosts.proving.put(host, number, others);
            self.deny(now, waiting.asker, &waiting.login, too_many_wait());
            return None;
        }
        let link = waiting.asker.link;
        others.push(waiting);
        self.hosts.proving.put(host, number, others);
        self.count_login_begun(link);
        None
    }

    /// The outcome of a change is known: who waited for it goes on.
    pub(in crate::node) fn settle_proving(&mut self, now: Now) {
        self.take_host_news(now);
        let durable = self.enrolls.durable_number();
        let mut proven = Vec::new();
        while let Some((number, host)) = self.hosts.proving.by_number.first().copied()
            && number <= durable
        {
            proven.push(self.hosts.proving.take(host));
        }
        for waiting in proven {
            self.go_on(now, waiting);
        }
    }
}
