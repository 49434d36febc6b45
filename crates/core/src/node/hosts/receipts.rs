//! Receipts: what a host shows of an earlier registration, and what it is given.

use super::{
    Node,
    registering::{Registration, seen},
};
use crate::{
    id::{HostKey, LicenseId, SessionNumber},
    license::License,
    node::{event::RegisteredBy, hosts::Verdict, io::Login, sessions::Session},
    registry::{HostEntry, HostFacts, HostState, Receipt, ReceiptMark, entry::MAX_REVISION},
    text::Name,
    time::Now,
};
use alloc::vec;

impl Node {
    /// Whether a receipt says something here: it is this host's, of our customer, and from a server
    /// that is known to be ours or our peer. A server that has forgotten who its peer is takes any
    /// server of its customer for it.
    fn counts(&self, host: HostKey, receipt: &Receipt) -> bool {
        let issuer = &receipt.issuer;
        let peer = self.peers.license_id();
        let known = self.versions.contains_key(issuer)
            || peer == Some(issuer)
            || (peer.is_none() && self.hosts.has_peer());
        let customer = self.own_autove().is_some_and(|own| own.customer == receipt.customer);
        known && customer && receipt.host == host && (1..=MAX_REVISION).contains(&receipt.revision)
    }

    /// The entry that the best of a host's receipts stands for.
    pub(super) fn by_receipt(
        &self,
        now: Now,
        host: HostKey,
        address: &Name,
        facts: &HostFacts,
    ) -> Option<HostEntry> {
        let receipts = facts.receipts.iter().filter(|receipt| self.counts(host, receipt));
        let entries = receipts.map(|receipt| HostEntry {
            host,
            home: receipt.home.clone(),
            revision: receipt.revision,
            state: HostState::Active,
            registered: receipt.registered,
            identity: facts.identity.as_deref().cloned(),
            seen: seen(now, facts, address),
        });
        let entry = entries.reduce(|one, other| one.merge(&other))?;
        let own = self.hosts.own.as_ref()?;
        if self.is_replaced(&entry.home) {
            return Some(HostEntry {
                home: own.clone(),
                revision: entry.revision.saturating_add(1).min(MAX_REVISION),
                ..entry
            });
        }
        Some(entry)
    }

    /// Whether a host may come back by its receipt: within capacity, if it is at home here.
    pub(super) fn judge_receipt(&self, now: Now, login: &Login, entry: HostEntry) -> Verdict {
        let Some(capacity) = self.capacity() else { return self.why_no_license().into() };
        let verdict = if entry.home == capacity.license_id {
            match (capacity.free(), self.must_outwait(now, entry.host, login)) {
                (0, _) => capacity.full().into(),
                (_, Some(refusal)) => refusal.into(),
                (_, None) => Verdict::Served,
            }
        } else if self.hosts.peer_serves.as_ref() == Some(&entry.home) {
            // Whether the peer has an instance for it is seen when the entry is among its others.
            Verdict::Served
        } else {
            self.judge_entry(&entry)
        };
        match verdict {
            Verdict::Served | Verdict::Guest => {
                Registration { entries: vec![entry], by: RegisteredBy::Receipt }.into()
            }
            refused => refused,
        }
    }

    /// What of the receipts that a host shows is as good as one that it would be given now.
    fn shown_mark(&self, host: HostKey, facts: &HostFacts) -> Option<ReceiptMark> {
        let mark = self.hosts.registry.find(host).map(mark_of)?;
        let mut receipts = facts.receipts.iter().filter(|receipt| self.counts(host, receipt));
        receipts.any(|receipt| receipt.mark() == mark).then_some(mark)
    }

    /// Where a host is at home, if this license counts hosts.
    pub(in crate::node) fn home_under(
        &self,
        license: &License,
        host: HostKey,
    ) -> Option<LicenseId> {
        let entry = self.hosts.registry.find(host).filter(|_| self.counts_hosts(license));
        entry.filter(|entry| entry.is_active()).map(|entry| entry.home.clone())
    }

    /// Notes what a session's client has said of its host.
    pub(in crate::node) fn note_facts(&mut self, number: SessionNumber, facts: Option<&HostFacts>) {
        let Some(facts) = facts else { return };
        let Some(session) = self.sessions.find(number) else { return };
        let record = &session.record;
        if Some(&record.license_id) != self.hosts.own.as_ref() {
            return;
        }
        let shown = self.shown_mark(record.host, facts);
        self.sessions.set_boot(number, facts.boot);
        self.sessions.set_receipt(number, shown);
    }

    /// The receipt that a session's client lacks. One that has said nothing of its host can't keep
    /// any.
    pub(in crate::node) fn lacking_receipt(&self, session: &Session) -> Option<Receipt> {
        let own = self.own_autove().filter(|own| own.id == session.record.license_id)?;
        session.boot?;
        let entry = self.hosts.registry.find(session.record.host)?;
        let mark = mark_of(entry);
        if !entry.is_active() || session.receipt.as_ref() == Some(&mark) {
            return None;
        }
        Some(Receipt {
            host: entry.host,
            customer: own.customer.clone(),
            issuer: own.id.clone(),
            home: mark.home,
            revision: mark.revision,
            registered: mark.registered,
        })
    }
}

fn mark_of(entry: &HostEntry) -> ReceiptMark {
    ReceiptMark { home: entry.home.clone(), revision: entry.revision, registered: entry.registered }
}
