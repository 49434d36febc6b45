//! One key never runs on two machines: the second one is refused where the first can be seen.
//!
//! Seen is a machine whose session is live on an undisturbed link of the same server, or of the other
//! one while both have been in contact, undisturbed, for longer than news takes. Of two that got in
//! without contact the first may come back to its session; the other is refused at its next check.

use ve_core::node::io::Answer;

use super::{Invariant, alive::AT_PEER, books::Books};
use crate::{clock::At, fact::Fact, host_fact::short};

/// No login of a clone is granted.
pub(crate) struct Clones;

impl Invariant for Clones {
    fn name(&self) -> &'static str {
        "clones"
    }

    fn see(&mut self, books: &Books, at: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Answered { server, link, request, answer: Answer::Granted(grant), .. } = fact
        else {
            return Ok(());
        };
        let book = &books.servers[*server];
        let Some(asked) = book.asked.get(&(*link, *request)).filter(|asked| asked.is_login())
        else {
            return Ok(());
        };
        let Some((host, client)) = book.links.get(link) else { return Ok(()) };
        let place = books.hosts.place_of[*client];
        match books.other_machine(at, *server, *host, place) {
            None => Ok(()),
            Some(AT_PEER) if asked.comes_back_to(grant.session) => Ok(()),
            Some(where_else) => {
                let key = short(host);
                Err(format!(
                    "server {server} let {key} in, whose key another machine uses {where_else}"
                ))
            }
        }
    }
}
