//! The link between two servers' shells: who dials, what is on its way, cuts, silence and ends. Like a
//! client's link, but both ends are servers; whoever dialed plays the client's part.

use std::collections::BTreeMap;

use ve_core::{
    id::LinkId,
    node::{
        io::Input,
        peer::{PeerFailure, PeerMessage},
    },
    reason::Refusal,
    time::SECOND_MS,
};
use ve_wire::{limits::HEARTBEAT_TIMEOUT_MS, peer, proto};

use crate::{
    Bug,
    clock::At,
    fact::Fact,
    network::{BEAT_MS, End, Way},
    vendor::name,
    world::{Event, World},
};

const TIMEOUT_MS: u64 = HEARTBEAT_TIMEOUT_MS as u64;

/// How long handshake and hello may take together, in milliseconds.
const CONNECT_MS: u64 = 5 * SECOND_MS;

/// What a peer link carries.
#[derive(Debug, Clone)]
pub(crate) enum Talk {
    /// The dialer says hello, with its credential.
    Hello(String),
    /// So does the other.
    Welcome(String),
    /// Nobody listens, or nobody who could be a peer.
    Rejected,
    Said(Box<proto::PeerMessage>),
    /// The other end has closed; with the reason, if it is no peer.
    End(Option<Refusal>),
}

/// What the other end hears when one closes.
enum Farewell {
    None,
    Plain,
    /// It is no peer.
    Because(Refusal),
}

/// A connection of one server's process to the other's; ends and ways are found by server.
#[derive(Debug)]
pub(crate) struct PeerLink {
    dialer: usize,
    ends: [End; 2],
    /// Towards that server.
    ways: [Way<Talk>; 2],
}

/// The peer links of a run.
#[derive(Debug, Default)]
pub(crate) struct Peering {
    links: BTreeMap<LinkId, PeerLink>,
}

impl World {
    /// The credential that a server shows its peer: of the license that it serves.
    fn credential(&self, server: usize) -> Option<String> {
        self.servers[server].installed.values().next().map(|signed| signed.credential.clone())
    }

    /// A server looks whether it should connect, again and again while its process runs.
    pub(crate) fn dial(&mut self, server: usize, process: u64) {
        if self.running(server, process).is_none() {
            return;
        }
        let again = self.at + self.random.between(2 * SECOND_MS, 8 * SECOND_MS);
        self.queue.plan(again, Event::Dial { server, process });
        let open = |link: &PeerLink| link.dialer == server && link.ends[server] != End::Closed;
        if !self.servers[server].is_ready() || self.peering.links.values().any(open) {
            return;
        }
        let Some(credential) = self.credential(server) else { return };
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let (ends, ways) = ([End::Opening; 2], [Way::default(), Way::default()]);
        self.peering.links.insert(link, PeerLink { dialer: server, ends, ways });
        self.send_talk(link, 1 - server, Talk::Hello(credential));
        self.queue.plan(self.at + CONNECT_MS, Event::PeerTimeout { link });
    }

    pub(crate) fn peer_timeout(&mut self, link: LinkId) {
        let Some(this) = self.peering.links.get_mut(&link) else { return };
        let dialer = this.dialer;
        if this.ends[dialer] == End::Opening && !self.servers[dialer].hung {
            this.ends[dialer] = End::Closed;
            self.send_talk(link, 1 - dialer, Talk::End(None));
            self.fail_to_dial(dialer, "no answer in time");
        }
        self.forget_peer_link(link);
    }

    fn fail_to_dial(&mut self, server: usize, why: &str) {
        let refusal = PeerFailure::Unreachable(why.to_owned());
        self.feed(server, Input::PeerFailed { refusal });
    }

    /// A node says something to its peer.
    pub(crate) fn tell_peer(&mut self, server: usize, link: LinkId, message: &PeerMessage) {
        self.checks.see(self.at, &Fact::PeerTold { server, link, message });
        let written = Box::new(peer::write(message));
        if self.peering.links.get(&link).is_some_and(|this| this.ends[server].is_open()) {
            self.send_talk(link, 1 - server, Talk::Said(written));
        }
    }

