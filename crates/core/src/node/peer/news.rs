//! What the peer hears as it happens: how this server stands, and which hosts come and go. Said once
//! for all that one input has changed, and not faster than a peer can be expected to read.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{MAX_PRESENCES, Node, PeerMessage, PeerStatus};
use crate::{
    id::{HostKey, LinkId},
    time::{Elapsed, Now, Utc},
};

/// How often the peer hears of numbers that have changed, in milliseconds.
const STATUS_EVERY_MS: u64 = 1_000;

/// The most presence messages at a time, and the pause after them, in milliseconds.
const PRESENCES_AT_ONCE: usize = 8;
const PRESENCE_PAUSE_MS: u64 = 100;

/// How often all hosts are looked through for a peer that asks anew, in milliseconds.
const ALL_EVERY_MS: u64 = 1_000;

/// What the peer was told, and what it has not heard yet.
#[derive(Debug, Default)]
pub(super) struct News {
    status: Option<PeerStatus>,
    status_told_at: Elapsed,
    status_due: Option<Elapsed>,
    /// Hosts that may have come or gone.
    hosts: BTreeSet<HostKey>,
    /// Whether the peer is to hear of all of them, and when it was told so last.
    wants_all: bool,
    all_told_at: Option<Elapsed>,
    /// Whether to begin anew.
    reset: bool,
    presence_due: Option<Elapsed>,
}

impl News {
    /// Nobody wants to hear of hosts; who does is told of all.
    fn forget_hosts(&mut self) {
        self.hosts.clear();
        self.wants_all = false;
        self.reset = false;
        self.presence_due = None;
    }

    pub(super) fn due(&self) -> Option<Elapsed> {
        let all_due = self.all_due().filter(|_| self.wants_all);
        [self.status_due, self.presence_due, all_due].into_iter().flatten().min()
    }

    /// From when on all hosts may be looked through again.
    fn all_due(&self) -> Option<Elapsed> {
        self.all_told_at.map(|at| at.plus_ms(ALL_EVERY_MS))
    }
}

impl Node {
    /// Says to the peer which hosts came or went, and how this server stands if that has changed.
    pub(in crate::node) fn tell_peer_news(&mut self, now: Now) {
        let moved = self.take_moved_hosts();
        if self.peers.links.is_empty() {
            self.peers.news = News::default();
            return;
        }
        self.tell_news_of_status(now);
        self.tell_presence(now, moved);
    }

    /// How this server stands, if it may have a peer at all.
    pub(super) fn own_status(&self, now: Now) -> Option<PeerStatus> {
        let capacity = self.capacity()?;
        Some(PeerStatus {
            license_id: capacity.license_id,
            instances: capacity.instances,
            serves: self.own_autove_serves(),
            homed: capacity.homed,
            guests: capacity.guests,
            wall: now.wall,
        })
    }

    fn tell_news_of_status(&mut self, now: Now) {
        let status =
            self.own_status(now).map(|status| PeerStatus { wall: Utc::default(), ..status });
        let news = &mut self.peers.news;
        news.status_due = None;
        let Some(status) = status.filter(|status| news.status.as_ref() != Some(status)) else {
            return;
        };
        let serves = |told: &PeerStatus| told.serves == status.serves;
        let due = news.status_told_at.plus_ms(STATUS_EVERY_MS);
        if now.elapsed < due && news.status.as_ref().is_some_and(serves) {
            news.status_due = Some(due);
            return;
        }
        news.status_told_at = now.elapsed;
        let is_first = news.status.replace(status).is_none();
        if is_first {
            return; // It was said when the link was opened.
        }
        let links: Vec<LinkId> = self.peers.links.keys().copied().collect();
        for link in links {
            self.tell_status(now, link);
        }
    }

    /// The peer has asked anew, and hears of every host.
    pub(super) fn tell_all_present(&mut self) {
        self.peers.news.wants_all = true;
    }

    fn begin_with_all_present(&mut self, now: Now) {
        let is_present = |host: &HostKey| self.presence_here(*host).is_some();
        let hosts: BTreeSet<HostKey> = self.hosts_here().filter(is_present).collect();
        let news = &mut self.peers.news;
        (news.wants_all, news.all_told_at) = (false, Some(now.elapsed));
        (news.reset, news.presence_due, news.hosts) = (true, None, hosts);
    }

    fn tell_presence(&mut self, now: Now, moved: BTreeSet<HostKey>) {
        let Some(link) = self.peers.offer.as_ref().map(super::Offer::link) else {
            self.peers.news.forget_hosts();
            return;
        };
        self.peers.news.hosts.extend(moved);
        if self.peers.news.wants_all
            && self.peers.news.all_due().is_none_or(|due| now.elapsed >= due)
        {
            self.begin_with_all_present(now);
        }
        if self.peers.news.presence_due.is_some_and(|due| now.elapsed < due) {
            return;
        }
        let mut said = false;
        for _ in 0..PRESENCES_AT_ONCE {
            if !self.peers.news.reset && self.peers.news.hosts.is_empty() {
                break;
            }
            let message = self.next_presence();
            self.say(link, message);
            said = true;
        }
        // What changes meanwhile goes together.
        self.peers.news.presence_due = said.then(|| now.elapsed.plus_ms(PRESENCE_PAUSE_MS));
    }

    fn next_presence(&mut self) -> PeerMessage {
        let (mut present, mut gone) = (Vec::new(), Vec::new());
        let reset = core::mem::take(&mut self.peers.news.reset);
        while present.len() + gone.len() < MAX_PRESENCES
            && let Some(host) = self.peers.news.hosts.pop_first()
        {
            match self.presence_here(host) {
                Some(presence) => present.push(presence),
                None => gone.push(host),
            }
        }
        PeerMessage::Presence { reset, present, gone }
    }
}
