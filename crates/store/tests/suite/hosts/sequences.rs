//! Whatever is written in whatever order, the file adds up to what memory does.

use proptest::{collection::vec, prelude::*};
use ve_core::registry::{Batch, HostEntry, HostState};
use ve_store::{HostStore, MemoryHosts};

use crate::hosts::entries::{Place, entry, peer, pulled, span};

fn changed_entry() -> impl Strategy<Value = HostEntry> {
    let state = prop::sample::select(vec![HostState::Active, HostState::Moved, HostState::Retired]);
    (0_u64..12, 1_u64..9, state, any::<bool>()).prop_map(|(number, revision, state, signed)| {
        let entry = entry(number);
        let identity = entry.identity.clone().filter(|_| signed);
        HostEntry { revision, state, identity, ..entry }
    })
}

fn batch() -> impl Strategy<Value = Batch> {
    let entries = vec((1_u64..60, changed_entry()), 0..6);
    let pulled = prop::option::of((0_u64..50).prop_map(pulled));
    let peer = prop::option::of((0_u32..9).prop_map(peer));
    (entries, pulled, peer).prop_map(|(entries, pulled, peer)| Batch { entries, pulled, peer })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_file_adds_up_to_what_memory_does(starts in vec(vec(vec(batch(), 0..4), 0..6), 1..4)) {
        let (place, memory) = (Place::new(), MemoryHosts::new(span(1)));
        for (number, groups) in (1_u8..).zip(&starts) {
            if number > 1 {
                memory.restart(span(number), false);
            }
            let (mut memory, mut embedded) = (memory.clone(), place.start(number));
            for group in groups {
                let batches: Vec<&Batch> = group.iter().collect();
                let (one, other) = (embedded.write(&batches), memory.write(&batches));
                prop_assert_eq!(one.is_ok(), other.is_ok(), "{:?} {:?}", one, other);
                prop_assert_eq!(embedded.remember(), memory.remember());
            }
            prop_assert_eq!(place.read(), memory.remember().expect("in memory"));
            prop_assert_eq!(embedded.close(), Ok(()));
        }
    }
}
