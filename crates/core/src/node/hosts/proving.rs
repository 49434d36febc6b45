//! Proving: a host that came into the registry by its peer or an import is served when that is
//! durable, like one that registered itself.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{MAX_WAITING, Node, Waiting, registering::too_many_wait};
use crate::{id::HostKey, time::Now};

/// The hosts whose latest state and home is not durable yet.
#[derive(Debug, Default)]
pub(super) struct Proving {
    /// By which change they came to it.
    numbers: BTreeMap<HostKey, u64>,
    by_number: BTreeSet<(u64, HostKey)>,
    waiting: BTreeMap<HostKey, Vec<Waiting>>,
    /// Those of the waiting whose change has come to an end.
    ended: BTreeSet<HostKey>,
}

impl Proving {
    fn set(&mut self, host: HostKey, number: Option<u64>) {
        if let Some(before) = self.numbers.remove(&host) {
            self.by_number.remove(&(before, host));
        }
        if let Some(number) = number {
            self.numbers.insert(host, number);
            self.by_number.insert((number, host));
        } else if self.waiting.contains_key(&host) {
            self.ended.insert(host);
        }
    }
}

impl Node {
    /// A host has another state or home than before.
    pub(super) fn prove(&mut self, host: HostKey) {
        let number = self.hosts.registry.number_of(host);
        let durable = self.enrolls.durable_number();
        self.hosts.proving.set(host, number.filter(|number| *number > durable));
    }

    /// Lets a login pass whose host is durably what it seems to be. `None`: it waits.
    pub(super) fn pass_unproven(
        &mut self,
        now: Now,
        host: HostKey,
        waiting: Waiting,
    ) -> Option<Waiting> {
        let number = self.hosts.proving.numbers.get(&host);
        if number.is_none_or(|number| *number <= self.enrolls.durable_number()) {
            return Some(waiting);
        }
        let others = self.hosts.proving.waiting.entry(host).or_default();
        if others.len() >= MAX_WAITING {
            self.deny(now, waiting.asker, &waiting.login, too_many_wait());
            return None;
        }
        let link = waiting.asker.link;
        others.push(waiting);
        self.count_login_begun(link);
        None
    }

    /// The outcome of a change is known: who waited for it goes on.
    pub(in crate::node) fn settle_proving(&mut self, now: Now) {
        self.take_host_news(now);
        let durable = self.enrolls.durable_number();
        while let Some((number, host)) = self.hosts.proving.by_number.first().copied()
            && number <= durable
        {
            self.hosts.proving.set(host, None);
        }
        while let Some(host) = self.hosts.proving.ended.pop_first() {
            if self.hosts.proving.numbers.contains_key(&host) {
                continue; // It was changed again.
            }
            let waiting = self.hosts.proving.waiting.remove(&host).unwrap_or_default();
            self.go_on(now, waiting);
        }
    }
}
