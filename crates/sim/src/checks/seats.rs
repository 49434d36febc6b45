//! Never more live seats than licensed.

use ve_core::{grant::Grant, id::LinkId, node::io::Answer, time::Elapsed};

use super::{
    Invariant,
    books::{Books, ServerBook, SessionBook},
};
use crate::{clock::At, fact::Fact};

/// Whoever gets a seat finds one that nobody holds or has reserved.
pub(crate) struct Seats;

impl Invariant for Seats {
    fn name(&self) -> &'static str {
        "seats"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Answered { server, link, answer: Answer::Granted(grant), now, .. } = fact else {
            return Ok(());
        };
        let book = &books.servers[*server];
        let terms = books.terms(&grant.license_id, grant.marks.license_version);
        let section = terms.and_then(|license| {
            license.sections.iter().find(|section| section.code == grant.product_code)
        });
        let Some(section) = section else {
            let code = &grant.product_code;
            return Err(format!("a seat of {code} was granted, which the license doesn't have"));
        };
        if book.sessions.get(&grant.session).is_some_and(SessionBook::was_granted) {
            return Ok(());
        }
        let others = held_by_others(book, *link, grant, now.elapsed);
        if others < section.instances as usize {
            return Ok(());
        }
        Err(format!(
            "server {server} granted a seat of {} although {others} of {} are held",
            grant.product_code, section.instances
        ))
    }
}

/// How many seats of the grant's section others hold.
fn held_by_others(book: &ServerBook, link: LinkId, grant: &Grant, now: Elapsed) -> usize {
    let host = book.links.get(&link).map(|(host, _)| *host);
    let own = book.sessions.get(&grant.session);
    let same = |id: &_| {
        book.sessions
            .get(id)
            .zip(own)
            .is_some_and(|(one, own)| host == Some(one.host) && one.emulator == own.emulator)
    };
    book.sessions
        .iter()
        .filter(|(id, session)| {
            session.license_id == grant.license_id
                && session.product_code == grant.product_code
                && session.blocks_seat(now)
                && !same(id)
        })
        .count()
}
