//! The registry: merging whatever comes in whatever order, and the order of its changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ve_core::{
    fingerprint::Platform,
    id::{HostKey, LicenseId, SpanId},
    registry::{
        HostEntry, HostState, PlatformIdentity, Position, Registry, RememberedHosts, Seen, Span,
        changes::{resume_after, still_has},
    },
    time::Utc,
};

use crate::harness::{license, name};

fn home(number: u8) -> LicenseId {
    license(u32::from(number)).build_id()
}

fn identity(number: u8) -> Option<PlatformIdentity> {
    let id = name(&format!("i-{number}"));
    (number > 0).then_some(PlatformIdentity { platform: Platform::AmazonAws, id })
}

prop_compose! {
    /// A version of the entry of one of a few hosts; few values, so that many are alike.
    fn version()(
        host in 0_u8..4,
        home_number in 1_u8..3,
        revision in 1_u64..4,
        state in prop_oneof![
            4 => Just(HostState::Active),
            1 => Just(HostState::Moved),
            1 => Just(HostState::Retired),
        ],
        registered in 0_i64..3,
        machine in 0_u8..3,
        seen_at in 0_i64..3,
        seen_name in 0_u8..2,
    ) -> HostEntry {
        HostEntry {
            host: HostKey([host; 32]),
            home: home(home_number),
            revision,
            state,
            registered: Utc(registered),
            identity: identity(machine),
            seen: Seen {
                at: Utc(seen_at),
                name: name(&format!("host{seen_name}")),
                platform: None,
                address: name("10.0.0.1:1"),
            },
        }
    }
}

/// Versions of one host's entry.
fn versions_of_one() -> impl Strategy<Value = Vec<HostEntry>> {
    prop::collection::vec(version(), 1..6).prop_map(|versions| {
        versions.into_iter().map(|v| HostEntry { host: HostKey([1; 32]), ..v }).collect()
    })
}

fn merged<'a>(versions: impl IntoIterator<Item = &'a HostEntry>) -> HostEntry {
    versions.into_iter().cloned().reduce(|one, other| one.merge(&other)).unwrap()
}

fn empty() -> Registry {
    Registry::new(&RememberedHosts::empty(SpanId([1; 16])))
}

fn entries(registry: &Registry) -> Vec<HostEntry> {
    registry.iter().cloned().collect()
}

proptest! {
    #[test]
    fn merging_is_the_same_in_every_order_and_however_often(
        versions in versions_of_one(),
        order in any::<prop::sample::Index>(),
    ) {
        let all = merged(&versions);
        let mut turned = versions.clone();
        turned.rotate_left(order.index(versions.len()));
        prop_assert_eq!(&merged(turned.iter().rev()), &all);
        prop_assert_eq!(&merged(versions.iter().chain(&versions)), &all);
        for version in &versions {
            prop_assert_eq!(&all.merge(version), &all);
        }
        let (left, right) = versions.split_at(order.index(versions.len()));
        if !left.is_empty() {
            prop_assert_eq!(&merged(left).merge(&merged(right)), &all);
        }
        let is_retired = |version: &HostEntry| version.state == HostState::Retired;
        prop_assert_eq!(is_retired(&all), versions.iter().any(is_retired));
    }

    /// Whatever is put, merged and taken back, every index agrees with the entries.
    #[test]
    fn the_indexes_agree_with_the_entries(
        steps in prop::collection::vec((version(), 0_u8..4, 0_usize..6), 1..40),
    ) {
        let mut registry = empty();
        let mut taken_back = BTreeMap::new();
        for (version, what, limit) in steps {
            let before = registry.find(version.host).cloned();
            let host = version.host;
            match what {
                0 => drop(registry.put(version, None)),
                1 => drop(registry.merge(&version, None)),
                2 => {
                    let change = registry.put(version, None);
                    registry.take_back(change);
                    prop_assert_eq!(registry.find(host).cloned(), before);
                }
                _ => {
                    taken_back.insert(version.home.clone(), limit);
                    registry.set_limit(&version.home, limit);
                }
            }
            check_indexes(&registry, &taken_back)?;
        }
    }

    /// Two copies tell each other what is new, whatever was put back in between.
    #[test]
    fn a_copy_goes_on_from_the_last_change_that_both_have(
        numbers in prop::collection::vec(0_u64..5, 1..5),
        position in (0_usize..6, 0_u64..20),
    ) {
        let mut spans = Vec::new();
        let mut last = 0;
        for (at, count) in numbers.iter().enumerate() {
            spans.push(Span { id: SpanId([u8::try_from(at).unwrap(); 16]), after: last });
            last += count;
        }
        let (span, number) = position;
        let position = Position { span: SpanId([u8::try_from(span).unwrap(); 16]), number };
        let resumed = resume_after(&spans, last, Some(position));
        let end = spans.get(span + 1).map_or(last, |next| next.after);
        if span < spans.len() {
            prop_assert_eq!(resumed, number.min(end));
            prop_assert_eq!(still_has(&spans, last, position), number <= end);
        } else {
            prop_assert_eq!(resumed, 0);
            prop_assert!(!still_has(&spans, last, position));
        }
        prop_assert_eq!(resume_after(&spans, last, None), 0);
    }
}

