//! High-water marks never go back: what a server has confirmed it knows after every start, and what
//! a client shows it counts from then on.

use std::collections::BTreeMap;

use ve_core::{
    grant::{Grant, Witness},
    id::{LicenseId, LinkId},
    license::Verified,
    node::io::{Answer, Ask, RequestId},
};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// A restored server has gained nothing once its clients have spoken.
#[derive(Default)]
pub(crate) struct Marks {
    /// The highest version that each server has confirmed.
    confirmed: BTreeMap<(usize, LicenseId), u32>,
    shown: BTreeMap<(usize, LinkId, RequestId), Vec<Verified<Witness>>>,
}

impl Marks {
    fn granted(&self, server: usize, grant: &Grant) -> Result<(), String> {
        let confirmed = self.confirmed.get(&(server, grant.license_id.clone())).copied();
        let version = grant.marks.license_version;
        if confirmed.unwrap_or(0) <= version {
            return Ok(());
        }
        Err(format!(
            "server {server} grants under version {version} of {}, and has confirmed {}",
            grant.license_id,
            confirmed.unwrap_or(0)
        ))
    }
}

/// Whether a grant says at least what the same host's earlier one said.
fn outdoes(grant: &Grant, witness: &Witness) -> Result<(), String> {
    let (now, then) = (&grant.marks, &witness.marks);
    let same_version = now.license_version == then.license_version;
    let pairs = [
        ("version", u64::from(now.license_version), u64::from(then.license_version)),
        ("ledger position", now.ledger_position, then.ledger_position),
        ("time", now.time.0.unsigned_abs(), then.time.0.unsigned_abs()),
        ("hours used", now.hours_used_ms, if same_version { then.hours_used_ms } else { 0 }),
    ];
    match pairs.into_iter().find(|(_, now, then)| now < then) {
        Some((what, now, then)) => Err(format!(
            "a grant says {what} {now} although its client has shown {then}, signed by the same server"
        )),
        None => Ok(()),
    }
}

impl Invariant for Marks {
    fn name(&self) -> &'static str {
        "marks"
    }

    fn see(&mut self, _: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Asked { server, link, request, ask: Ask::Login { login, .. }, .. } => {
                self.shown.insert((*server, *link, *request), login.witnesses.clone());
            }
            Fact::Answered { server, link, request, answer, .. } => {
                let shown = self.shown.remove(&(*server, *link, *request)).unwrap_or_default();
                let Answer::Granted(grant) = answer else { return Ok(()) };
                self.granted(*server, grant)?;
                let mut same =
                    shown.iter().filter(|witness| witness.license_id == grant.license_id);
                return same.try_for_each(|witness| outdoes(grant, witness));
            }
            Fact::InstallAcknowledged { server, id, version } => {
                let confirmed = self.confirmed.entry((*server, (*id).clone())).or_default();
                *confirmed = (*confirmed).max(*version);
            }
            Fact::LedgerReplaced { server, remembered } => {
                for ((of, id), confirmed) in &mut self.confirmed {
                    if of == server {
                        let known = remembered.versions.get(id).copied().unwrap_or(0);
                        *confirmed = (*confirmed).min(known);
                    }
                }
            }
            Fact::ServerStarted { server, remembered, .. } => {
                for ((_, id), confirmed) in
                    self.confirmed.iter().filter(|((of, _), _)| of == server)
                {
                    let known = remembered.versions.get(id).copied().unwrap_or(0);
                    if known < *confirmed {
                        return Err(format!(
                            "server {server} starts with version {known} of {id}, and has \
                             confirmed {confirmed}"
                        ));
                    }
                }
            }
            Fact::ServerStopped { server, .. } => self.shown.retain(|(of, ..), _| of != server),
            _ => {}
        }
        Ok(())
    }
}
