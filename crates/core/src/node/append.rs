//! Durability: which events wait for the ledger, and what follows when it has them or fails.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{
    Asker, Node,
    event::{AppendError, Event, Record, SessionRecord},
    io::{Answer, AppendId, Effect, Note, Ticket},
    sessions::State,
};
use crate::{
    id::SessionId,
    reason::{ReasonCode, Refusal},
    time::Now,
};

/// Who waits for an append, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// What the predecessor of an opened session was before it had to give way.
    replaced: Option<State>,
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

    /// Whether the last append that is known of has failed.
    pub(super) fn are_failing(&self) -> bool {
        self.failing
    }

    /// Keeps an event that the ledger refused, for another try.
    pub(super) fn keep(&mut self, event: Event) {
        self.unfinished.push(event);
    }
}

impl Node {
    /// Stages `events` and sends them to the ledger, all or none; `waiting` is answered when they
    /// are durable.
    pub(super) fn commit(&mut self, now: Now, events: Vec<Event>, waiting: Waiting) {
        let mut records = Vec::with_capacity(events.len());
        let mut replaced = None;
        for event in events {
            replaced = self.stage(&event).or(replaced);
            self.appends.position += 1;
            records.push(Record { position: self.appends.position, at: now.wall, event });
        }
        self.appends.last_id += 1;
        let id = self.appends.last_id;
        self.appends.decided.push((id, records.clone()));
        self.appends.under_way.insert(id, UnderWay { records, waiting, replaced });
    }

    /// Appends leave in the order in which they were decided.
    pub(super) fn flush_appends(&mut self) {
        for (id, records) in core::mem::take(&mut self.appends.decided) {
            self.effects.push_back(Effect::Append { id, records });
        }
    }

    /// Takes the outcome of an append.
    pub(super) fn appended(&mut self, now: Now, id: AppendId, outcome: Result<(), AppendError>) {
        let Some(under_way) = self.appends.under_way.remove(&id) else { return };
        self.note_ledger(outcome.as_ref().err());
        if let Waiting::Grant(asker) = under_way.waiting {
            self.count_login_decided(asker.link);
        }
        match outcome {
            Ok(()) => self.become_durable(now, under_way),
            Err(error) => self.come_to_nothing(now, under_way, &error),
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

    fn become_durable(&mut self, now: Now, UnderWay { records, waiting, .. }: UnderWay) {
        if let Some(last) = records.last() {
            self.appends.durable_position = self.appends.durable_position.max(last.position);
        }
        let opened = opened_session(&records);
        for record in records {
            self.apply(record.event);
        }
        match (waiting, opened) {
            (Waiting::Grant(asker), Some(session)) => self.admit(now, asker, &session),
            (Waiting::Logout(asker, session), _) => self.tell(asker, Answer::LoggedOut(session)),
            (Waiting::Reply(ticket, done), _) => self.reply(ticket, Ok(done.to_string())),
            (Waiting::Grant(_) | Waiting::NoOne, _) => {}
        }
    }

    fn come_to_nothing(
        &mut self,
        now: Now,
        UnderWay { records, waiting, replaced }: UnderWay,
        error: &AppendError,
    ) {
        let opened = opened_session(&records);
        for record in records {
            self.unstage(now, record.event, replaced);
        }
        let busy =
            |consequence| Refusal::new(ReasonCode::ServerBusy, format!("{error}; {consequence}."));
        match (waiting, opened) {
            (Waiting::Grant(asker), Some(session)) => {
                self.turn_away(now, asker, &session, busy("no seat was taken"));
            }
            (Waiting::Logout(asker, _), _) => {
                self.refuse(asker, busy("the seat becomes free when it can"));
            }
            (Waiting::Reply(ticket, _), _) => {
                self.reply(ticket, Err(busy("it is tried again until it can")));
            }
            (Waiting::Grant(_) | Waiting::NoOne, _) => {}
        }
    }

    pub(super) fn reply(&mut self, ticket: Ticket, outcome: Result<String, Refusal>) {
        self.effects.push_back(Effect::Reply { ticket, outcome });
    }

    /// Tries again to write what the ledger refused, unless it has become true by itself.
    pub(super) fn retry_unfinished(&mut self, now: Now) {
        let mut unfinished = core::mem::take(&mut self.appends.unfinished);
        unfinished.retain(|event| match event {
            // A successor took the seat over, and the ledger knows.
            Event::SessionClosed { number, .. } => self.sessions.find(*number).is_some(),
            _ => true,
        });
        if !unfinished.is_empty() {
            self.commit(now, unfinished, Waiting::NoOne);
        }
    }
}

fn opened_session(records: &[Record]) -> Option<SessionRecord> {
    records.iter().find_map(|record| match &record.event {
        Event::SessionOpened(session) => Some(session.clone()),
        _ => None,
    })
}
