//! Settling: telling someone when all that was decided before the question is durable.

use alloc::{string::String, vec::Vec};

use super::{
    Node,
    io::{AppendId, EnrollId, Ticket},
};
use crate::reason::{ReasonCode, Refusal};

/// A question that waits.
#[derive(Debug)]
struct Question {
    ticket: Ticket,
    /// The last append that it asks about.
    last: AppendId,
    /// The last change of the registry that it asks about.
    last_enrolled: EnrollId,
    failed: bool,
}

/// The questions that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Questions(Vec<Question>);

impl Node {
    /// Answers when everything that was decided so far is durable, or something of it has failed.
    pub(super) fn settle_all(&mut self, ticket: Ticket) {
        let question = Question {
            ticket,
            last: self.appends.last_id(),
            last_enrolled: self.enrolls.last_id(),
            failed: self.appends.has_unfinished(),
        };
        self.questions.0.push(question);
        self.answer_settled();
    }

    /// The outcome of an append is known.
    pub(super) fn tell_questions(&mut self, id: AppendId, failed: bool) {
        let concerned = self.questions.0.iter_mut().filter(|question| id <= question.last);
        concerned.for_each(|question| question.failed |= failed);
        self.answer_settled();
    }

    /// The outcome of a change of the registry is known.
    pub(super) fn tell_enrolled(&mut self, id: EnrollId, failed: bool) {
        let concerned = self.questions.0.iter_mut();
        let concerned = concerned.filter(|question| id <= question.last_enrolled);
        concerned.for_each(|question| question.failed |= failed);
        self.answer_settled();
    }

    fn answer_settled(&mut self) {
        let first = self.appends.first_under_way();
        let first_enrolled = self.enrolls.first_under_way();
        let waits = |question: &Question| {
            let appends = first.is_some_and(|first| first <= question.last);
            let enrolls = first_enrolled.is_some_and(|first| first <= question.last_enrolled);
            !question.failed && (appends || enrolls)
        };
        let (waiting, settled): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.questions.0).into_iter().partition(waits);
        self.questions.0 = waiting;
        for Question { ticket, failed, .. } in settled {
            let busy = || {
                let sentence =
                    "not everything could be written down; it is tried again until it can.";
                Refusal::new(ReasonCode::ServerBusy, sentence)
            };
            self.reply(ticket, if failed { Err(busy()) } else { Ok(String::new()) });
        }
    }
}
