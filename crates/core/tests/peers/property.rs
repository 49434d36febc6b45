//! Whatever happens to two servers, their disks and the links between them: once all is mended, both
//! have the same registry, and nothing that was acknowledged is missing from it while one copy had it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ve_core::{
    id::HostKey,
    node::io::{Input, Ticket},
    registry::{HostEntry, HostState},
};

use crate::harness::{AutoVe, Disk, HERE, Pair, Store, THERE, entry, host, identified};

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A host is registered at a side, perhaps with a machine's identity.
    Register { side: usize, number: u16, revision: u64, identity: Option<u8> },
    /// The administrator of a side retires a host.
    Retire { side: usize, number: u16 },
    /// A side dials.
    Connect { side: usize },
    /// A link is cut.
    Cut { nth: usize },
    /// So many messages arrive.
    Deliver { count: usize, nth: usize, to: usize },
    /// All messages arrive.
    Settle,
    /// A server is killed and starts again.
    Crash { side: usize },
    /// Somebody copies a server's registry.
    Keep { side: usize },
    /// A server is killed, and starts again with the copy; or with none.
    PutBack { side: usize, lost: bool },
    /// A disk changes.
    Disk { side: usize, disk: Disk },
    /// A ledger's disk changes.
    Ledger { side: usize, disk: Disk },
    /// A write that waits is settled.
    SettleOne { side: usize, succeeds: bool },
    /// Time passes.
    Pass { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let side = || 0..2_usize;
    let number = || 0..12_u16;
    let disk = || prop_oneof![Just(Disk::Fine), Just(Disk::Slow), Just(Disk::Full)];
    let identity = || proptest::option::weighted(0.2, 0..2_u8);
    let step = prop_oneof![
        6 => (side(), number(), 1..4_u64, identity()).prop_map(|(side, number, revision, identity)|
            Step::Register { side, number, revision, identity }),
        1 => (side(), number()).prop_map(|(side, number)| Step::Retire { side, number }),
        3 => side().prop_map(|side| Step::Connect { side }),
        1 => (0..4_usize).prop_map(|nth| Step::Cut { nth }),
        5 => (1..6_usize, 0..4_usize, side()).prop_map(|(count, nth, to)| Step::Deliver { count, nth, to }),
        2 => Just(Step::Settle),
        1 => side().prop_map(|side| Step::Crash { side }),
        1 => side().prop_map(|side| Step::Keep { side }),
        1 => (side(), proptest::bool::weighted(0.3)).prop_map(|(side, lost)| Step::PutBack { side, lost }),
        1 => (side(), disk()).prop_map(|(side, disk)| Step::Disk { side, disk }),
        1 => (side(), prop_oneof![Just(Disk::Fine), Just(Disk::Full)])
            .prop_map(|(side, disk)| Step::Ledger { side, disk }),
        3 => (side(), proptest::bool::weighted(0.7)).prop_map(|(side, succeeds)| Step::SettleOne { side, succeeds }),
        1 => (0..15_000_u64).prop_map(|ms| Step::Pass { ms }),
    ];
    proptest::collection::vec(step, 1..60)
}

/// The two, and what they owe their hosts and administrators.
struct World {
    pair: Pair,
    kept: [Option<Store>; 2],
    /// What was asked of each side and may be acknowledged yet.
    asked: [BTreeMap<Ticket, (HostKey, bool)>; 2],
    registered: BTreeSet<HostKey>,
    retired: BTreeSet<HostKey>,
    tickets: Ticket,
}

impl World {
    fn new() -> Self {
        Self {
            pair: Pair::in_contact(),
            kept: [None, None],
            asked: Default::default(),
            registered: BTreeSet::new(),
            retired: BTreeSet::new(),
            tickets: 1_000,
        }
    }

