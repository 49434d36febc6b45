//! Sending the peer what it has asked for: durable changes only, in the order of their numbers, and
//! never more at a time than the window allows. The window is a link's, whatever is asked for anew
//! there: the other side counts what comes, and can't know what it was sent for.

use alloc::vec::Vec;

use super::{MAX_CHANGES, Node, PeerMessage, WINDOW, misspoken};
use crate::{
    id::LinkId,
    reason::Refusal,
    registry::{HostEntry, Position, Span, changes::MAX_SPANS},
    time::{Elapsed, Now},
};

/// What the peer has asked for over a link.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// More than that of every pull before.
    heard: u64,
    after: Option<Position>,
    spans: Vec<Span>,
    last: u64,
}

/// The pull that is being answered.
#[derive(Debug)]
pub(super) struct Offer {
    link: LinkId,
    /// What the peer said that it has itself.
    spans: Vec<Span>,
    their_last: u64,
    /// Up to which number was looked at, and up to which the peer was told.
    cursor: u64,
    told: u64,
    /// The number of the last durable change when the peer asked: it waits to hear of that, even if
    /// there is nothing in it that it doesn't have.
    awaited: u64,
    /// Whether anything was sent: even if there is no news at all, the peer hears that.
    has_answered: bool,
    /// Up to which number the peer has everything durably.
    taken: u64,
    behind_since: Option<Elapsed>,
}

impl Offer {
    /// The peer has made changes up to here, so it has those that came from it.
    pub(super) fn hear_last(&mut self, last: u64) {
        self.their_last = self.their_last.max(last);
    }

    /// Where it is answered.
    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    /// Up to which number the peer has everything durably.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) fn behind_since(&self) -> Option<Elapsed> {
        self.behind_since
    }

    /// Nothing is missing any more, if the peer has all that there is.
    fn catch_up(&mut self, durable: u64) {
        if self.taken >= self.told && self.cursor >= durable {
            self.behind_since = None;
        }
    }
}

impl Node {
    pub(super) fn hear_pull(
        &mut self,
        now: Now,
        link: LinkId,
        after: Option<Position>,
        spans: Vec<Span>,
        last: u64,
    ) -> Result<(), Refusal> {
        if spans.is_empty() || spans.len() > MAX_SPANS {
            return Err(misspoken("a pull names no spans, or too many"));
        }
        let wanted = Wanted { heard: self.peers.next_count(), after, spans, last };
        if let Some(speaker) = self.peers.links.get_mut(&link) {
            speaker.wanted = Some(wanted);
        }
        self.answer_pull(now, link);
        if last == 0 {
            self.hear_of_nothing(now);
        }
        Ok(())
    }

    /// Begins to answer what was asked for last over this link; that ends whatever was before.
    fn answer_pull(&mut self, now: Now, link: LinkId) {
        let wanted = self.peers.links.get(&link).and_then(|peer| peer.wanted.clone());
        let Some(Wanted { after, spans, last, .. }) = wanted else { return };
        let from = self.hosts.registry.resume_after(after);
        self.peers.offer = Some(Offer {
            link,
            spans,
            their_last: last,
            cursor: from,
            told: from,
            awaited: self.enrolls.durable_number(),
            has_answered: false,
            taken: from,
            behind_since: None,
        });
        self.tell_all_present();
        self.offer_changes(now);
    }

    /// What was being sent over a link that is gone is lost: what was asked for before that over
    /// another link is answered again.
    pub(super) fn lose_offer(&mut self, now: Now, link: LinkId) {
        if self.peers.offer.as_ref().is_none_or(|offer| offer.link != link) {
            return;
        }
        self.peers.offer = None;
        let asked = |(link, peer): (&LinkId, &super::PeerLink)| {
            peer.wanted.as_ref().map(|wanted| (wanted.heard, *link))
        };
        if let Some((_, other)) = self.peers.links.iter().filter_map(asked).max() {
            self.answer_pull(now, other);
        }
    }

    /// Sends the peer what is new and durable, as far as its window allows.
    pub(in crate::node) fn offer_changes(&mut self, now: Now) {
        while let Some((link, message)) = self.next_changes(false) {
            self.say(link, message);
        }
        let durable = self.enrolls.durable_number();
        if let Some(offer) = &mut self.peers.offer
            && (offer.told > offer.taken || offer.cursor < durable)
        {
            offer.behind_since.get_or_insert(now.elapsed);
        }
    }

    /// Tells the peer up to where it has everything, though there is nothing else to say.
    pub(super) fn offer_rest(&mut self) {
        if let Some((link, message)) = self.next_changes(true) {
            self.say(link, message);
        }
    }

    /// The next message for the peer, if there is one and its window has room. Numbers in which there
    /// is no news for it are passed over in silence, unless it waits for them or `tell_rest`.
    fn next_changes(&mut self, tell_rest: bool) -> Option<(LinkId, PeerMessage)> {
        let durable = self.enrolls.durable_number();
        let offer = self.peers.offer.as_mut()?;
        let unacknowledged = &mut self.peers.links.get_mut(&offer.link)?.unacknowledged;
        if unacknowledged.len() >= WINDOW {
            return None;
        }
        let through = self.enrolls.settled_through(offer.cursor);
        let mut entries: Vec<HostEntry> = Vec::new();
        if offer.cursor < through {
            let registry = &self.hosts.registry;
            let news = registry.changes(offer.cursor, through, &offer.spans, offer.their_last);
            let mut last = through;
            for (number, entry) in news.take(MAX_CHANGES) {
                entries.push(entry.clone());
                last = if entries.len() == MAX_CHANGES { number } else { through };
            }
            offer.cursor = last;
        }
        let is_awaited = (offer.told < offer.awaited || tell_rest) && offer.told < offer.cursor;
        let is_first = !offer.has_answered && durable > 0;
        if entries.is_empty() && !is_awaited && !is_first {
            offer.catch_up(durable);
            return None;
        }
        offer.has_answered = true;
        offer.told = offer.cursor;
        let upto = self.hosts.registry.position(offer.told).or_else(|| {
            // Older than all spans that are remembered, each of which has it.
            let span = self.hosts.registry.spans().first()?.id;
            Some(Position { span, number: offer.told })
        })?;
        unacknowledged.push_back(upto);
        Some((offer.link, PeerMessage::Changes { entries, upto, last: durable }))
    }

    /// The peer has something durably, and everything that it was sent over this link before that.
    pub(super) fn hear_taken(
        &mut self,
        now: Now,
        link: LinkId,
        upto: Position,
    ) -> Result<(), Refusal> {
        if upto.number > self.hosts.registry.last_number() {
            return Err(misspoken("it has taken what it was not sent"));
        }
        let durable = self.enrolls.durable_number();
        let Some(speaker) = self.peers.links.get_mut(&link) else { return Ok(()) };
        if let Some(index) = speaker.unacknowledged.iter().position(|sent| *sent == upto) {
            speaker.unacknowledged.drain(..=index);
            if let Some(offer) = self.peers.offer.as_mut().filter(|offer| offer.link == link) {
                offer.taken = offer.taken.max(upto.number.min(offer.told));
                offer.catch_up(durable);
            }
        }
        self.offer_changes(now);
        Ok(())
    }
}
