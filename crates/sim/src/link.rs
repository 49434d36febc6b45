//! What happens on links: bytes that arrive or meet a cut, silence, and the ends of connections.

use ve_core::{
    client::io::{ConnectError, Input as ToMachine},
    id::LinkId,
    node::io::Input as ToNode,
    time::Elapsed,
};
use ve_wire::limits::HEARTBEAT_TIMEOUT_MS;

use crate::{
    Bug,
    clock::At,
    fact::Fact,
    network::{BEAT_MS, End, Message, Side},
    world::{Event, World},
};

const TIMEOUT_MS: u64 = HEARTBEAT_TIMEOUT_MS as u64;

impl World {
    /// Sends something to the other end of a link.
    pub(crate) fn transmit(&mut self, link: LinkId, to: Side, message: Message) {
        let Some(this) = self.links.get_mut(&link) else { return };
        let at = self.network.arrival(&mut self.random, self.at, this.way(to));
        self.queue.plan(at, Event::Arrives { link, to, message });
    }

    pub(crate) fn arrive(&mut self, link: LinkId, to: Side, message: Message) {
        let passes = self.passes(link, to);
        let Some(this) = self.links.get_mut(&link) else { return };
        if !passes || !this.way(to).stuck.is_empty() {
            this.way(to).stuck.push_back(message);
            return;
        }
        self.deliver(link, to, message);
    }

    fn deliver(&mut self, link: LinkId, to: Side, message: Message) {
        let Some(this) = self.links.get_mut(&link) else { return };
        if let End::Open { silent_since: Some(since) } = this.end_mut(to) {
            // It is heard again, if only for this moment.
            *since = self.at;
            let since = self.at;
            self.plan_silence(link, to, since);
        }
        match to {
            Side::Server => self.server_hears(link, message),
            Side::Client => self.client_hears(link, message),
        }
        self.forget_if_over(link);
    }

    /// Whether bytes get through to this side and are read there.
    fn passes(&self, link: LinkId, to: Side) -> bool {
        let Some(this) = self.links.get(&link) else { return false };
        let host = self.seats[this.client].host;
        let awake = match to {
            Side::Server => self.servers[this.server].powered && !self.servers[this.server].hung,
            Side::Client => self.hosts[host].runs(),
        };
        awake && self.network.is_open(host, this.server, to)
    }

    /// Whether an end hears the other one's heartbeats. A server answers them and sends none of its
    /// own, so a client hears nothing when nothing of it gets through.
    fn hears(&self, link: LinkId, side: Side) -> bool {
        let Some(this) = self.links.get(&link) else { return false };
        let host = self.seats[this.client].host;
        let client_beats =
            this.client_end.is_open() && self.hosts[host].runs() && self.passes(link, Side::Server);
        match side {
            Side::Server => client_beats,
            Side::Client => {
                client_beats && this.server_end.is_open() && self.passes(link, Side::Client)
            }
        }
    }

