//! Durability: which events wait for the ledger, and what follows when it has them or fails.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::{
    Asker, Node,
    event::{AppendError, Event, Record, SessionRecord},
    io::{Answer, AppendId, Durable, Effect, Note, Ticket},
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
    /// A client, for a grant that promises more than any before.
    Promise(Asker, SessionId),
    /// The peer's changes, of which these are the retirements.
    PeerRetired,
    /// The administrator.
    Reply(Ticket, &'static str),
    /// The administrator, for the rest of an import.
    Import(Ticket),
    /// The rest of what the ledger hears of an import.
    Audit,
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

    /// Continues above `position`, which some client has seen. It was durable once, so no grant says
    /// less from now on: a weaker one would take the place of what its client has to show.
    pub(super) fn go_on_above(&mut self, position: u64) {
        self.position = self.position.max(position);
        self.durable_position = self.durable_position.max(position);
    }

    /// The append that was decided last.
    pub(super) fn last_id(&self) -> AppendId {
        self.last_id
    }

    /// The oldest append whose outcome is not known.
    pub(super) fn first_under_way(&self) -> Option<AppendId> {
        self.under_way.first_key_value().map(|(id, _)| *id)
    }

    /// Whether something is to be tried again.
    pub(super) fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
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
    pub(super) fn appended(
        &mut self,
        now: Now,
        id: AppendId,
        outcome: Result<Durable, AppendError>,
    ) {
        let Some(under_way) = self.appends.under_way.remove(&id) else { return };
        self.note_ledger(&outcome);
        let failed = outcome.is_err();
        if let Waiting::Grant(asker) = under_way.waiting {
            self.count_login_decided(asker.link);
        }
        match outcome {
            Ok(durable) => self.become_durable(now, under_way, durable),
            Err(error) => self.come_to_nothing(now, under_way, &error),
        }
        self.tell_questions(id, failed);
    }

    /// A ledger whose marks are kept in the reserve fails all the same.
    fn note_ledger(&mut self, outcome: &Result<Durable, AppendError>) {
        let fails = *outcome != Ok(Durable::Ledger);
        if core::mem::replace(&mut self.appends.failing, fails) == fails {
            return;
        }
        self.note(match outcome {
            Ok(Durable::Ledger) => Note::LedgerRecovered,
            Ok(Durable::Reserve) => Note::LedgerFailed(String::from(
                "it takes nothing; hours and other marks are kept in the reserve",
            )),
            Err(error) => Note::LedgerFailed(error.0.clone()),
        });
    }

    fn become_durable(
        &mut self,
        now: Now,
        UnderWay { records, waiting, .. }: UnderWay,
        durable: Durable,
    ) {
        if let Some(last) = records.last().filter(|_| durable == Durable::Ledger) {
            self.appends.durable_position = self.appends.durable_position.max(last.position);
        }
        let opened = opened_session(&records);
        for record in records {
            self.apply(record.event);
        }
        match (waiting, opened) {
            (Waiting::Grant(asker), Some(session)) => self.admit(now, asker, &session),
            (Waiting::Logout(asker, session), _) => self.tell(asker, Answer::LoggedOut(session)),
            // Asked anew: the session may have ended meanwhile, or been promised still more.
            (Waiting::Promise(asker, session), _) => self.check(now, asker, session),
            (Waiting::Reply(ticket, done), _) => self.reply(ticket, Ok(done.to_string())),
            (Waiting::Import(ticket), _) => self.import_recorded(now, ticket),
            (Waiting::PeerRetired, _) => self.retirements_written(now, true),
            (Waiting::Audit, _) => self.audited(now),
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
            (Waiting::Promise(asker, session), _) => self.grant_as_promised(now, asker, session),
            (Waiting::Reply(ticket, _), _) => {
                self.reply(ticket, Err(busy("it is tried again until it can")));
            }
            (Waiting::Import(ticket), _) => self.import_failed(ticket, error),
            (Waiting::PeerRetired, _) => self.retirements_written(now, false),
            (Waiting::Audit, _) => self.audited(now),
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
            // The seat is free or was moved on.
            Event::SessionPlaced { number, section, .. } => {
                let session = self.sessions.find(*number);
                session.is_some_and(|session| session.record.section == *section)
            }
            Event::HoldersUnknown { unknown } => *unknown == self.holders.are_unknown(),
            _ => true,
        });
        // Each mark on its own: a reserve takes them, and nothing else.
        let is_mark = |event: &Event| matches!(event, Event::LicenseSeen { .. });
        let (marks, others): (Vec<_>, Vec<_>) = unfinished.into_iter().partition(is_mark);
        for events in marks.into_iter().map(|mark| vec![mark]).chain([others]) {
            if !events.is_empty() {
                self.commit(now, events, Waiting::NoOne);
            }
        }
    }
}

fn opened_session(records: &[Record]) -> Option<SessionRecord> {
    records.iter().find_map(|record| match &record.event {
        Event::SessionOpened(session) => Some(session.clone()),
        _ => None,
    })
}