fn check_indexes(
    registry: &Registry,
    limits: &BTreeMap<LicenseId, usize>,
) -> Result<(), TestCaseError> {
    for number in 1..3 {
        let home = home(number);
        let is_homed = |entry: &&HostEntry| entry.is_active() && entry.home == home;
        let mut homed: Vec<_> = registry.iter().filter(is_homed).collect();
        homed.sort_by_key(|entry| (entry.registered, entry.host));
        prop_assert_eq!(registry.homed(&home), homed.len());
        let keys: Vec<_> = homed.iter().map(|entry| entry.host).collect();
        prop_assert_eq!(registry.homed_at(&home).collect::<Vec<_>>(), keys);
        let limit = limits.get(&home).copied().unwrap_or(usize::MAX);
        for (rank, entry) in homed.iter().enumerate() {
            prop_assert_eq!(registry.is_among_oldest(entry), rank < limit);
        }
        prop_assert_eq!(registry.homes().any(|other| *other == home), !homed.is_empty());
    }
    for identity in (1..3).filter_map(identity) {
        let known: BTreeSet<_> = registry.of_identity(&identity).map(|entry| entry.host).collect();
        let all = registry.iter().filter(|entry| entry.identity.as_ref() == Some(&identity));
        prop_assert_eq!(&known, &all.map(|entry| entry.host).collect());
        let active = registry.of_identity(&identity).filter(|entry| entry.is_active()).count();
        prop_assert_eq!(registry.rivals(&identity).len(), active.saturating_sub(1));
    }
    let mut numbers = BTreeSet::new();
    for (number, _) in registry.changes(0, registry.last_number(), &[], 0) {
        prop_assert!(numbers.insert(number), "a number stands twice");
    }
    prop_assert_eq!(numbers.len(), registry.len());
    Ok(())
}

fn simple(host: u8, revision: u64) -> HostEntry {
    HostEntry {
        host: HostKey([host; 32]),
        home: home(1),
        revision,
        state: HostState::Active,
        registered: Utc(0),
        identity: None,
        seen: Seen { at: Utc(0), name: name("host"), platform: None, address: name("10.0.0.1:1") },
    }
}

#[test]
fn what_came_from_a_peer_is_not_sent_back_unless_that_has_lost_it() {
    let mut registry = empty();
    let theirs = SpanId([9; 16]);
    let source = Position { span: theirs, number: 5 };
    registry.merge(&simple(1, 1), Some(source)).unwrap();
    registry.put(simple(2, 1), None);
    assert!(registry.merge(&simple(1, 1), Some(source)).is_none(), "that is no news");
    let spans = [Span { id: theirs, after: 0 }];
    let sent = |spans: &[Span], last| -> Vec<u64> {
        registry.changes(0, 2, spans, last).map(|(number, _)| number).collect()
    };
    assert_eq!(sent(&spans, 5), [2]);
    // Their copy was put back to one that had four changes then.
    assert_eq!(sent(&spans, 4), [1, 2]);
    let later = [Span { id: theirs, after: 0 }, Span { id: SpanId([8; 16]), after: 3 }];
    assert_eq!(sent(&later, 9), [1, 2]);
    assert_eq!(sent(&[], 0), [1, 2]);
    // What is no later than what they have, or not durable yet, is not sent either.
    assert_eq!(registry.changes(1, 1, &[], 0).count(), 0);
    assert_eq!(registry.changes(u64::MAX, u64::MAX, &[], 0).count(), 0);
}

#[test]
fn a_change_that_came_after_a_failed_one_is_taken_back_to_what_was_before_both() {
    let mut registry = empty();
    registry.put(simple(1, 1), None);
    let before = entries(&registry);
    let first = registry.put(simple(1, 2), None);
    let mut second = registry.put(simple(1, 3), None);
    assert_eq!(second.replaces(), Some(first.number));
    second.follow(&first);
    registry.take_back(first);
    assert_eq!(registry.find(HostKey([1; 32])).unwrap().revision, 3);
    registry.take_back(second);
    assert_eq!(entries(&registry), before);
}

#[test]
fn of_the_keys_of_one_machine_the_latest_stays() {
    let mut registry = empty();
    for (host, revision, registered) in [(1, 2, 0), (2, 1, 9), (3, 2, 5), (4, 2, 5)] {
        let registered = Utc(registered);
        let entry = HostEntry { registered, identity: identity(1), ..simple(host, revision) };
        registry.put(entry, None);
    }
    let rivals = registry.rivals(&identity(1).unwrap());
    assert_eq!(rivals, [2, 1, 3].map(|host| HostKey([host; 32])));
}
