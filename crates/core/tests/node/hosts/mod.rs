//! AutoVE mode: hosts that register by themselves, told in stories. The peer is spoken by hand.

mod clones;
mod disk;
mod flood;
mod forgotten;
mod guests;
mod homes;
mod identities;
mod importing;
mod missing;
mod mixed;
mod property;
mod receipts;
mod registering;
mod retiring;
mod seen;

use ve_core::{
    grant::Grant,
    id::{BootId, HostKey, LicenseId, LinkId, ServerKey, SpanId},
    license::{Credential, Mode},
    node::{
        Capacity,
        io::{Answer, Input, Note},
        peer::{PeerMessage, PeerStatus, Presence},
    },
    reason::ReasonCode,
    registry::{HostEntry, HostState, Position, Receipt, Seen},
    time::Utc,
};

use crate::harness::{
    FactsBuilder, LicenseBuilder, Outcome, Server, WALL_AT_START, emulator, facts, license, name,
};

/// The AutoVE license of the stories' server.
fn autove(instances: u32) -> LicenseBuilder {
    numbered(1, instances)
}

fn numbered(number: u32, instances: u32) -> LicenseBuilder {
    license(number).mode(Mode::AutoVe).instances(instances)
}

/// The server's own license, and its peer's.
fn own() -> LicenseId {
    license(1).build_id()
}

fn theirs() -> LicenseId {
    license(2).build_id()
}

fn key(host: u8) -> HostKey {
    HostKey([host; 32])
}

/// A login from a new link of a host that says this of itself.
fn login(server: &mut Server, host: u8, facts: FactsBuilder) -> Option<Answer> {
    server.login_from(host, emulator("vm").on(facts))
}

/// The first login of a host that has nothing to show.
fn arrive(server: &mut Server, host: u8) -> Option<Answer> {
    login(server, host, facts())
}

fn capacity(server: &Server) -> Capacity {
    server.node.capacity().unwrap()
}

/// `homed + guests` of `instances`.
fn numbers(server: &Server) -> (u64, u64, u32) {
    let capacity = capacity(server);
    (capacity.homed, capacity.guests, capacity.instances)
}

fn standing(server: &Server, host: u8) -> Option<&'static str> {
    server.node.host(key(host)).map(|host| host.standing.as_str())
}

/// An entry as the peer, an import or an old copy may have it.
fn entry(host: u8, home: LicenseId, registered_s: i64) -> HostEntry {
    let registered = WALL_AT_START.plus_seconds(registered_s);
    HostEntry {
        host: key(host),
        home,
        revision: 1,
        state: HostState::Active,
        registered,
        identity: None,
        seen: Seen {
            at: registered,
            name: name("emu-host"),
            platform: None,
            address: name(&format!("10.0.0.{host}:4000")),
        },
    }
}

fn retired(entry: HostEntry) -> HostEntry {
    HostEntry { state: HostState::Retired, revision: entry.revision + 1, ..entry }
}

/// The receipt that a grant brings.
fn receipt_of(grant: &Grant) -> Receipt {
    *grant.receipt.clone().expect("the grant brings a receipt")
}

/// The other server, as far as a story needs it.
struct Peer {
    link: LinkId,
    instances: u32,
    number: u64,
}

impl Peer {
    /// It connects, says how it stands and has nothing new to tell.
    fn comes(server: &mut Server, instances: u32) -> Self {
        let link = server.peer_link(Credential {
            customer: name("Stromasys/Testing"),
            license_id: theirs(),
            mode: Mode::AutoVe,
            server_key: ServerKey([8; 32]),
        });
        let mut peer = Self { link, instances, number: 0 };
        peer.stands(server, Ok(()));
        peer
    }

    fn stands(&mut self, server: &mut Server, told: Result<(), ReasonCode>) {
        let status = PeerStatus {
            license_id: theirs(),
            instances: self.instances,
            serves: told,
            homed: 0,
            guests: 0,
            wall: server.now().wall,
        };
        self.says(server, PeerMessage::Status(status));
    }

    fn says(&self, server: &mut Server, message: PeerMessage) {
        server.input(Input::PeerSaid { link: self.link, message });
    }

    /// It tells of these entries, which are all that it has to tell.
    fn tells(&mut self, server: &mut Server, entries: Vec<HostEntry>) {
        self.number += entries.len() as u64;
        let upto = Position { span: SpanId([0xee; 16]), number: self.number };
        let last = self.number;
        self.says(server, PeerMessage::Changes { entries, upto, last });
    }

    /// A host has emulators there.
    fn has(&self, server: &mut Server, host: u8, boot: u8) {
        self.has_since(server, host, boot, None, None);
    }

    /// A host has emulators there since then, and is proven to live beside another boot of it here.
    fn has_since(
        &self,
        server: &mut Server,
        host: u8,
        boot: u8,
        since: Option<Utc>,
        beside: Option<u8>,
    ) {
        let boot_id = |boot: u8| BootId([boot; 16]);
        let presence = Presence {
            host: key(host),
            boot: Some(boot_id(boot)),
            since,
            beside: beside.map(boot_id),
            address: name("10.7.7.7:5000"),
            emulators: 1,
        };
        let message = PeerMessage::Presence { reset: false, present: vec![presence], gone: vec![] };
        self.says(server, message);
    }

    fn goes(self, server: &mut Server) {
        let last_heard = server.now().elapsed;
        server.input(Input::LinkClosed { link: self.link, last_heard });
    }
}

/// A server that knows the peer's hosts and is not in contact with it any more.
fn left_alone(instances: u32, their_hosts: &[u8]) -> Server {
    let mut server = Server::with([autove(instances)]);
    let mut peer = Peer::comes(&mut server, 10);
    let entries = their_hosts.iter().map(|host| entry(*host, theirs(), i64::from(*host)));
    peer.tells(&mut server, entries.collect());
    peer.goes(&mut server);
    server
}

fn has_note(server: &Server, is_it: impl Fn(&Note) -> bool) -> bool {
    server.notes().into_iter().any(is_it)
}

fn later(server: &Server, seconds: i64) -> Utc {
    server.now().wall.plus_seconds(seconds)
}
