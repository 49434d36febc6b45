//! Denials: a refused login is told so, noted and remembered, without end to none of them.

use alloc::vec;

use super::{
    Asker, Link, MAX_DENIALS_KEPT, Node,
    append::Waiting,
    event::{Denial, Event, SessionRecord},
    io::{Login, Note, Who},
};
use crate::{reason::Refusal, time::Now};

/// How many denials go to the ledger between two reviews; more of them say nothing new, and a
/// flood must not fill the disk.
pub(super) const MAX_DENIALS_WRITTEN: u32 = 100;

impl Node {
    /// Refuses a login, and remembers that.
    pub(super) fn deny(&mut self, now: Now, asker: Asker, login: &Login, refusal: Refusal) {
        if let Some(link) = self.links.get(&asker.link) {
            self.deny_with(now, asker, denial_of(link, login, refusal));
        }
    }

    /// Refuses a login that had been decided already.
    pub(super) fn deny_opened(
        &mut self,
        now: Now,
        asker: Asker,
        record: &SessionRecord,
        refusal: Refusal,
    ) {
        if self.links.contains_key(&asker.link) {
            self.deny_with(now, asker, denial_of_opened(record, refusal));
        }
    }

    fn deny_with(&mut self, now: Now, asker: Asker, denial: Denial) {
        let who = Who {
            hardware: denial.hardware.clone(),
            version: denial.version.clone(),
            address: denial.address.clone(),
            emulator: denial.emulator.clone(),
            session: None,
        };
        let refusal = denial.refusal.clone();
        self.note(Note::Refused(who, refusal.clone()));
        self.remember_denial(now, denial);
        self.refuse(asker, refusal);
    }

    fn remember_denial(&mut self, now: Now, denial: Denial) {
        if self.denials.len() == MAX_DENIALS_KEPT {
            self.denials.pop_front();
        }
        self.denials.push_back((now.wall, denial.clone()));
        // A ledger that can't be written is left to what must be written.
        if self.denials_in_review < MAX_DENIALS_WRITTEN && !self.appends.are_failing() {
            self.denials_in_review += 1;
            self.commit(now, vec![Event::Denied(denial)], Waiting::NoOne);
        }
    }
}

fn denial_of(link: &Link, login: &Login, refusal: Refusal) -> Denial {
    Denial {
        host: link.host,
        address: link.address.clone(),
        emulator: login.emulator.clone(),
        product: login.product.clone(),
        version: login.version().clone(),
        hardware: login.wanted.hardware.clone(),
        refusal,
    }
}

fn denial_of_opened(record: &SessionRecord, refusal: Refusal) -> Denial {
    Denial {
        host: record.host,
        address: record.address.clone(),
        emulator: record.emulator.clone(),
        product: record.product.clone(),
        version: record.version.clone(),
        hardware: record.hardware.clone(),
        refusal,
    }
}
