//! Contact: at least one link over which the peer has said how it stands.

use alloc::collections::VecDeque;

use super::{Node, PeerMessage, PeerStatus, misspoken, offering::Wanted};
use crate::{
    id::{LicenseId, LinkId},
    license::Credential,
    node::{enroll::Then, event::AppendError, io::Note},
    reason::Refusal,
    registry::{KnownPeer, Position},
    text::Name,
    time::{Now, Utc},
};

/// The two clocks may be so many seconds apart before anyone hears of it, and half as many when that
/// is over.
const CLOCK_TOLERANCE_S: u64 = 60;

/// A link to a server that was recognized as the peer.
#[derive(Debug)]
pub(super) struct PeerLink {
    pub(super) credential: Credential,
    /// The license that this server served when the link was opened: the one that the peer was shown.
    pub(super) shown: Option<LicenseId>,
    pub(super) address: Name,
    pub(super) dialed: bool,
    /// More than that of every link before.
    pub(super) opened: u64,
    /// Whether a status was heard.
    pub(super) has_status: bool,
    /// Up to where the changes messages go that were sent here and are not taken yet.
    pub(super) unacknowledged: VecDeque<Position>,
    /// How many changes messages came here that are not durable yet.
    pub(super) untaken: usize,
    /// What the peer has asked for here last.
    pub(super) wanted: Option<Wanted>,
}

impl PeerLink {
    pub(super) fn new(
        credential: Credential,
        shown: Option<LicenseId>,
        address: Name,
        dialed: bool,
        opened: u64,
    ) -> Self {
        Self {
            credential,
            shown,
            address,
            dialed,
            opened,
            has_status: false,
            unacknowledged: VecDeque::new(),
            untaken: 0,
            wanted: None,
        }
    }
}

/// The peer, while it is there.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) status: PeerStatus,
    pub(super) since: Utc,
    /// Whether the log has heard that its clock is off.
    clock_noted: bool,
}

impl Node {
    pub(super) fn hear_status(
        &mut self,
        now: Now,
        link: LinkId,
        status: PeerStatus,
    ) -> Result<(), Refusal> {
        let Some(speaker) = self.peers.links.get_mut(&link) else { return Ok(()) };
        if status.license_id != speaker.credential.license_id {
            return Err(misspoken("its status names another license than its credential"));
        }
        let is_first = !core::mem::replace(&mut speaker.has_status, true);
        let address = speaker.address.clone();
        let known =
            KnownPeer { license_id: status.license_id.clone(), instances: status.instances };
        let (wall, license_id) = (status.wall, status.license_id.clone());
        let dialed = speaker.dialed;
        let began = self.peers.contact.is_none();
        let news = self.take_status(now, status);
        if began || (is_first && dialed) {
            self.peers.failure = None;
        }
        if began {
            self.note(Note::PeerInContact { license_id, address });
        }
        self.note_clock_off(now, wall);
        if self.peers.known.as_ref() != Some(&known) {
            self.peers.known = Some(known);
            self.peers.known_is_durable = false;
            self.remember_peer();
        }
        if is_first {
            self.pull(now, link);
        }
        if news {
            self.count_news()?;
            self.peer_has_changed(now);
        }
        Ok(())
    }

    /// Whether it says something new; the time of day is none.
    fn take_status(&mut self, now: Now, status: PeerStatus) -> bool {
        match &mut self.peers.contact {
            Some(contact) => {
                let news =
                    PeerStatus { wall: contact.status.wall, ..status.clone() } != contact.status;
                contact.status = status;
                news
            }
            none => {
                *none = Some(Contact { status, since: now.wall, clock_noted: false });
                true
            }
        }
    }

    fn note_clock_off(&mut self, now: Now, theirs: Utc) {
        let Some(contact) = &mut self.peers.contact else { return };
        let off_s = theirs.0.saturating_sub(now.wall.0);
        let was_off = contact.clock_noted;
        let tolerance_s = if was_off { CLOCK_TOLERANCE_S / 2 } else { CLOCK_TOLERANCE_S };
        let is_off = off_s.unsigned_abs() > tolerance_s;
        contact.clock_noted = is_off;
        if is_off != was_off {
            self.note(if is_off { Note::PeerClockOff(off_s) } else { Note::PeerClockRight });
        }
    }

    /// As long as the clocks are apart, both servers say what time it is: else neither would hear
    /// that somebody has set them right.
    pub(super) fn tell_clock(&mut self, now: Now) {
        if self.peers.contact.as_ref().is_some_and(|contact| contact.clock_noted)
            && let Some(link) = self.talk_link()
        {
            self.tell_status(now, link);
        }
    }

    /// Writes down who the peer is, if that isn't yet.
    pub(super) fn remember_peer(&mut self) {
        if self.peers.known_is_durable {
            return;
        }
        // Until it fails; then a review tries again.
        self.peers.known_is_durable = true;
        let known = self.peers.known.clone();
        self.enroll(alloc::vec![], None, known, Then::Known);
    }

    pub(in crate::node) fn known_written(&mut self, outcome: &Result<(), AppendError>) {
        self.peers.known_is_durable &= outcome.is_ok();
    }

    /// What follows when a link to the peer is gone, which is not in the list any more. What was on
    /// its way there is lost.
    pub(super) fn lose_link(&mut self, now: Now, link: LinkId) {
        self.drop_orphans();
        self.lose_offer(now, link);
        match self.talk_link() {
            Some(other) => self.pull(now, other),
            None => self.lose_contact(now),
        }
    }

    fn lose_contact(&mut self, now: Now) {
        let Some(contact) = self.peers.contact.take() else { return };
        self.peers.present.clear();
        self.peers.pulling.lose_contact();
        self.note(Note::PeerLost { license_id: contact.status.license_id });
        self.peer_has_changed(now);
    }

    /// The link that was opened last and works.
    pub(super) fn talk_link(&self) -> Option<LinkId> {
        let working = self.peers.links.iter().filter(|(_, link)| link.has_status);
        working.max_by_key(|(_, link)| link.opened).map(|(link, _)| *link)
    }

    /// Where the peer is, while it is in contact.
    pub(super) fn peer_address(&self) -> Option<&Name> {
        self.talk_link().and_then(|link| self.peers.links.get(&link)).map(|link| &link.address)
    }

    /// Says to the peer how this server stands.
    pub(super) fn tell_status(&mut self, now: Now, link: LinkId) {
        if let Some(status) = self.own_status(now) {
            self.say(link, PeerMessage::Status(status));
        }
    }
}
