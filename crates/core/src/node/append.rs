//! Durability: which events wait for the ledger, and what follows when it has them or fails.

use alloc::{collections::BTreeMap, format, string::ToString, vec::Vec};

use super::{
    Asker, Node,
    event::{AppendError, BlockedRun, Event, Record, SessionRecord},
    io::{Answer, AppendId, Effect, Note, Ticket},
    sessions::{Session, State},
};
use crate::{
    id::{SessionId, SessionNumber},
    reason::{ReasonCode, Refusal},
    time::{Elapsed, Now},
};

/// Who waits for an append, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiting {
    /// No one.
    NoOne,
    /// A client, for its grant.
    Grant(Asker),
    /// A client, for the end of its session.
    Logout(Asker, SessionId),
    /// The administrator.
    Reply(Ticket, &'static str),
}

/// An append under way: its records and who waits for them.
#[derive(Debug)]
struct UnderWay {
    records: Vec<Record>,
    waiting: Waiting,
}

/// The appends of a node.
#[derive(Debug)]
pub(super) struct Appends {
    position: u64,
    last_id: AppendId,
    under_way: BTreeMap<AppendId, UnderWay>,
    decided: Vec<(AppendId, Vec<Record>)>,
    /// What must be remembered and the ledger refused to take; tried again at every review.
    unfinished: Vec<Event>,
    durable_position: u64,
    failing: bool,
}

impl Appends {
    pub(super) fn new(position: u64) -> Self {
        Self {
            position,
            last_id: 0,
            under_way: BTreeMap::new(),
            decided: Vec::new(),
            unfinished: Vec::new(),
            durable_position: position,
            failing: false,
        }
    }

    /// The position of the last record that is known to be durable.
    pub(super) fn durable_position(&self) -> u64 {
        self.durable_position
    }
}

