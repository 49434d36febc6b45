//! One machine has one instance: when everything is healed, no registry has two active entries of what a
//! provider names as one machine, by what the entries say or by what their keys have shown.
//!
//! Machines whose document others have shown, and keys that two machines had, are judged by their entries
//! alone: whose they are depends on who came last.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    id::HostKey,
    node::io::Answer,
    registry::{HostEntry, PlatformIdentity},
};

use super::{
    Invariant,
    books::{AskBook, Books},
};
use crate::{clock::At, fact::Fact, host_fact::short, roll::Roll};

/// However many keys it has had.
#[derive(Default)]
pub(crate) struct OneInstance {
    /// What every key has shown last, as far as it was believed.
    shown: BTreeMap<HostKey, PlatformIdentity>,
    claimed: BTreeSet<PlatformIdentity>,
    cloned: BTreeSet<HostKey>,
}

impl OneInstance {
    fn shown_by(&self, host: HostKey) -> Option<&PlatformIdentity> {
        let shown = self.shown.get(&host).filter(|_| !self.cloned.contains(&host));
        shown.filter(|identity| !self.claimed.contains(*identity))
    }

    fn judge(&self, roll: &Roll) -> Result<(), String> {
        let active = || roll.entries().filter(|entry| entry.is_active());
        let written = |entry: &'_ HostEntry| entry.identity.clone();
        let shown = |entry: &'_ HostEntry| self.shown_by(entry.host).cloned();
        distinct(active().map(|entry| (entry.host, written(entry))))?;
        distinct(active().map(|entry| (entry.host, shown(entry))))
    }
}

fn distinct(
    hosts: impl Iterator<Item = (HostKey, Option<PlatformIdentity>)>,
) -> Result<(), String> {
    let mut machines = BTreeMap::new();
    for (host, identity) in hosts {
        let Some(identity) = identity else { continue };
        let id = identity.id.clone();
        if let Some(other) = machines.insert(identity, host) {
            let (one, other) = (short(&host), short(&other));
            return Err(format!("machine {id} has two instances: {one} and {other}"));
        }
    }
    Ok(())
}

impl Invariant for OneInstance {
    fn name(&self) -> &'static str {
        "one_instance"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Healed { rolls } => return rolls.iter().try_for_each(|roll| self.judge(roll)),
            Fact::PapersShown { named: Some(identity), .. } => {
                self.claimed.insert((*identity).clone());
            }
            Fact::HostBooted { key, clone: true, .. } => {
                self.cloned.insert(*key);
            }
            Fact::Answered { server, link, request, answer: Answer::Granted(_), .. } => {
                let asked = books.servers[*server].asked.get(&(*link, *request));
                let host = books.host_of(*server, *link);
                if let (Some(AskBook::Login { identity: Some(identity), .. }), Some(host)) =
                    (asked, host)
                {
                    self.shown.insert(host, identity.clone());
                }
            }
            _ => {}
        }
        Ok(())
    }
}
