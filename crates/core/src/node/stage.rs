//! The three phases of an event: staged when it is decided, applied when it is durable, unstaged
//! when the ledger refused it.

use super::{
    Node,
    event::{BlockedRun, Event, SessionRecord},
    sessions::{Session, State},
};
use crate::{id::SessionNumber, time::Now};

impl Node {
    /// What must hold in memory from the decision on: seats are taken, but none becomes free.
    /// Returns what a predecessor was before it had to give way.
    pub(super) fn stage(&mut self, event: &Event) -> Option<State> {
        match event {
            Event::SessionOpened(record) => return self.stage_opened(record),
            Event::SessionClosed { number, .. } => self.sessions.set_state(*number, State::Closing),
            Event::RunBlocked(BlockedRun { host, emulator, run }) => {
                self.blocked.insert((*host, emulator.clone()), *run);
            }
            // An event that was refused once may be overtaken by a later one of its kind.
            Event::LicenseSeen { license_id, version } => {
                let seen = self.versions.entry(license_id.clone()).or_default();
                *seen = (*seen).max(*version);
            }
            Event::SessionPlaced { number, section, product_code } => {
                self.sessions.set_section(*number, *section, product_code.clone());
            }
            Event::HostsHomed { .. } => self.homed_decided(),
            // A promise is made when it is durable; until then no one has heard of it.
            Event::SessionPromised { .. }
            | Event::HoldersUnknown { .. }
            | Event::TimeMarked { .. }
            | Event::HoursUsed { .. }
            | Event::HostRegistered { .. }
            | Event::HostRetired { .. }
            | Event::Denied(_) => {}
        }
        None
    }

    fn stage_opened(&mut self, record: &SessionRecord) -> Option<State> {
        let predecessor = record.replaces.and_then(|number| self.sessions.find(number));
        let replaced = predecessor.map(|session| (session.record.number, session.state));
        if let Some((number, _)) = replaced {
            self.sessions.set_state(number, State::Closing);
        }
        self.sessions.insert(Session::new(record.clone(), State::Opening));
        replaced.map(|(_, state)| state)
    }

    /// What becomes true when an event is durable; this can't fail.
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::SessionOpened(SessionRecord { host, emulator, replaces, .. }) => {
                if let Some(predecessor) = replaces {
                    self.remove_session(predecessor);
                }
                self.blocked.remove(&(host, emulator));
            }
            Event::SessionClosed { number, .. } => self.remove_session(number),
            Event::HoursUsed { license_id, version, used_ms, .. } => {
                if let Some(meter) = self.meters.get_mut(&(license_id, version)) {
                    meter.persisted(used_ms);
                }
            }
            Event::SessionPromised { number, lease_ms, through_grace } => {
                self.sessions.promise(number, lease_ms, through_grace);
            }
            Event::HostRetired { host, here: true, .. } => self.retirement_recorded(host),
            Event::HostsHomed { home, count } => self.homed_written(home, Some(count)),
            Event::RunBlocked(_)
            | Event::LicenseSeen { .. }
            | Event::SessionPlaced { .. }
            | Event::HoldersUnknown { .. }
            | Event::TimeMarked { .. }
            | Event::HostRegistered { .. }
            | Event::HostRetired { .. }
            | Event::Denied(_) => {}
        }
    }

    fn remove_session(&mut self, number: SessionNumber) {
        let ended = self.sessions.remove(number);
        self.holders.forget(number);
        if let Some(ended) = ended {
            self.leave_instance(ended.record.host);
        }
    }

    /// What an event that did not become durable leaves behind.
    pub(super) fn unstage(&mut self, now: Now, event: Event, replaced: Option<State>) {
        match event {
            Event::SessionOpened(record) => {
                self.overtaken.remove(&record.number);
                self.sessions.remove(record.number);
                if let Some(predecessor) = record.replaces {
                    self.restore(now, predecessor, replaced);
                }
                self.leave_instance(record.host);
            }
            // A seat stays taken until the ledger has the news; marks stay up in memory.
            Event::SessionClosed { .. }
            | Event::SessionPlaced { .. }
            | Event::LicenseSeen { .. }
            | Event::HoldersUnknown { .. }
            | Event::HostRegistered { .. }
            | Event::RunBlocked(_) => self.appends.keep(event),
            Event::HostRetired { host, here: true, .. } => {
                if self.retirement_delayed(host) {
                    self.appends.keep(event);
                }
            }
            Event::HostsHomed { home, .. } => self.homed_written(home, None),
            // Meters and the time mark are written again by the next review, a promise that was not
            // made is no promise, and a denial is none either. What the peer has retired is decided
            // anew as long as the peer's change is not taken.
            Event::HostRetired { here: false, .. }
            | Event::SessionPromised { .. }
            | Event::TimeMarked { .. }
            | Event::HoursUsed { .. }
            | Event::Denied(_) => {}
        }
    }

    /// Gives a session its seat back that no successor took over after all: for as long as it was
    /// reserved before, and if its license still covers it.
    fn restore(&mut self, now: Now, number: SessionNumber, replaced: Option<State>) {
        self.sessions.point_emulator_at(number);
        let Some(state @ (State::Left { .. } | State::Held { .. })) = replaced else {
            return; // It was ending by itself, and still is.
        };
        self.sessions.set_state(number, state);
        let license = self.sessions.find(number).map(|session| &session.record.license_id);
        if license.is_none_or(|id| !self.licenses.contains_key(id)) {
            return; // Without its license no one can use its seat, nor say how long to hold it.
        }
        self.count_lease(now, number);
        if let Err(refusal) = self.still_stands(now, number) {
            self.revoke(now, number, &refusal);
        }
    }
}