    fn step(&mut self, step: &Step) {
        let pair = &mut self.pair;
        match *step {
            Step::Register { side, number, revision, identity } => {
                let home = AutoVe(u16::try_from(side).unwrap() + 1);
                let plain = entry(number, home);
                let entry = match identity {
                    Some(id) => {
                        HostEntry { revision, ..identified(number, home, &format!("i-{id}")) }
                    }
                    None => HostEntry { revision, ..plain },
                };
                self.ask(side, number, false, |ticket| Input::ImportHosts {
                    ticket,
                    entries: vec![entry],
                });
            }
            Step::Retire { side, number } => {
                if pair.sides[side].store.entries.contains_key(&host(number)) {
                    self.ask(side, number, true, |ticket| Input::Retire {
                        ticket,
                        host: host(number),
                    });
                }
            }
            Step::Connect { side } => {
                pair.connect(side);
            }
            Step::Cut { nth } => {
                if let Some(link) = pair.links().get(nth) {
                    pair.cut(*link);
                }
            }
            Step::Deliver { count, nth, to } => {
                if let Some(link) = pair.links().get(nth) {
                    (0..count).for_each(|_| {
                        pair.deliver(*link, to);
                    });
                }
            }
            Step::Settle => pair.settle(),
            Step::Crash { side } => {
                self.asked[side].clear();
                pair.crash(side);
            }
            Step::Keep { side } => self.kept[side] = Some(pair.sides[side].store.clone()),
            Step::PutBack { side, lost } => self.put_back(side, lost),
            Step::Disk { side, disk: Disk::Fine } => {
                pair.sides[side].mend(pair.now);
                pair.collect(side);
            }
            Step::Disk { side, disk } => pair.set_disk(side, disk),
            Step::Ledger { side, disk } => pair.sides[side].ledger_disk = disk,
            Step::SettleOne { side, succeeds } => {
                pair.sides[side].settle_one(pair.now, succeeds);
                pair.collect(side);
            }
            Step::Pass { ms } => pair.pass(ms),
        }
        self.hear_replies();
    }

    fn ask(
        &mut self,
        side: usize,
        number: u16,
        retires: bool,
        input: impl FnOnce(Ticket) -> Input,
    ) {
        self.tickets += 1;
        self.asked[side].insert(self.tickets, (host(number), retires));
        self.pair.input(side, input(self.tickets));
    }

    fn hear_replies(&mut self) {
        for side in [HERE, THERE] {
            let replies = &self.pair.sides[side].replies;
            self.asked[side].retain(|ticket, (host, retires)| match replies.get(ticket) {
                None => true,
                Some(outcome) => {
                    // That there is no news says nothing of what is durable.
                    let is_news = !matches!(outcome, Ok(said) if said.starts_with("nothing"));
                    if outcome.is_ok() && is_news {
                        let owed = if *retires { &mut self.retired } else { &mut self.registered };
                        owed.insert(*host);
                    }
                    false
                }
            });
        }
    }

    /// What no copy has any more is nobody's to give back, but for retirements: the ledgers have them.
    fn put_back(&mut self, side: usize, lost: bool) {
        let empty = Store { may_lack_hosts: true, ..Store::default() };
        let old = if lost { Some(empty) } else { self.kept[side].clone() };
        let Some(old) = old else { return };
        let other = &self.pair.sides[1 - side].store.entries;
        self.registered.retain(|host| old.entries.contains_key(host) || other.contains_key(host));
        self.asked[side].clear();
        self.pair.crash_with(side, old);
    }

    fn judge(mut self) -> Result<(), TestCaseError> {
        self.pair.heal();
        self.hear_replies();
        let [here, there] = &self.pair.sides;
        let hosts = here.store.hosts();
        prop_assert_eq!(&hosts, &there.store.hosts());
        for owed in self.registered.union(&self.retired) {
            prop_assert!(hosts.contains_key(owed), "{} is missing", owed);
        }
        for retired in &self.retired {
            prop_assert_eq!(hosts[retired].state, HostState::Retired, "{}", retired);
        }
        for entry in hosts.values().filter(|entry| entry.state == HostState::Retired) {
            for side in [here, there] {
                let known = side.retirements().iter().any(|(host, _)| *host == entry.host);
                prop_assert!(known, "a ledger doesn't know that {} is retired", entry.host);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_have_everything_in_the_end(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.judge()?;
    }
}
