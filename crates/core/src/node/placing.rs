//! Where the sessions of a license stand in a new version of it.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    Node,
    event::SessionRecord,
    sessions::{Session, State},
};
use crate::{
    id::SessionNumber,
    license::{License, Mode, ProductSection},
    reason::{ReasonCode, Refusal},
    select::{Candidate, instances_in_use, still_covered},
    time::{Now, Utc},
};

/// What installing a license would do to the sessions of its predecessor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// How many go on and notice nothing.
    pub kept: usize,
    /// Which would be revoked, and why.
    pub revoked: Vec<(SessionNumber, Refusal)>,
}

/// Where the sessions of a license would stand under it.
#[derive(Debug, Default)]
pub(super) struct Placing {
    /// Each session's section.
    pub(super) placed: Vec<(SessionNumber, usize)>,
    /// The sessions that it has no seat for, and why.
    pub(super) refused: Vec<(SessionNumber, Refusal)>,
    /// Where the seats of refused sessions count as long as they stay reserved.
    pub(super) reserved: Vec<(SessionNumber, usize)>,
}

impl Node {
    /// Finds every session of this license's ID its section. `before` is the version that they have
    /// their seats from, if it is known.
    pub(super) fn place_sessions(
        &self,
        now: Now,
        license: &License,
        before: Option<&License>,
    ) -> Placing {
        let mut seats =
            Seats { license, before, judged: self.time_mark.judged(now), taken: <_>::default() };
        let mut placing = Placing::default();
        let mut sessions: Vec<&Session> = self.sessions.of_license(&license.id).collect();
        // The oldest keep their seats; an excess is taken from the newest.
        sessions.sort_by_key(|session| session.record.number);
        for session in sessions {
            let number = session.record.number;
            match seats.place(&session.record, self.claims_seat(session)) {
                Ok(section) => placing.placed.push((number, section)),
                Err(refusal) => {
                    placing.refused.push((number, refusal));
                    let own = seats.own_section(&session.record);
                    placing.reserved.extend(own.map(|section| (number, section)));
                }
            }
        }
        placing
    }

    /// What installing `license` would do to the sessions, without doing it.
    pub fn preview_install(&self, now: Now, license: &License) -> Preview {
        let before = self.licenses.get(&license.id).map(|installed| &installed.license);
        let mut placing = self.place_sessions(now, license, before);
        if let Err(refusal) = self.standing(now, license) {
            let all = core::mem::take(&mut placing.placed);
            placing.refused.extend(all.into_iter().map(|(number, _)| (number, refusal.clone())));
        }
        for (number, refusal) in self.would_lose_instance(license) {
            let placed = placing.placed.iter().position(|(placed, _)| *placed == number);
            if let Some(index) = placed {
                placing.placed.swap_remove(index);
                placing.refused.push((number, refusal));
            }
        }
        let goes_on = |number: &SessionNumber| {
            let state = self.sessions.find(*number).map(|session| session.state);
            state.is_some_and(|state| !matches!(state, State::Closing | State::Held { .. }))
        };
        let kept = placing.placed.iter().filter(|(number, _)| goes_on(number)).count();
        placing.refused.retain(|(number, _)| goes_on(number));
        Preview { kept, revoked: placing.refused }
    }

    /// Whether a session wants to keep its seat. One that is ending only waits for the ledger.
    fn claims_seat(&self, session: &Session) -> bool {
        session.state != State::Closing && !self.overtaken.contains_key(&session.record.number)
    }

    /// Whether a session that was about to be replaced may keep its seat after all.
    pub(super) fn still_stands(&self, now: Now, number: SessionNumber) -> Result<(), Refusal> {
        let Some(session) = self.sessions.find(number) else { return Ok(()) };
        let (license, section) = self.section_of(session)?;
        self.may_go_on(now, license, session)?;
        let key = (license.id.clone(), session.record.section);
        if license.mode == Mode::AutoVe {
            return Ok(());
        }
        let claims = self.sessions.in_section(&key).filter(|session| self.claims_seat(session));
        if claims.count() > section.instances as usize {
            return Err(Refusal::new(ReasonCode::InstanceLimit, instances_in_use(section)));
        }
        Ok(())
    }
}

/// The seats of a license, while they are given out anew.
struct Seats<'a> {
    license: &'a License,
    before: Option<&'a License>,
    judged: Utc,
    taken: BTreeMap<usize, u32>,
}

impl Seats<'_> {
    /// The section that goes on serving a session: the one in the same place, else the first of the
    /// same product code, else any that covers it and has a seat. One that `counts` takes the seat.
    fn place(&mut self, record: &SessionRecord, counts: bool) -> Result<usize, Refusal> {
        let mut first_refusal = None;
        for index in self.order(record) {
            match self.covers(index, record, counts) {
                Ok(()) => {
                    *self.taken.entry(index).or_default() += u32::from(counts);
                    return Ok(index);
                }
                Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
            }
        }
        Err(first_refusal.unwrap_or_else(|| {
            let sentence = alloc::format!("license {} has no section for it.", self.license.id);
            Refusal::new(ReasonCode::HardwareNotLicensed, sentence)
        }))
    }

    /// The section of a session's own product, whether it covers the session or not.
    fn own_section(&self, record: &SessionRecord) -> Option<usize> {
        let sections = self.license.sections.iter().enumerate();
        let same_code = sections.filter(|(_, section)| section.code == record.product_code);
        same_code.map(|(index, _)| index).min_by_key(|index| (*index != record.section, *index))
    }

    /// The sections that may serve a session, the closest to its own first.
    fn order(&self, record: &SessionRecord) -> Vec<usize> {
        let opener = self.before.and_then(|license| license.sections.get(record.section));
        let distance = |index: usize, section: &ProductSection| {
            let same_code = section.code == record.product_code;
            (!(same_code && index == record.section), !same_code, index)
        };
        let mut order: Vec<(bool, bool, usize)> = self
            .license
            .sections
            .iter()
            .enumerate()
            .map(|(index, section)| (distance(index, section), section))
            .filter(|((elsewhere, other_code, _), section)| {
                !elsewhere || opens(section, opener, *other_code)
            })
            .map(|(distance, _)| distance)
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, _, index)| index).collect()
    }

    fn covers(&self, index: usize, record: &SessionRecord, counts: bool) -> Result<(), Refusal> {
        let section = &self.license.sections[index];
        let taken = self.taken.get(&index).copied().unwrap_or(0);
        let free_seats = section.instances.saturating_sub(taken);
        let license = self.license;
        let candidate =
            Candidate { license, index, hours_left: true, free_seats, holders_unknown_ms: None };
        still_covered(&candidate, &record.wanted(), self.judged)?;
        // In AutoVE mode its host's instance is the seat.
        if counts && free_seats == 0 && license.mode == Mode::General {
            return Err(Refusal::new(ReasonCode::InstanceLimit, instances_in_use(section)));
        }
        Ok(())
    }
}

/// Whether a session may move to `section`: only if what opened its own (`opener`) opens that as
/// well. Where its own is not known any more, to one of the same product, or one without passphrase.
fn opens(section: &ProductSection, opener: Option<&ProductSection>, other_code: bool) -> bool {
    match opener {
        Some(opener) => section.passphrase == opener.passphrase,
        None => !other_code || section.passphrase.is_none(),
    }
}
