//! The peer: who it is, what it has, and whether it could carry this server's hosts.
//!
//! Two servers may be joined by several links at once, as either may dial. Which link something
//! came over never matters: each side pulls over the link that was opened last, is answered there,
//! and hears on all. When a link is lost, what was on its way there may be lost, so whoever pulls
//! begins anew from what is durable.
//!
//! - [`message`]: what two peers say to each other.
//! - `recognition`: who may be a peer; `contact`: the links, and how the peer stands.
//! - `pulling`, `taking`, `merging`: what this server takes from the peer; `offering`: what it sends there.
//! - `pace`: how fast it may talk.
//! - `presence`, `news`: which hosts have emulators at the peer, and what the peer hears of ours.
//! - `view`: what the lists show.

use alloc::{collections::BTreeMap, format};

mod contact;
mod merging;
mod message;
mod news;
mod offering;
mod pace;
mod presence;
mod pulling;
mod recognition;
pub(super) mod taking;
mod view;

use self::{
    contact::{Contact, PeerLink},
    news::News,
    offering::Offer,
    pace::Pace,
    presence::Present,
    pulling::Pulling,
};
use super::{
    Node,
    io::{Effect, Note},
};
use crate::{
    id::{HostKey, LicenseId, LinkId},
    license::{Credential, Verified},
    reason::{ReasonCode, Refusal},
    registry::{KnownPeer, RememberedHosts},
    text::Name,
    time::{Elapsed, Now},
};

pub use message::{
    MAX_CHANGES, MAX_PRESENCES, PeerFailure, PeerMessage, PeerStatus, Presence, WINDOW,
};
pub use view::{Lag, PeerState, PeerView};

/// The most links to a peer that are open at once: one that each side dials, and as many that have
/// died without anyone's notice.
pub const MAX_PEER_LINKS: usize = 4;

/// What a node knows of its peer.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// The peer as it was known last, and whether `instances.db` knows that, too.
    known: Option<KnownPeer>,
    known_is_durable: bool,
    links: BTreeMap<LinkId, PeerLink>,
    /// Counted up with every link and every pull: what is later has more.
    count: u64,
    contact: Option<Contact>,
    /// Why there is no contact, as far as the log was told.
    failure: Option<PeerFailure>,
    pulling: Pulling,
    offer: Option<Offer>,
    present: Present,
    news: News,
    pace: Pace,
}

impl Peers {
    pub(super) fn new(remembered: &RememberedHosts) -> Self {
        Self {
            known: remembered.peer.clone(),
            known_is_durable: true,
            pulling: Pulling::new(remembered.pulled),
            ..Self::default()
        }
    }

    /// The peer's license, known from now or from before.
    pub(super) fn license_id(&self) -> Option<&LicenseId> {
        self.known.as_ref().map(|known| &known.license_id)
    }

    /// How many instances the peer's license has, known from now or from before.
    pub(super) fn instances(&self) -> Option<u32> {
        self.known.as_ref().map(|known| known.instances)
    }

    /// How the peer stands, while it is in contact.
    pub(super) fn in_contact(&self) -> Option<&PeerStatus> {
        self.contact.as_ref().map(|contact| &contact.status)
    }

    /// Whether everything that the peer had when contact began is in this registry.
    pub(super) fn is_in_step(&self) -> bool {
        self.contact.is_some() && self.pulling.is_in_step()
    }

    /// Where a host has emulators at the peer, while that is in contact.
    pub(super) fn presence(&self, host: HostKey) -> Option<&Presence> {
        self.present.find(host)
    }

    /// When the peer is to hear something that can wait until then.
    pub(super) fn deadline(&self) -> Option<Elapsed> {
        self.news.due()
    }

