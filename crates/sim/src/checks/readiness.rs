//! Nobody is let in before the server is ready.

use ve_core::node::io::Answer;

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact};

/// No grant leaves before the server knows its holders and its licenses.
pub(crate) struct Readiness;

impl Invariant for Readiness {
    fn name(&self) -> &'static str {
        "readiness"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Answered { server, answer: Answer::Granted(_), .. }
                if !books.servers[*server].ready =>
            {
                Err(format!("server {server} granted a seat before it was ready"))
            }
            _ => Ok(()),
        }
    }
}
