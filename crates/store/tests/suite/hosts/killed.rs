//! A server that is killed at any moment has lost no registration that it acknowledged, and none
//! without the cursor that says so.

use std::{env, io::Write, path::Path};

use ve_core::{
    node::event::Remembered,
    registry::{Batch, HostEntry},
};
use ve_store::{EmbeddedHosts, HostStore, HostsReadOnly, HostsStart};

use crate::{
    hosts::entries::{NOW, Place, entry, key, pulled, span},
    killed::kill_after,
};

/// Names the registry to the process that will be killed.
const INSTANCES: &str = "VE_STORE_TEST_INSTANCES";

/// How many hosts there are; each changes again and again.
const HOSTS: u64 = 500;

const ENTRIES: u64 = 5;

/// The batch with that number, from 1: its entries' revisions and the cursor tell which it is.
fn batch(number: u64) -> Batch {
    let changes = (number - 1) * ENTRIES + 1..=number * ENTRIES;
    let entry = |change: u64| HostEntry { revision: number, ..entry(change % HOSTS) };
    Batch {
        entries: changes.map(|change| (change, entry(change))).collect(),
        pulled: Some(pulled(number)),
        peer: None,
    }
}

#[test]
#[ignore = "a part of the next test, which runs it in a process of its own and kills it"]
fn child_writes_until_it_is_killed() {
    let path = env::var_os(INSTANCES).expect("run by the next test, with the registry's path");
    let mut id = [0; 16];
    id[..4].copy_from_slice(&std::process::id().to_le_bytes());
    let start = HostsStart {
        server_key: None,
        span: ve_core::id::SpanId(id),
        snapshots: Path::new("/nonexistent"),
        ledger: &Remembered::default(),
        now: NOW,
    };
    let opened = EmbeddedHosts::open_for_service(Path::new(&path), start).expect("a registry");
    let mut store = opened.store;
    let mut last = store.remember().expect("a registry").pulled.map_or(0, |at| at.number);
    for group in (1..40).cycle() {
        let batches: Vec<Batch> = (last + 1..=last + group).map(batch).collect();
        store.write(&batches.iter().collect::<Vec<_>>()).expect("durable");
        last += group;
        writeln!(std::io::stdout(), "acknowledged {last}").expect("the parent listens");
    }
}

/// The test that is started as a process of its own.
const CHILD: &str = "hosts::killed::child_writes_until_it_is_killed";

#[test]
fn a_killed_server_has_lost_no_registration_that_it_acknowledged() {
    let place = Place::new();
    for (round, lines) in (1..=12_u8).zip((1..).map(|round| 1 + round * 7_919 % 127)) {
        let acknowledged = kill_after(CHILD, (INSTANCES, &place.instances()), lines);
        let left_behind = place.read();
        let mut store = place.start(round);
        let hosts = store.remember().expect("a sound registry");
        assert_eq!((&hosts.entries, hosts.pulled), (&left_behind.entries, left_behind.pulled));

        let batches = hosts.pulled.expect("a cursor").number;
        assert!(batches >= acknowledged, "{batches} batches, {acknowledged} acknowledged");
        // All of the cursor's batch, and nothing of the next.
        let newest: Vec<u64> = hosts.entries.iter().rev().map(|(number, _)| *number).collect();
        assert!(newest.iter().copied().eq((1..=batches * ENTRIES).rev().take(newest.len())));
        for (number, entry) in &hosts.entries {
            let revision = number.div_ceil(ENTRIES);
            assert_eq!((entry.host, entry.revision), (key(number % HOSTS), revision));
        }
        assert_eq!(hosts.spans.last().map(|newest| newest.id), Some(span(round)));
        drop(store);
        HostsReadOnly::open_checked(&place.instances()).expect("every page is sound");
    }
}