    /// A node will have nothing to do with whoever is there.
    pub(crate) fn refuse_peer(&mut self, server: usize, link: LinkId, refusal: Refusal) {
        self.checks.see(self.at, &Fact::PeerRefused { server, link, refusal: &refusal });
        self.close_peer_end(link, server, Farewell::Because(refusal));
    }

    fn send_talk(&mut self, link: LinkId, to: usize, talk: Talk) {
        let Some(this) = self.peering.links.get_mut(&link) else { return };
        let at = self.network.arrival(&mut self.random, self.at, &mut this.ways[to]);
        self.queue.plan(at, Event::TalkArrives { link, to, talk: Box::new(talk) });
    }

    pub(crate) fn talk_arrives(&mut self, link: LinkId, to: usize, talk: Talk) {
        let passes = self.talk_passes(to);
        let Some(this) = self.peering.links.get_mut(&link) else { return };
        if !passes || !this.ways[to].stuck.is_empty() {
            this.ways[to].stuck.push_back(talk);
            return;
        }
        self.deliver_talk(link, to, talk);
    }

    /// Whether anything gets through to this server and is read there.
    fn talk_passes(&self, to: usize) -> bool {
        let this = &self.servers[to];
        this.powered && !this.hung && self.network.joins_peers(to)
    }

    fn deliver_talk(&mut self, link: LinkId, to: usize, talk: Talk) {
        let Some(this) = self.peering.links.get_mut(&link) else { return };
        if let End::Open { silent_since: Some(since) } = &mut this.ends[to] {
            *since = self.at;
            let since = self.at;
            self.plan_peer_silence(link, to, since);
        }
        self.hear_talk(link, to, talk);
        self.forget_peer_link(link);
    }

    fn hear_talk(&mut self, link: LinkId, to: usize, talk: Talk) {
        let Some(this) = self.peering.links.get(&link) else { return };
        let (dialer, end) = (this.dialer, this.ends[to]);
        match (talk, end) {
            (Talk::Hello(credential), End::Opening) => self.greet_peer(link, to, &credential),
            (Talk::Welcome(credential), End::Opening) => {
                self.open_peer_end(link, to, &credential);
            }
            (Talk::Rejected | Talk::End(None), End::Opening) if to == dialer => {
                self.set_peer_end(link, to, End::Closed);
                self.fail_to_dial(to, "nobody listens there");
            }
            (Talk::End(_), End::Opening) => self.set_peer_end(link, to, End::Closed),
            (Talk::Said(message), End::Open { .. }) => self.hear_peer(link, to, &message),
            (Talk::End(why), End::Open { .. }) => {
                self.close_peer_end(link, to, Farewell::None);
                if let Some(refusal) = why.filter(|_| to == dialer) {
                    let refusal = PeerFailure::Refused(refusal);
                    self.feed(to, Input::PeerFailed { refusal });
                }
            }
            _ => {}
        }
    }

    fn hear_peer(&mut self, link: LinkId, to: usize, message: &proto::PeerMessage) {
        let message = peer::read(message).expect("a server here keeps every limit");
        let Some(mut message) = message else { return };
        self.checks.see(self.at, &Fact::PeerHeard { server: to, link, message: &message });
        self.spoil_peer_message(&mut message);
        self.feed(to, Input::PeerSaid { link, message });
    }

    /// What a shell with a bug makes of a peer's message.
    fn spoil_peer_message(&self, message: &mut PeerMessage) {
        match (self.plan.bug, message) {
            (Some(Bug::ChangesDropped), PeerMessage::Changes { entries, .. }) => {
                entries.pop();
            }
            (Some(Bug::PeerOverstated), PeerMessage::Status(status)) => status.instances *= 4,
            (Some(Bug::PresenceHidden), PeerMessage::Presence { present, .. }) => present.clear(),
            (Some(Bug::TwinsUntold), PeerMessage::Presence { present, .. }) => {
                for presence in present {
                    presence.beside = None;
                }
            }
            _ => {}
        }
    }