impl Node {
    /// Stages `events` and sends them to the ledger, all or none; `waiting` is answered when they
    /// are durable.
    pub(super) fn commit(&mut self, now: Now, events: Vec<Event>, waiting: Waiting) {
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            self.stage(&event);
            self.appends.position += 1;
            records.push(Record { position: self.appends.position, at: now.wall, event });
        }
        self.appends.last_id += 1;
        let id = self.appends.last_id;
        self.appends.decided.push((id, records.clone()));
        self.appends.under_way.insert(id, UnderWay { records, waiting });
    }

    /// Appends leave in the order in which they were decided.
    pub(super) fn flush_appends(&mut self) {
        for (id, records) in core::mem::take(&mut self.appends.decided) {
            self.effects.push_back(Effect::Append { id, records });
        }
    }

    /// What must hold in memory from the decision on: seats are taken, but none becomes free.
    fn stage(&mut self, event: &Event) {
        match event {
            Event::SessionOpened(record) => {
                if let Some(predecessor) = record.replaces {
                    self.sessions.set_state(predecessor, State::Closing);
                }
                self.sessions.insert(Session { record: record.clone(), state: State::Opening });
            }
            Event::SessionClosed { number, .. } => self.sessions.set_state(*number, State::Closing),
            Event::RunBlocked(BlockedRun { host, emulator, run }) => {
                self.blocked.insert((*host, emulator.clone()), *run);
            }
            Event::LicenseSeen { license_id, version } => {
                self.versions.insert(license_id.clone(), *version);
            }
            Event::TimeMarked { .. } | Event::HoursUsed { .. } | Event::Denied(_) => {}
        }
    }

    /// Takes the outcome of an append.
    pub(super) fn appended(&mut self, now: Now, id: AppendId, outcome: Result<(), AppendError>) {
        let Some(UnderWay { records, waiting }) = self.appends.under_way.remove(&id) else {
            return;
        };
        self.note_ledger(outcome.as_ref().err());
        if let (Ok(()), Some(last)) = (&outcome, records.last()) {
            self.appends.durable_position = self.appends.durable_position.max(last.position);
        }
        let mut opened = None;
        for Record { event, .. } in records {
            if let Event::SessionOpened(session) = &event {
                opened = Some(session.number);
            }
            match &outcome {
                Ok(()) => self.apply(event),
                Err(_) => self.unstage(now, event),
            }
        }
        match outcome {
            Ok(()) => self.after_durable(now, waiting, opened),
            Err(error) => self.after_failure(waiting, &error),
        }
    }

    fn note_ledger(&mut self, error: Option<&AppendError>) {
        let note = match (error, self.appends.failing) {
            (Some(error), false) => Note::LedgerFailed(error.to_string()),
            (None, true) => Note::LedgerRecovered,
            _ => return,
        };
        self.appends.failing = error.is_some();
        self.note(note);
    }

    /// What becomes true when an event is durable; this can't fail.
    fn apply(&mut self, event: Event) {
        match event {
            Event::SessionOpened(SessionRecord { host, emulator, replaces, .. }) => {
                if let Some(predecessor) = replaces {
                    self.sessions.remove(predecessor);
                }
                self.blocked.remove(&(host, emulator));
            }
            Event::SessionClosed { number, .. } => {
                self.sessions.remove(number);
            }
            Event::HoursUsed { license_id, version, used_ms } => {
                if let Some(meter) = self.meters.get_mut(&(license_id, version)) {
                    meter.persisted(used_ms);
                }
            }
            Event::RunBlocked(_)
            | Event::LicenseSeen { .. }
            | Event::TimeMarked { .. }
            | Event::Denied(_) => {}
        }
    }

    /// What an event that did not become durable leaves behind.
    fn unstage(&mut self, now: Now, event: Event) {
        match event {
            Event::SessionOpened(record) => {
                self.sessions.remove(record.number);
                if let Some(predecessor) = record.replaces {
                    let until = self.reserved_until(predecessor, now.elapsed);
                    self.sessions.set_state(predecessor, State::Left { until });
                    self.sessions.point_emulator_at(predecessor);
                }
            }
            // A seat stays taken until the ledger has the news; marks stay up in memory.
            Event::SessionClosed { .. } | Event::LicenseSeen { .. } | Event::RunBlocked(_) => {
                self.appends.unfinished.push(event);
            }
            // Meters and the time mark are written again by the next review; a denial is no promise.
            Event::TimeMarked { .. } | Event::HoursUsed { .. } | Event::Denied(_) => {}
        }
    }

    fn after_durable(&mut self, now: Now, waiting: Waiting, opened: Option<SessionNumber>) {
        match (waiting, opened) {
            (Waiting::Grant(asker), Some(number)) => self.admit(now, asker, number),
            (Waiting::Logout(asker, session), _) => self.tell(asker, Answer::LoggedOut(session)),
            (Waiting::Reply(ticket, done), _) => {
                self.effects.push_back(Effect::Reply { ticket, outcome: Ok(done.to_string()) });
            }
            (Waiting::Grant(_) | Waiting::NoOne, _) => {}
        }
    }

    fn after_failure(&mut self, waiting: Waiting, error: &AppendError) {
        let busy =
            |consequence| Refusal::new(ReasonCode::ServerBusy, format!("{error}; {consequence}."));
        match waiting {
            Waiting::Grant(asker) => self.refuse(asker, busy("no seat was taken")),
            Waiting::Logout(asker, _) => {
                self.refuse(asker, busy("the seat becomes free when it can"))
            }
            Waiting::Reply(ticket, _) => {
                let outcome = Err(busy("it is tried again until it can"));
                self.effects.push_back(Effect::Reply { ticket, outcome });
            }
            Waiting::NoOne => {}
        }
    }

    /// Tries again to write what the ledger refused.
    pub(super) fn retry_unfinished(&mut self, now: Now) {
        let unfinished = core::mem::take(&mut self.appends.unfinished);
        if !unfinished.is_empty() {
            self.commit(now, unfinished, Waiting::NoOne);
        }
    }

    /// How long a session's seat stays reserved after its last proof of life, in milliseconds.
    pub(super) fn lease_ms(&self, number: SessionNumber) -> u64 {
        let license = self
            .sessions
            .find(number)
            .and_then(|session| self.licenses.get(&session.record.license_id));
        license.map_or(super::ORPHAN_LEASE_MS, |installed| {
            installed.license.lease_ms(self.settings.heartbeat_timeout_ms)
        })
    }

    /// Until when a session that was last heard of at `last_heard` keeps its seat.
    pub(super) fn reserved_until(&self, number: SessionNumber, last_heard: Elapsed) -> Elapsed {
        last_heard.plus_ms(self.lease_ms(number))
    }
}
