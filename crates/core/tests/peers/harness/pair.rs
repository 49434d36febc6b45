//! Two servers and the links between them.

use std::collections::{BTreeMap, VecDeque};

use ve_core::{
    id::LinkId,
    license::Verified,
    node::{
        io::{Answer, Effect, Input},
        peer::{PeerFailure, PeerMessage},
    },
    reason::Refusal,
    time::{Elapsed, Now},
};

use super::{Disk, License, Side, Store, WALL_AT_START, autove, entries_in, name};

/// The one side.
pub(crate) const HERE: usize = 0;
/// The other side.
pub(crate) const THERE: usize = 1;

/// A link: what is on its way to each side.
#[derive(Debug)]
struct Wire {
    dialer: usize,
    to: [VecDeque<PeerMessage>; 2],
}

/// Two servers.
pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    wires: BTreeMap<LinkId, Wire>,
    pub(crate) now: Now,
    last_link: u64,
    /// Every message that was sent, and to whom.
    pub(crate) sent: Vec<(usize, PeerMessage)>,
    /// Who refused, and why.
    pub(crate) refusals: Vec<(usize, Refusal)>,
    /// By how many seconds each side's wall clock is off.
    off_s: [i64; 2],
}

impl Pair {
    /// Two peers with licenses 1 and 2, which don't know each other yet.
    pub(crate) fn new() -> Self {
        Self::with(autove(1, 1), autove(2, 2))
    }

    pub(crate) fn with(here: License, there: License) -> Self {
        let now = Now { elapsed: Elapsed(1_000_000), wall: WALL_AT_START };
        Self {
            sides: [Side::new(here, now), Side::new(there, now)],
            wires: BTreeMap::new(),
            now,
            last_link: 0,
            sent: Vec::new(),
            refusals: Vec::new(),
            off_s: [0; 2],
        }
    }

    /// Two peers in step.
    pub(crate) fn in_contact() -> Self {
        let mut pair = Self::new();
        pair.connect(HERE);
        pair.settle();
        pair
    }

    /// One side dials the other, and both believe what they see. Nothing is delivered yet.
    pub(crate) fn connect(&mut self, dialer: usize) -> LinkId {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        self.wires.insert(link, Wire { dialer, to: [VecDeque::new(), VecDeque::new()] });
        for side in [HERE, THERE] {
            let peer = Verified::vouch(self.sides[1 - side].license.credential());
            let address = name(&format!("192.0.2.{}:8083", 2 - side));
            let opened = Input::PeerOpened { link, peer, address, dialed: side == dialer };
            if self.wires.contains_key(&link) {
                self.input(side, opened);
            }
        }
        link
    }

    /// A link is cut: what was on its way is lost.
    pub(crate) fn cut(&mut self, link: LinkId) {
        if self.wires.remove(&link).is_some() {
            for side in [HERE, THERE] {
                let last_heard = self.now.elapsed;
                self.input(side, Input::LinkClosed { link, last_heard });
            }
        }
    }

    /// All links are cut.
    pub(crate) fn part(&mut self) {
        for link in self.links() {
            self.cut(link);
        }
    }

    pub(crate) fn links(&self) -> Vec<LinkId> {
        self.wires.keys().copied().collect()
    }

    /// The server of a side is killed and starts again; its links are gone.
    pub(crate) fn crash(&mut self, side: usize) {
        self.crash_with(side, self.sides[side].store.clone());
    }

    /// The same, with another copy of the registry in place of its own.
    pub(crate) fn crash_with(&mut self, side: usize, store: Store) {
        let links = self.links();
        self.wires.clear();
        self.sides[side].store = store;
        self.sides[side].restart(self.now);
        for link in links {
            let last_heard = self.now.elapsed;
            self.input(1 - side, Input::LinkClosed { link, last_heard });
        }
        self.collect(side);
    }

    pub(crate) fn input(&mut self, side: usize, input: Input) {
        let now = self.now_at(side);
        self.sides[side].input(now, input);
        self.collect(side);
    }

    /// A side's wall clock is off by so much from now on.
    pub(crate) fn set_wall_off(&mut self, side: usize, off_s: i64) {
        self.off_s[side] = off_s;
    }

    fn now_at(&self, side: usize) -> Now {
        Now { wall: self.now.wall.plus_seconds(self.off_s[side]), ..self.now }
    }

    /// Takes what a side has said.
    pub(crate) fn collect(&mut self, side: usize) {
        while let Some(effect) = self.sides[side].out.pop_front() {
            match effect {
                Effect::TellPeer { link, message } => {
                    self.sent.push((1 - side, message.clone()));
                    if let Some(wire) = self.wires.get_mut(&link) {
                        wire.to[1 - side].push_back(message);
                    }
                }
                Effect::RefusePeer { link, refusal } => self.refused(side, link, refusal),
                other => panic!("not for the other side: {other:?}"),
            }
        }
    }

