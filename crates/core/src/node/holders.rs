//! Forgotten holders: who may hold a seat that the ledger does not name.
//!
//! A ledger that comes from a backup, or had to be made anew, does not know who got a seat since. A
//! normal lease bears that: the others get what is free, and the forgotten come back or do not. But
//! `lease = "grace"` promises that no more emulators run than are licensed, and a forgotten holder
//! may run on through its grace period. So until every one of them must have ended, newcomers get
//! no seat of such a license. Who proves to have held one is no newcomer: it runs already.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
};

use super::{
    Node,
    append::Waiting,
    event::{Event, SessionRecord},
    io::{Login, Note},
};
use crate::{
    grant::Witness,
    id::{LicenseId, SessionId, SessionNumber},
    license::{Lease, License},
    time::{Elapsed, Now},
};

/// What a node knows of the holders that its ledger may have forgotten.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// Since when no forgotten holder can have heard from this server; `None`: all are known.
    unknown_since: Option<Elapsed>,
    /// The sessions that came back since then. Their seats are theirs for certain, while one that
    /// only the old ledger names may have passed its seat on to somebody whom it does not name.
    confirmed: BTreeSet<SessionNumber>,
    /// For how long seats of a license with `lease = "grace"` may have been promised, in milliseconds:
    /// the longest that any of its versions, sessions or grants has shown in this process. An update
    /// makes no forgotten holder end sooner.
    promised_ms: BTreeMap<LicenseId, u64>,
    /// Whether the ledger says so, for the next start.
    recorded: bool,
    noted: bool,
}

impl Holders {
    /// What the ledger says at a start. Of the `known` sessions it tells what was promised to the
    /// forgotten as well.
    pub(super) fn new(may_lack: bool, known: &[SessionRecord], now: Now) -> Self {
        let unknown_since = may_lack.then_some(now.elapsed);
        let mut holders = Self { unknown_since, recorded: may_lack, ..Self::default() };
        for record in known.iter().filter(|record| record.promised_grace) {
            holders.promise(&record.license_id, record.promised_lease_ms);
        }
        holders
    }

    fn promise(&mut self, id: &LicenseId, lease_ms: u64) {
        let longest_ms = self.promised_ms.entry(id.clone()).or_default();
        *longest_ms = lease_ms.max(*longest_ms);
    }

    /// Whether some may be unknown.
    pub(super) fn are_unknown(&self) -> bool {
        self.unknown_since.is_some()
    }

    /// A session has ended.
    pub(super) fn forget(&mut self, number: SessionNumber) {
        self.confirmed.remove(&number);
    }
}

impl Node {
    /// The time in which holders may be unknown begins when the server does.
    pub(super) fn count_unknown_holders(&mut self, now: Now) {
        if let Some(since) = &mut self.holders.unknown_since {
            *since = now.elapsed;
        }
        self.note_unknown_holders(now);
    }

    /// A client has proven that the ledger lacks records, and with them perhaps holders.
    pub(super) fn find_holders_missing(&mut self, now: Now) {
        self.holders.unknown_since = Some(now.elapsed);
        self.holders.confirmed.clear();
        if !self.holders.recorded {
            self.holders.recorded = true;
            let event = Event::HoldersUnknown { unknown: true };
            self.commit(now, vec![event], Waiting::NoOne);
        }
        self.note_unknown_holders(now);
    }

    /// Says it once, if a license is there that it matters to.
    pub(super) fn note_unknown_holders(&mut self, now: Now) {
        if self.holders.noted || !self.ready {
            return;
        }
        if let Some(for_ms) = self.holders_unknown_ms(now) {
            self.holders.noted = true;
            self.note(Note::HoldersUnknown { for_ms });
        }
    }

    /// A license is installed, which may promise its seats for longer than any version before.
    pub(super) fn count_on_license(&mut self, license: &License) {
        if license.lease == Lease::Grace {
            let lease_ms = license.lease_ms(self.settings.heartbeat_timeout_ms);
            self.holders.promise(&license.id, lease_ms);
        }
    }

    /// Some client shows for how long an earlier version has promised its seats.
    pub(super) fn count_on_witness(&mut self, witness: &Witness) {
        if self.holders.promised_ms.contains_key(&witness.license_id) {
            self.holders.promise(&witness.license_id, witness.lease_ms);
        }
    }

    /// For how long newcomers get no seat of a license with `lease = "grace"`, because the ledger
    /// may have forgotten who holds them: of the longest such license, in milliseconds.
    pub fn holders_unknown_ms(&self, now: Now) -> Option<u64> {
        let licenses = self.licenses.values().map(|installed| &installed.license);
        licenses.filter_map(|license| self.unknown_for_ms(now, license)).max()
    }

    fn unknown_for_ms(&self, now: Now, license: &License) -> Option<u64> {
        let since = self.holders.unknown_since?;
        let until = since.plus_ms(*self.holders.promised_ms.get(&license.id)?);
        Some(until.since_ms(now.elapsed)).filter(|&ms| ms > 0)
    }

    /// For how long a login has to wait for a seat in a section, in milliseconds, because the
    /// section's holders may not all be known; `None`: it need not.
    pub(super) fn must_wait_ms(
        &self,
        now: Now,
        login: &Login,
        license: &License,
        inherited: Option<SessionNumber>,
    ) -> Option<u64> {
        let for_ms = self.unknown_for_ms(now, license)?;
        let comes_back = proves_seat(login, license)
            || inherited.is_some_and(|number| self.is_successor(login, number));
        (!comes_back).then_some(for_ms)
    }

    /// Whether the seat that a login would take over is certainly its predecessor's: it came back
    /// since, or the login knows its secret name.
    fn is_successor(&self, login: &Login, predecessor: SessionNumber) -> bool {
        let id = self.sessions.find(predecessor).map(|session| session.record.id);
        self.holders.confirmed.contains(&predecessor) || (id.is_some() && login.session == id)
    }

    /// A session has just proven that its seat is its own.
    pub(super) fn confirm_holder(&mut self, number: SessionNumber) {
        if self.holders.are_unknown() {
            self.holders.confirmed.insert(number);
        }
    }

    /// Ends the time in which holders may be unknown, when the last that was forgotten has ended
    /// under any license that is or was here. Without one no one knows how long that takes.
    pub(super) fn forget_unknown_holders(&mut self, now: Now) {
        let Some(since) = self.holders.unknown_since.filter(|_| self.ready) else { return };
        let longest_ms = self.licenses.values().map(|installed| {
            let through_grace = License { lease: Lease::Grace, ..installed.license.clone() };
            through_grace.lease_ms(self.settings.heartbeat_timeout_ms)
        });
        let Some(longest_ms) = longest_ms.max() else { return };
        let longest_ms = self.holders.promised_ms.values().copied().fold(longest_ms, u64::max);
        if since.plus_ms(longest_ms) <= now.elapsed {
            let promised_ms = core::mem::take(&mut self.holders.promised_ms);
            self.holders = Holders { promised_ms, ..Holders::default() };
            let event = Event::HoldersUnknown { unknown: false };
            self.commit(now, vec![event], Waiting::NoOne);
        }
    }
}

/// Whether a login names the session of a grant that it shows, of this license. A probe's grant names
/// none.
fn proves_seat(login: &Login, license: &License) -> bool {
    let named = login.session.filter(|id| *id != SessionId([0; SessionId::LENGTH]));
    let mut of_license = login.witnesses.iter().filter(|witness| witness.license_id == license.id);
    named.is_some_and(|id| of_license.any(|witness| witness.session == id))
}