    /// The server that was dialed checks who is there.
    fn greet_peer(&mut self, link: LinkId, server: usize, shown: &str) {
        let listens = self.servers[server].process.as_ref().is_some_and(|it| !it.draining);
        let own = self.credential(server).filter(|_| listens);
        let Some(own) = own else {
            self.set_peer_end(link, server, End::Closed);
            return self.send_talk(link, 1 - server, Talk::Rejected);
        };
        self.send_talk(link, 1 - server, Talk::Welcome(own));
        self.open_peer_end(link, server, shown);
    }

    fn open_peer_end(&mut self, link: LinkId, server: usize, shown: &str) {
        let peer = self.vendor.verify_credential(shown).expect("nobody forges anything here");
        let dialed = self.peering.links.get(&link).is_some_and(|this| this.dialer == server);
        self.set_peer_end(link, server, End::Open { silent_since: None });
        self.checks.see(self.at, &Fact::PeerOpened { server, link });
        let address = name(&format!("10.9.0.{}:8083", 2 - server));
        self.feed(server, Input::PeerOpened { link, peer, address, dialed });
        self.reassess_peer_link(link);
    }

    fn set_peer_end(&mut self, link: LinkId, server: usize, end: End) {
        if let Some(this) = self.peering.links.get_mut(&link) {
            this.ends[server] = end;
        }
    }

    /// A server's end closes, and its node is told.
    fn close_peer_end(&mut self, link: LinkId, server: usize, tells: Farewell) {
        let quiet_ms = self.random.between(0, BEAT_MS);
        let Some(this) = self.peering.links.get_mut(&link) else { return };
        let end = std::mem::replace(&mut this.ends[server], End::Closed);
        let End::Open { silent_since } = end else { return };
        this.ways[server].stuck.clear();
        match tells {
            Farewell::None => {}
            Farewell::Plain => self.send_talk(link, 1 - server, Talk::End(None)),
            Farewell::Because(why) => self.send_talk(link, 1 - server, Talk::End(Some(why))),
        }
        let heard = silent_since.unwrap_or(self.at.saturating_sub(quiet_ms));
        self.checks.see(self.at, &Fact::PeerClosed { server, link });
        if self.servers[server].process.is_some() {
            let last_heard = self.servers[server].clock.elapsed(heard);
            self.feed(server, Input::LinkClosed { link, last_heard });
        }
        self.reassess_peer_link(link);
    }

    /// A server's process is gone, and its ends with it.
    pub(crate) fn close_all_peer_ends(&mut self, server: usize, tells: bool) {
        let links: Vec<LinkId> = self.peering.links.keys().copied().collect();
        for link in links {
            let Some(this) = self.peering.links.get_mut(&link) else { continue };
            if this.ends[server] == End::Opening {
                this.ends[server] = End::Closed;
                if tells {
                    self.send_talk(link, 1 - server, Talk::End(None));
                }
            }
            let farewell = if tells { Farewell::Plain } else { Farewell::None };
            self.close_peer_end(link, server, farewell);
            self.forget_peer_link(link);
        }
    }

    /// A server whose license has another ID shows another credential, so it says hello anew.
    pub(crate) fn introduce_anew(&mut self, server: usize) {
        let shown = self.credential(server);
        if self.servers[server].shown != shown {
            self.servers[server].shown = shown;
            self.close_all_peer_ends(server, true);
        }
    }

    /// Whether an end hears the other's heartbeats: a dialer hears them answered.
    fn hears_peer(&self, this: &PeerLink, server: usize) -> bool {
        let other = 1 - server;
        let open = this.ends[other].is_open() && self.talk_passes(server);
        let beats = open && self.servers[other].powered && !self.servers[other].hung;
        beats && (this.dialer != server || self.talk_passes(other))
    }

    /// Looks at every peer link anew after a way or a machine has changed.
    pub(crate) fn reassess_peers(&mut self) {
        let links: Vec<LinkId> = self.peering.links.keys().copied().collect();
        for link in links {
            self.reassess_peer_link(link);
            self.forget_peer_link(link);
        }
    }

