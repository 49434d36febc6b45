//! One server with its disk.

use std::collections::{BTreeMap, VecDeque};

use ve_core::{
    id::{BootId, HostKey, LinkId, RunId, ServerKey, SessionId, SpanId},
    license::{ProductVersion, Verified},
    node::{
        Node, Settings,
        event::{AppendError, Event, Record},
        io::{
            Answer, AppendId, Ask, AutoVeRules, Durable, Effect, EnrollId, Input, Login, Note,
            Ticket,
        },
        peer::{PeerMessage, PeerView},
    },
    reason::Refusal,
    registry::{Batch, HostEntry, HostFacts},
    select::Wanted,
    time::Now,
};

use super::{License, Store, host, license::machine, name, store::fold};

/// What a disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Durable at once.
    Fine,
    /// Kept waiting until the story lets it go.
    Slow,
    /// Refused at once.
    Full,
}

/// A server, its registry and its ledger.
pub(crate) struct Side {
    pub(crate) node: Node,
    pub(crate) license: License,
    pub(crate) store: Store,
    pub(crate) ledger: Vec<Record>,
    pub(crate) disk: Disk,
    pub(crate) ledger_disk: Disk,
    waiting: VecDeque<(EnrollId, Batch)>,
    /// What it said to the other, and could not deliver itself.
    pub(crate) out: VecDeque<Effect>,
    pub(crate) notes: Vec<Note>,
    pub(crate) replies: BTreeMap<Ticket, Result<String, Refusal>>,
    pub(crate) others: Vec<Effect>,
    last_ticket: Ticket,
    starts: u8,
}

impl Side {
    pub(crate) fn new(license: License, now: Now) -> Self {
        let mut store = Store::default();
        let remembered = store.begin(span(license.server_key, 1));
        let mut side = Self {
            node: Node::new(settings(license), fold(&[]), &remembered, now),
            license,
            store,
            ledger: Vec::new(),
            disk: Disk::Fine,
            ledger_disk: Disk::Fine,
            waiting: VecDeque::new(),
            out: VecDeque::new(),
            notes: Vec::new(),
            replies: BTreeMap::new(),
            others: Vec::new(),
            last_ticket: 0,
            starts: 1,
        };
        side.start(now);
        side
    }

    fn start(&mut self, now: Now) {
        self.input(now, Input::Machine(machine()));
        let rules = AutoVeRules { has_peer: true, ..AutoVeRules::default() };
        self.input(now, Input::AutoVe(rules));
        self.announce(now);
        self.input(now, Input::Tick);
        self.input(now, Input::Ready);
    }

    /// Installs another license in the place of what it has.
    pub(crate) fn install(&mut self, now: Now, license: License) {
        self.license = license;
        self.announce(now);
    }

    fn announce(&mut self, now: Now) {
        let trusted = vec![Verified::vouch(self.license.build())];
        self.input(now, Input::Licenses { trusted, unusable: Vec::new() });
    }

    /// The server is killed, and starts again from what its disk has.
    pub(crate) fn restart(&mut self, now: Now) {
        self.waiting.clear();
        self.out.clear();
        self.disk = Disk::Fine;
        self.ledger_disk = Disk::Fine;
        self.starts += 1;
        let remembered = self.store.begin(span(self.license.server_key, self.starts));
        self.node = Node::new(settings(self.license), fold(&self.ledger), &remembered, now);
        self.start(now);
    }

    pub(crate) fn input(&mut self, now: Now, input: Input) {
        self.node.handle(now, input);
        while let Some(effect) = self.node.poll() {
            self.carry_out(now, effect);
        }
    }

