//! No guest runs past its grace period, and none is stopped before its end.

use super::{
    Invariant,
    books::{Books, GuestBook},
};
use crate::{clock::At, fact::Fact};

/// How much later than its end a stop may come, in milliseconds, where nothing is asleep.
const SLACK_MS: u64 = 500;

/// The end of the grace period is the end, and nothing harder comes before it.
pub(crate) struct GraceEnd;

impl Invariant for GraceEnd {
    fn name(&self) -> &'static str {
        "grace_end"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GuestStopped { client, now } => {
                let book = &books.clients[*client];
                if book.stop_wanted {
                    return Ok(());
                }
                match book.grace.end() {
                    Some(end) if now.elapsed.plus_ms(2) >= end => Ok(()),
                    Some(end) => Err(format!(
                        "guest {client} was stopped at {}, before the end of its grace period at {}",
                        now.elapsed.0, end.0
                    )),
                    None => Err(format!("guest {client} was stopped although it is licensed")),
                }
            }
            Fact::Watched { client, now } => {
                let book = &books.clients[*client];
                let runs = matches!(book.guest, GuestBook::Runs | GuestBook::Asked);
                match book.grace.end().filter(|_| runs && book.runs()) {
                    Some(end) if now.elapsed > end.plus_ms(SLACK_MS) => Err(format!(
                        "guest {client} runs at {}, and its grace period ended at {}",
                        now.elapsed.0, end.0
                    )),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
