//! A registry from a backup: merged into the one that is there, it brings back and takes nothing away.

use std::{collections::BTreeMap, fs};

use proptest::{collection::vec, prelude::*};
use ve_core::registry::{HostEntry, HostState, Span, changes::resume_after};
use ve_store::{HostStore, LoadError, Merge, adopt_hosts, merge_hosts, plan_merge};

use crate::hosts::entries::{
    NOW, Place, batch, entry, homed, key, numbers, retired, span, written,
};

/// A registry file with these changes.
fn holding(changes: impl IntoIterator<Item = (u64, HostEntry)>) -> Place {
    let place = Place::new();
    let mut store = place.start(1);
    written(&mut store, &[batch(changes)]);
    store.close().expect("a tidy end");
    place
}

#[test]
fn both_are_in_the_result_and_news_has_numbers_of_its_own() {
    let here = holding([(1, entry(1)), (2, retired(2)), (3, entry(3))]);
    let seen_later = {
        let mut later = entry(3);
        later.seen.at = NOW;
        later
    };
    let backup = holding([(1, retired(1)), (2, entry(2)), (3, seen_later.clone()), (4, entry(4))]);
    let expected = Ok(Merge { news: 3, entries: 4 });
    assert_eq!(plan_merge(&here.instances(), &backup.instances()), expected);
    assert_eq!(merge_hosts(&here.instances(), &backup.instances(), span(7)), expected);
    assert!(!here.log().exists(), "all of it is in the file");
    let merged = here.read();
    let expected = [(2, retired(2)), (4, retired(1)), (5, seen_later), (6, entry(4))];
    assert_eq!(merged.entries, expected);
    // A peer that has all before goes on with the news, even one that has seen more of an old span.
    assert_eq!(merged.spans.last(), Some(&Span { id: span(7), after: 3 }));
    let position = ve_core::registry::Position { span: span(1), number: 99 };
    assert_eq!(resume_after(&merged.spans, 6, Some(position)), 3);
    // Once more changes nothing.
    let nothing = Ok(Merge { news: 0, entries: 4 });
    assert_eq!(merge_hosts(&here.instances(), &backup.instances(), span(7)), nothing);
    assert_eq!(here.read(), merged);
    assert!(!merged.may_lack_hosts);
}

/// Killed between two merges of one restore: the numbers go on in the same span.
#[test]
fn a_merge_that_goes_on_begins_no_second_span() {
    let here = holding([(1, entry(1))]);
    for number in [2, 3] {
        let backup = holding([(1, entry(number))]);
        assert_eq!(
            merge_hosts(&here.instances(), &backup.instances(), span(7)).map(|it| it.news),
            Ok(1)
        );
    }
    let merged = here.read();
    assert_eq!(merged.spans, [Span { id: span(1), after: 0 }, Span { id: span(7), after: 1 }]);
    assert_eq!(numbers(&merged), [1, 2, 3]);
}

#[test]
fn what_is_no_registry_is_not_merged() {
    let here = holding([(1, entry(1))]);
    let bytes = fs::read(here.instances()).expect("a file");
    let backup = Place::new();
    for content in [&b""[..], &[0xa5; 9_000]] {
        fs::write(backup.instances(), content).expect("a file");
        let refused = merge_hosts(&here.instances(), &backup.instances(), span(7));
        assert_eq!(refused, Err(LoadError::NoRegistry(backup.instances())));
    }
    assert!(fs::read(here.instances()).expect("a file") == bytes);
}

#[test]
fn an_adopted_registry_may_lack_hosts_until_the_ledger_says_otherwise() {
    let place = holding([(1, entry(1))]);
    for _ in 0..2 {
        adopt_hosts(&place.instances()).expect("adopted");
    }
    assert!(!place.log().exists() && place.read().may_lack_hosts);
    for (number, marked, expected) in [(2, 2, true), (3, 1, true), (4, 2, false)] {
        let mut opened = place.start_with(number, &homed(marked));
        let hosts = opened.store.remember().expect("a registry");
        assert_eq!(hosts.may_lack_hosts, expected, "start {number}");
    }
}

fn changes() -> impl Strategy<Value = Vec<HostEntry>> {
    let state = prop::sample::select(vec![HostState::Active, HostState::Moved, HostState::Retired]);
    let entry = (0_u64..8, 1_u64..4, state).prop_map(|(number, revision, state)| HostEntry {
        revision,
        state,
        ..entry(number)
    });
    vec(entry, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_merge_holds_every_host_of_both_as_their_entries_merge(ours in changes(), theirs in changes()) {
        let [here, backup] = [&ours, &theirs].map(|entries| holding((1..).zip(entries.clone())));
        merge_hosts(&here.instances(), &backup.instances(), span(7)).expect("merged");
        let latest = |entries: &[HostEntry]| -> BTreeMap<_, _> {
            entries.iter().map(|entry| (entry.host, entry.clone())).collect()
        };
        let (ours, theirs) = (latest(&ours), latest(&theirs));
        let merged: BTreeMap<_, _> =
            here.read().entries.into_iter().map(|(_, entry)| (entry.host, entry)).collect();
        for number in 0..8 {
            let host = key(number);
            let expected = match (ours.get(&host), theirs.get(&host)) {
                (Some(ours), Some(theirs)) => Some(ours.merge(theirs)),
                (one, other) => one.or(other).cloned(),
            };
            prop_assert_eq!(merged.get(&host), expected.as_ref());
        }
        // And the other way round it is the same.
        let [here, backup] = [theirs, ours].map(|entries| holding((1..).zip(entries.into_values())));
        merge_hosts(&here.instances(), &backup.instances(), span(7)).expect("merged");
        let other: BTreeMap<_, _> =
            here.read().entries.into_iter().map(|(_, entry)| (entry.host, entry)).collect();
        prop_assert_eq!(other, merged);
    }
}