    fn carry_out(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::Append { id, records } => self.append(now, id, records),
            Effect::Enroll { id, batch } if self.disk == Disk::Slow || !self.waiting.is_empty() => {
                self.waiting.push_back((id, batch));
            }
            Effect::Enroll { id, batch } => self.write(now, id, &batch, self.disk == Disk::Fine),
            Effect::TellPeer { .. } | Effect::RefusePeer { .. } => self.out.push_back(effect),
            Effect::Note(note) => self.notes.push(note),
            Effect::Reply { ticket, outcome } => {
                self.replies.insert(ticket, outcome);
            }
            other => self.others.push(other),
        }
    }

    fn append(&mut self, now: Now, id: AppendId, records: Vec<Record>) {
        let outcome = if self.ledger_disk == Disk::Full {
            Err(AppendError("no space is left".into()))
        } else {
            self.ledger.extend(records);
            Ok(Durable::Ledger)
        };
        self.node.handle(now, Input::Appended { id, outcome });
    }

    fn write(&mut self, now: Now, id: EnrollId, batch: &Batch, succeeds: bool) {
        let outcome = if succeeds {
            self.store.write(batch);
            Ok(())
        } else {
            Err(AppendError("no space is left".into()))
        };
        self.node.handle(now, Input::Enrolled { id, outcome });
    }

    /// Settles the write that waits longest; whether there was one.
    pub(crate) fn settle_one(&mut self, now: Now, succeeds: bool) -> bool {
        let Some((id, batch)) = self.waiting.pop_front() else { return false };
        self.write(now, id, &batch, succeeds);
        while let Some(effect) = self.node.poll() {
            self.carry_out(now, effect);
        }
        true
    }

    /// The disk is fine again, and all that waits becomes durable.
    pub(crate) fn mend(&mut self, now: Now) {
        (self.disk, self.ledger_disk) = (Disk::Fine, Disk::Fine);
        while self.settle_one(now, true) {}
    }

    /// The administrator imports entries; the reply, once there is one.
    pub(crate) fn import(
        &mut self,
        now: Now,
        entries: Vec<HostEntry>,
    ) -> Option<Result<String, Refusal>> {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.input(now, Input::ImportHosts { ticket, entries });
        self.replies.get(&ticket).cloned()
    }

    /// The administrator retires a host; the reply, once there is one.
    pub(crate) fn retire(&mut self, now: Now, host: HostKey) -> Option<Result<String, Refusal>> {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.input(now, Input::Retire { ticket, host });
        self.replies.get(&ticket).cloned()
    }

    /// An emulator of a host logs in, over a link of its own; what it is told.
    pub(crate) fn login(&mut self, now: Now, link: u64, number: u16, boot: u8) -> Answer {
        let link = LinkId(1_000_000 + link);
        let address = name(&format!("10.1.{}.{}:40000", number >> 8, number & 255));
        self.input(now, Input::LinkOpened { link, host: host(number), address });
        let ask = Ask::Login { login: login(number, boot), fresh: fresh(link) };
        self.ask(now, link, ask)
    }

    /// An emulator comes back to its session, over a link as that which it had; what it is told.
    pub(crate) fn come_back(&mut self, now: Now, link: u64, number: u16, boot: u8) -> Answer {
        let link = LinkId(1_000_000 + link);
        let address = name("10.1.0.9:40001");
        self.input(now, Input::LinkOpened { link, host: host(number), address });
        let login = Login { session: Some(fresh(link)), ..login(number, boot) };
        self.ask(now, link, Ask::Login { login, fresh: fresh(LinkId(link.0 + 1)) })
    }

    /// An emulator asks whether it is still licensed; what it is told.
    pub(crate) fn check(&mut self, now: Now, link: u64) -> Answer {
        let link = LinkId(1_000_000 + link);
        self.ask(now, link, Ask::Check(fresh(link)))
    }

    fn ask(&mut self, now: Now, link: LinkId, ask: Ask) -> Answer {
        self.others.clear();
        self.input(now, Input::Request { link, request: 1, ask });
        let answer = self.others.iter().find_map(|effect| match effect {
            Effect::Answer { link: answered, answer, .. } if *answered == link => Some(answer),
            _ => None,
        });
        answer.expect("an answer").clone()
    }

    /// Answers every question of the server whether a session runs: it does. How many there were.
    pub(crate) fn pong(&mut self, now: Now) -> usize {
        let others = std::mem::take(&mut self.others);
        let pings: Vec<_> = others
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Ping { link, session } => Some((link, session)),
                _ => None,
            })
            .collect();
        for (link, session) in &pings {
            self.input(now, Input::Pong { link: *link, session: *session, runs: true });
        }
        pings.len()
    }

    /// The link of a login is gone.
    pub(crate) fn close(&mut self, now: Now, link: u64) {
        let link = LinkId(1_000_000 + link);
        self.input(now, Input::LinkClosed { link, last_heard: now.elapsed });
    }

    /// Something comes in over a link to the other.
    pub(crate) fn hear(&mut self, now: Now, link: LinkId, message: PeerMessage) {
        self.input(now, Input::PeerSaid { link, message });
    }

    pub(crate) fn peer(&self, now: Now) -> PeerView<'_> {
        self.node.peer(now).expect("a peer is configured")
    }

    /// The hosts whose retirement stands in the ledger, and whether that was decided here.
    pub(crate) fn retirements(&self) -> Vec<(HostKey, bool)> {
        let retired = self.ledger.iter().filter_map(|record| match &record.event {
            Event::HostRetired { host, here, .. } => Some((*host, *here)),
            _ => None,
        });
        retired.collect()
    }
}

fn settings(license: License) -> Settings {
    Settings {
        server_key: ServerKey([license.server_key; 32]),
        boot: BootId([1; 16]),
        heartbeat_timeout_ms: 6_000,
    }
}

/// The only emulator of a host.
fn login(number: u16, boot: u8) -> Login {
    let facts = HostFacts {
        name: name(&format!("host-{number}")),
        platform: None,
        boot: BootId([boot; 16]),
        identity: None,
        receipts: Vec::new(),
    };
    Login {
        product: name("Charon-SSP"),
        wanted: Wanted {
            hardware: name("Charon-SSP/4M"),
            version: ProductVersion::try_from(name("5.1.32")).unwrap(),
            cpus: 1,
            memory_mb: 64,
            passphrase: None,
        },
        emulator: name("solaris"),
        session: None,
        run: RunId([boot; 16]),
        witnesses: Vec::new(),
        facts: Some(facts),
    }
}

fn fresh(link: LinkId) -> SessionId {
    let mut bytes = [0xf5; 16];
    bytes[8..].copy_from_slice(&link.0.to_be_bytes());
    SessionId(bytes)
}

/// The name of a server's span at this start.
fn span(server_key: u8, start: u8) -> SpanId {
    let mut name = [server_key; 16];
    name[0] = start;
    SpanId(name)
}