    fn next_count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

impl Node {
    /// A server wants to be the peer, or was asked to be.
    pub(super) fn open_peer(
        &mut self,
        now: Now,
        link: LinkId,
        peer: Verified<Credential>,
        address: Name,
        dialed: bool,
    ) {
        let credential = peer.into_inner();
        let opened = self.peers.next_count();
        let shown = self.own_autove().map(|license| license.id.clone());
        let opening = PeerLink::new(credential, shown, address, dialed, opened);
        if let Err(refusal) = self.recognize(&opening.credential) {
            return self.turn_peer_away(link, &opening, refusal);
        }
        self.drop_strangers(now, &opening.credential);
        if self.peers.links.len() >= MAX_PEER_LINKS {
            let sentence = format!("there are {MAX_PEER_LINKS} links between the servers already.");
            let refusal = Refusal::new(ReasonCode::ServerBusy, sentence);
            return self.turn_peer_away(link, &opening, refusal);
        }
        self.peers.links.insert(link, opening);
        self.tell_status(now, link);
    }

    /// A link is gone; nothing happens if it is no peer's.
    pub(super) fn close_peer(&mut self, now: Now, link: LinkId) {
        if self.peers.links.remove(&link).is_some() {
            self.lose_link(now, link);
        }
    }

    pub(super) fn hear_peer(&mut self, now: Now, link: LinkId, message: PeerMessage) {
        let Some(speaker) = self.peers.links.get(&link) else { return };
        let has_status = speaker.has_status;
        if let Err(refusal) = self.count_word(&message) {
            return self.refuse_peer(now, link, refusal);
        }
        let heard = match message {
            PeerMessage::Status(status) => self.hear_status(now, link, status),
            _ if !has_status => Err(misspoken("the first message is no status")),
            PeerMessage::Pull { after, spans, last } => {
                self.hear_pull(now, link, after, spans, last)
            }
            PeerMessage::Changes { entries, upto, last } => {
                self.hear_changes(now, link, entries, upto, last)
            }
            PeerMessage::Taken { upto } => self.hear_taken(now, link, upto),
            PeerMessage::Presence { reset, present, gone } => {
                self.hear_presence(link, reset, present, &gone)
            }
        };
        if let Err(refusal) = heard {
            self.refuse_peer(now, link, refusal);
        }
    }

    /// The configured peer can't be reached, or is none.
    pub(super) fn peer_failed(&mut self, _now: Now, why: PeerFailure) {
        self.note_failure(why);
    }

    /// Nobody is asked to be the peer any more, so nobody fails.
    pub(super) fn forget_peer_failure(&mut self) {
        self.peers.failure = None;
    }

    /// Said once until it changes.
    fn note_failure(&mut self, why: PeerFailure) {
        if self.peers.failure.as_ref() != Some(&why) {
            self.peers.failure = Some(why.clone());
            self.note(Note::PeerFailed(why));
        }
    }

    /// Everything about the peer that time alone changes.
    pub(super) fn review_peer(&mut self, now: Now) {
        self.peers.pace.begin_review();
        self.judge_peers(now);
        self.tell_clock(now);
        self.remember_peer();
        self.review_pulling(now);
        self.offer_rest();
    }

    /// Ends a link to a server that is no peer, or that doesn't keep to the rules.
    fn refuse_peer(&mut self, now: Now, link: LinkId, refusal: Refusal) {
        let Some(refused) = self.peers.links.remove(&link) else { return };
        self.turn_peer_away(link, &refused, refusal);
        self.lose_link(now, link);
    }

    fn turn_peer_away(&mut self, link: LinkId, refused: &PeerLink, refusal: Refusal) {
        self.effects.push_back(Effect::RefusePeer { link, refusal: refusal.clone() });
        if refused.dialed {
            let sentence = format!("{}: {}", refused.address, refusal.sentence);
            self.note_failure(PeerFailure::Refused(Refusal { sentence, ..refusal }));
        } else {
            self.note(Note::PeerRefused { address: refused.address.clone(), refusal });
        }
    }

    fn say(&mut self, link: LinkId, message: PeerMessage) {
        self.peers.pace.say(&message);
        self.effects.push_back(Effect::TellPeer { link, message });
    }
}

fn misspoken(what: &str) -> Refusal {
    Refusal::new(
        ReasonCode::BadRequest,
        format!("the other server breaks the rules of peers: {what}."),
    )
}