    fn refused(&mut self, side: usize, link: LinkId, refusal: Refusal) {
        self.refusals.push((side, refusal.clone()));
        let Some(wire) = self.wires.remove(&link) else { return };
        for closed in [side, 1 - side] {
            let last_heard = self.now.elapsed;
            self.input(closed, Input::LinkClosed { link, last_heard });
        }
        if wire.dialer != side {
            self.input(1 - side, Input::PeerFailed { refusal: PeerFailure::Refused(refusal) });
        }
    }

    /// Delivers the next message of a link to a side; whether there was one.
    pub(crate) fn deliver(&mut self, link: LinkId, to: usize) -> bool {
        let Some(wire) = self.wires.get_mut(&link) else { return false };
        let Some(message) = wire.to[to].pop_front() else { return false };
        let now = self.now_at(to);
        self.sides[to].hear(now, link, message);
        self.collect(to);
        true
    }

    /// Delivers everything until no one has anything to say.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let mut delivered = false;
            for link in self.links() {
                delivered |= self.deliver(link, HERE);
                delivered |= self.deliver(link, THERE);
            }
            if !delivered {
                return;
            }
        }
        panic!("the two never come to rest");
    }

    /// Lets time pass, with every tick that a node asks for and every message delivered at once.
    pub(crate) fn pass(&mut self, duration_ms: u64) {
        let end = self.now.elapsed.plus_ms(duration_ms);
        loop {
            self.settle();
            let due = self.sides.iter().map(|side| side.node.deadline()).min().unwrap_or(end);
            let next = due.min(end).max(self.now.elapsed);
            self.move_clocks(next.since_ms(self.now.elapsed));
            if due > end {
                return;
            }
            for side in [HERE, THERE] {
                if self.sides[side].node.deadline() <= self.now.elapsed {
                    self.input(side, Input::Tick);
                    let deadline = self.sides[side].node.deadline();
                    assert!(deadline > self.now.elapsed, "a tick must move the deadline on");
                }
            }
        }
    }

    pub(crate) fn move_clocks(&mut self, duration_ms: u64) {
        let before_s = self.now.elapsed.0 / 1_000;
        self.now.elapsed = self.now.elapsed.plus_ms(duration_ms);
        let passed_s = (self.now.elapsed.0 / 1_000 - before_s).cast_signed();
        self.now.wall = self.now.wall.plus_seconds(passed_s);
    }

    /// Mends everything, joins the two, and gives them time for what they try again.
    pub(crate) fn heal(&mut self) {
        for side in [HERE, THERE] {
            self.sides[side].mend(self.now);
            self.collect(side);
        }
        if self.wires.is_empty() {
            self.connect(HERE);
        }
        self.pass(40_000);
    }

    /// How many entries were sent to a side since that was counted last.
    pub(crate) fn take_entries_to(&mut self, to: usize) -> usize {
        let (counted, rest) = std::mem::take(&mut self.sent).into_iter().partition(|s| s.0 == to);
        self.sent = rest;
        let counted: Vec<(usize, PeerMessage)> = counted;
        counted.iter().map(|(_, message)| entries_in(message)).sum()
    }

    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        let [here, there] = &self.sides;
        assert_eq!(here.store.hosts(), there.store.hosts(), "the registries are not equal");
    }

    pub(crate) fn set_disk(&mut self, side: usize, disk: Disk) {
        self.sides[side].disk = disk;
    }

    /// The host's emulator logs in at a side, over the link with the host's number.
    pub(crate) fn login(&mut self, side: usize, number: u16, boot: u8) -> Answer {
        let answer = self.sides[side].login(self.now, u64::from(number), number, boot);
        self.collect(side);
        answer
    }

    /// The host's emulator comes back to its session.
    pub(crate) fn come_back(&mut self, side: usize, number: u16, boot: u8) -> Answer {
        let answer = self.sides[side].come_back(self.now, u64::from(number), number, boot);
        self.collect(side);
        answer
    }

    /// The host's emulator asks whether it is still licensed.
    pub(crate) fn check(&mut self, side: usize, number: u16) -> Answer {
        let answer = self.sides[side].check(self.now, u64::from(number));
        self.collect(side);
        answer
    }

    /// The emulators answer whether they run; how many were asked.
    pub(crate) fn pong(&mut self, side: usize) -> usize {
        let asked = self.sides[side].pong(self.now);
        self.collect(side);
        asked
    }

    /// The host's emulator is gone.
    pub(crate) fn close(&mut self, side: usize, number: u16) {
        self.sides[side].close(self.now, u64::from(number));
        self.collect(side);
    }

    /// Imports entries at a side, which takes them.
    #[track_caller]
    pub(crate) fn register(
        &mut self,
        side: usize,
        entries: impl IntoIterator<Item = ve_core::registry::HostEntry>,
    ) {
        let reply = self.sides[side].import(self.now, entries.into_iter().collect());
        self.collect(side);
        assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
    }

    /// Retires a host at a side, which says that it is done.
    #[track_caller]
    pub(crate) fn retire(&mut self, side: usize, host: ve_core::id::HostKey) {
        let reply = self.sides[side].retire(self.now, host);
        self.collect(side);
        assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
    }
}