    fn reassess_peer_link(&mut self, link: LinkId) {
        for server in 0..2 {
            let quiet_ms = self.random.between(0, BEAT_MS);
            let Some(this) = self.peering.links.get(&link) else { return };
            let hears = self.hears_peer(this, server);
            let stuck = !this.ways[server].stuck.is_empty();
            match this.ends[server] {
                End::Open { silent_since: None } if !hears => {
                    let since = self.at.saturating_sub(quiet_ms);
                    self.set_peer_end(link, server, End::Open { silent_since: Some(since) });
                    self.checks.see(self.at, &Fact::PeerDisturbed { link });
                    self.plan_peer_silence(link, server, since);
                }
                End::Open { silent_since: Some(_) } if hears => self.plan_talk_retry(link, server),
                _ if stuck => self.plan_talk_retry(link, server),
                _ => {}
            }
        }
    }

    fn plan_talk_retry(&mut self, link: LinkId, to: usize) {
        let at = self.at + self.random.between(20, 1_500);
        let Some(this) = self.peering.links.get_mut(&link) else { return };
        let way = &mut this.ways[to];
        if way.retry_at.is_none_or(|planned| planned < self.at) {
            way.retry_at = Some(at);
            self.queue.plan(at, Event::TalkRetry { link, to });
        }
    }

    pub(crate) fn talk_retry(&mut self, link: LinkId, to: usize) {
        if let Some(this) = self.peering.links.get_mut(&link) {
            this.ways[to].retry_at = None;
        }
        if !self.talk_passes(to) {
            return;
        }
        self.read_stuck_talk(link, to);
        let Some(this) = self.peering.links.get(&link) else { return };
        if self.hears_peer(this, to) && this.ends[to].is_open() {
            self.set_peer_end(link, to, End::Open { silent_since: None });
        }
        self.forget_peer_link(link);
    }

    fn read_stuck_talk(&mut self, link: LinkId, to: usize) {
        while let Some(talk) =
            self.peering.links.get_mut(&link).and_then(|this| this.ways[to].stuck.pop_front())
        {
            self.deliver_talk(link, to, talk);
        }
    }

    /// A process that stood still reads what its kernel has kept for it, and looks at its files.
    pub(crate) fn thaw_peers(&mut self, server: usize, process: u64) {
        let links: Vec<LinkId> = self.peering.links.keys().copied().collect();
        for link in links {
            let Some(this) = self.peering.links.get(&link) else { continue };
            if let End::Open { silent_since: Some(_) } = this.ends[server] {
                let since = self.at;
                self.set_peer_end(link, server, End::Open { silent_since: Some(since) });
                self.plan_peer_silence(link, server, since);
            }
            if self.talk_passes(server) {
                self.read_stuck_talk(link, server);
            }
        }
        let Some(running) = self.running(server, process) else { return };
        if std::mem::take(&mut running.enrolls.done_unseen) {
            self.roll_done(server, process);
        }
    }

    fn plan_peer_silence(&mut self, link: LinkId, server: usize, since: At) {
        let clock = &self.servers[server].clock;
        let at = clock.when(clock.elapsed(since).plus_ms(TIMEOUT_MS)).max(self.at);
        self.queue.plan(at, Event::PeerSilence { link, server, since });
    }

    pub(crate) fn peer_silence(&mut self, link: LinkId, server: usize, since: At) {
        let Some(this) = self.peering.links.get(&link) else { return };
        let silent = this.ends[server] == End::Open { silent_since: Some(since) };
        if silent && !self.servers[server].hung {
            self.close_peer_end(link, server, Farewell::Plain);
            self.forget_peer_link(link);
        }
    }

    /// A link of which neither end is left is nobody's business any more.
    fn forget_peer_link(&mut self, link: LinkId) {
        let Some(this) = self.peering.links.get(&link) else { return };
        let (dialer, other) = (this.dialer, 1 - this.dialer);
        let never_came = this.ends[other] == End::Opening && !this.ways[other].stuck.is_empty();
        if this.ends[dialer] == End::Closed && (this.ends[other] == End::Closed || never_came) {
            self.peering.links.remove(&link);
        }
    }
}