    /// Looks at every link anew after a way or a machine has changed.
    pub(crate) fn reassess(&mut self) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.reassess_link(link);
            self.forget_if_over(link);
        }
        self.reassess_peers();
    }

    pub(crate) fn reassess_link(&mut self, link: LinkId) {
        self.reassess_end(link, Side::Server);
        self.reassess_end(link, Side::Client);
    }

    fn reassess_end(&mut self, link: LinkId, side: Side) {
        let hears = self.hears(link, side);
        let quiet_ms = self.random.between(0, BEAT_MS);
        let Some(this) = self.links.get_mut(&link) else { return };
        let stuck = !this.way(side).stuck.is_empty();
        match this.end_mut(side) {
            End::Open { silent_since: quiet @ None } if !hears => {
                let since = self.at.saturating_sub(quiet_ms);
                *quiet = Some(since);
                self.checks.see(self.at, &Fact::LinkDisturbed { link });
                self.plan_silence(link, side, since);
            }
            End::Open { silent_since: Some(_) } if hears => self.plan_retry(link, side),
            _ if stuck => self.plan_retry(link, side),
            _ => {}
        }
    }

    /// What met a cut is sent again a while after the cut is healed.
    fn plan_retry(&mut self, link: LinkId, side: Side) {
        let at = self.at + self.random.between(20, 1_500);
        let Some(this) = self.links.get_mut(&link) else { return };
        let way = this.way(side);
        if way.retry_at.is_none_or(|planned| planned < self.at) {
            way.retry_at = Some(at);
            self.queue.plan(at, Event::Retry { link, side });
        }
    }

    pub(crate) fn retry(&mut self, link: LinkId, side: Side) {
        if let Some(this) = self.links.get_mut(&link) {
            this.way(side).retry_at = None;
        }
        if !self.passes(link, side) {
            return;
        }
        self.read_stuck(link, side);
        let hears = self.hears(link, side);
        if let Some(this) = self.links.get_mut(&link)
            && hears
            && let End::Open { silent_since } = this.end_mut(side)
        {
            *silent_since = None;
        }
        self.forget_if_over(link);
    }

    fn read_stuck(&mut self, link: LinkId, side: Side) {
        while let Some(message) =
            self.links.get_mut(&link).and_then(|this| this.way(side).stuck.pop_front())
        {
            self.deliver(link, side, message);
        }
    }

    /// A server's process that stood still reads what its kernel has kept for it; that the clients'
    /// heartbeats are among it makes their links look alive until now.
    pub(crate) fn read_what_has_come(&mut self, server: usize) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            let Some(this) = self.links.get_mut(&link).filter(|this| this.server == server) else {
                continue;
            };
            if let End::Open { silent_since: Some(_) } = this.server_end {
                self.plan_silence_from_now(link);
            }
            if self.passes(link, Side::Server) {
                self.read_stuck(link, Side::Server);
            }
        }
    }

    fn plan_silence_from_now(&mut self, link: LinkId) {
        let at = self.at;
        if let Some(this) = self.links.get_mut(&link) {
            this.server_end = End::Open { silent_since: Some(at) };
        }
        self.plan_silence(link, Side::Server, at);
    }

    fn plan_silence(&mut self, link: LinkId, side: Side, since: At) {
        let Some(this) = self.links.get(&link) else { return };
        let clock = match side {
            Side::Server => &self.servers[this.server].clock,
            Side::Client => &self.hosts[self.seats[this.client].host].clock,
        };
        let at = clock.when(clock.elapsed(since).plus_ms(TIMEOUT_MS)).max(self.at);
        self.queue.plan(at, Event::Silence { link, side, since });
    }

    pub(crate) fn silence(&mut self, link: LinkId, side: Side, since: At) {
        let Some(this) = self.links.get(&link) else { return };
        if this.end(side) != (End::Open { silent_since: Some(since) }) {
            return;
        }
        match side {
            // A process that stands still looks at no clock; it reads first when it runs on.
            Side::Server if self.servers[this.server].hung => {}
            Side::Server => self.close_end(link, Side::Server, true),
            Side::Client if !self.hosts[self.seats[this.client].host].runs() => {}
            Side::Client => self.lose(link, "the server is silent"),
        }
    }

    /// A server's end closes, and its node is told; a client's end closes silently.
    pub(crate) fn close_end(&mut self, link: LinkId, side: Side, tells: bool) {
        let quiet_ms = self.random.between(0, BEAT_MS);
        let Some(this) = self.links.get_mut(&link) else { return };
        let End::Open { silent_since } = this.end(side) else {
            *this.end_mut(side) = End::Closed;
            return;
        };
        let server = this.server;
        if side == Side::Server && self.plan.bug == Some(Bug::LinksKept) {
            return;
        }
        *this.end_mut(side) = End::Closed;
        this.way(side).stuck.clear();
        if tells {
            let (other, end) =
                (if side == Side::Server { Side::Client } else { Side::Server }, Message::End);
            self.transmit(link, other, end);
        }
        if side == Side::Server {
            let heard = silent_since.unwrap_or(self.at.saturating_sub(quiet_ms));
            self.tell_link_closed(server, link, heard);
        }
        self.reassess_link(link);
    }

    fn tell_link_closed(&mut self, server: usize, link: LinkId, heard: At) {
        let this = &mut self.servers[server];
        this.open_links.remove(&link);
        let last_heard = this.clock.elapsed(heard);
        self.checks.see(self.at, &Fact::LinkClosed { server, link, last_heard });
        let last_heard = match self.plan.bug {
            Some(Bug::LeaseCutShort) => Elapsed(last_heard.0.saturating_sub(10 * 3_600_000)),
            _ => last_heard,
        };
        self.feed(server, ToNode::LinkClosed { link, last_heard });
    }

    /// A client's connection is gone.
    pub(crate) fn lose(&mut self, link: LinkId, why: &str) {
        let Some(this) = self.links.get(&link) else { return };
        let End::Open { silent_since } = this.client_end else { return };
        let (client, attempt) = (this.client, this.attempt);
        let clock = &self.hosts[self.seats[client].host].clock;
        let now = clock.elapsed(self.at);
        let heard = silent_since.map_or(now, |since| clock.elapsed(since));
        let late_ms = now.since_ms(heard).saturating_sub(TIMEOUT_MS);
        let proven = now.min(heard.plus_ms(TIMEOUT_MS));
        self.checks.see(self.at, &Fact::LinkLost { client, attempt, link, proven });
        self.close_end(link, Side::Client, true);
        let why = why.to_owned();
        self.tell_machine(client, ToMachine::LinkLost { attempt, why, late_ms });
    }

    pub(crate) fn connect_timeout(&mut self, link: LinkId) {
        let Some(this) = self.links.get(&link) else { return };
        if this.client_end == End::Opening && self.hosts[self.seats[this.client].host].runs() {
            self.fail_to_connect(link, "no answer in time");
        }
    }

    pub(crate) fn fail_to_connect(&mut self, link: LinkId, why: &str) {
        let Some(this) = self.links.get_mut(&link) else { return };
        let (client, attempt) = (this.client, this.attempt);
        this.client_end = End::Closed;
        self.transmit(link, Side::Server, Message::End);
        self.forget_if_over(link);
        let why = ConnectError::Unreachable(why.to_owned());
        self.tell_machine(client, ToMachine::NotConnected { attempt, why });
    }

    /// A host wakes: links that were silent for too long by its clock are lost, whatever has come
    /// over them meanwhile.
    pub(crate) fn judge_links_after_sleep(&mut self, host: usize) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            let Some(this) = self.links.get(&link) else { continue };
            if self.seats[this.client].host != host {
                continue;
            }
            let clock = &self.hosts[host].clock;
            match this.client_end {
                End::Open { silent_since: Some(since) }
                    if clock.elapsed(self.at).since_ms(clock.elapsed(since)) > TIMEOUT_MS =>
                {
                    self.lose(link, "the server is silent");
                }
                End::Opening => self.fail_to_connect(link, "no answer in time"),
                _ => {}
            }
        }
    }

    /// A link of which neither end is left is nobody's business any more.
    pub(crate) fn forget_if_over(&mut self, link: LinkId) {
        let Some(this) = self.links.get(&link).filter(|this| this.client_end == End::Closed) else {
            return;
        };
        // Who gives up before the first packet got through was never there.
        let never_came = this.server_end == End::Opening && !this.to_server.stuck.is_empty();
        if this.server_end != End::Closed && !never_came {
            return;
        }
        let (client, program, attempt) = (this.client, this.program, this.attempt);
        self.links.remove(&link);
        if let Some(running) = &mut self.seats[client].program
            && running.number == program
        {
            running.links.remove(&attempt);
        }
    }
}
