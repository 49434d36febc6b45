//! Whatever happens in whatever order, the file adds up to what memory does: SQL against plain Rust.

use proptest::{collection::vec, prelude::*};
use ve_core::{
    id::SessionNumber,
    node::event::{Event, Record, SessionRecord},
};
use ve_store::{Limits, Memory, Store};

use crate::events::{
    Home, blocked, closed, denied, homed, host, marked, name, record, registered, retired, seen,
    session, used,
};

const LIMITS: Limits = Limits { records: 12, denials: 4, pages: None };

/// An event and by how much its position is above the last one; 0 breaks the rule.
type Step = (u64, Event);

fn event() -> impl Strategy<Value = Event> {
    let emulator = || prop::sample::select(vec!["a", "b"]);
    let replaced = prop::option::of(1_u64..30);
    prop_oneof![
        6 => (1_u64..30, 0_u8..2, emulator(), replaced).prop_map(|(number, key, emulator, replaced)| {
            Event::SessionOpened(SessionRecord {
                host: host(key),
                emulator: name(emulator),
                replaces: replaced.map(SessionNumber),
                ..session(number)
            })
        }),
        3 => (1_u64..30).prop_map(closed),
        2 => (0_u8..2, emulator(), 0_u8..3)
            .prop_map(|(key, emulator, run)| Event::RunBlocked(blocked(key, emulator, run))),
        1 => (0_u8..3, 0_u32..5).prop_map(|(license, version)| seen(license, version)),
        1 => (0_u8..3, 0_u32..3, 0_u64..9).prop_map(|(license, version, ms)| used(license, version, ms)),
        1 => (-5_i64..5).prop_map(marked),
        1 => (1_u64..30, 0_u64..3, any::<bool>()).prop_map(|(number, lease_ms, through_grace)| {
            let number = SessionNumber(number);
            Event::SessionPromised { number, lease_ms: lease_ms * 100_000, through_grace }
        }),
        1 => (1_u64..30, 0_usize..3).prop_map(|(number, section)| {
            let (number, product_code) = (SessionNumber(number), name("Charon-SSP/4U+"));
            Event::SessionPlaced { number, section, product_code }
        }),
        1 => (0_u8..3, 0_u8..2, 0_i64..9).prop_map(|(host, home, at)| retired(host, home, at)),
        1 => (0_u8..2, 0_u64..9).prop_map(|(home, count)| homed(home, count)),
        1 => (0_u8..3).prop_map(registered),
        1 => any::<bool>().prop_map(|unknown| Event::HoldersUnknown { unknown }),
        2 => Just(denied()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    (prop_oneof![1 => Just(0_u64), 30 => 1_u64..3], event())
}

/// Groups of batches of steps.
fn groups() -> impl Strategy<Value = Vec<Vec<Vec<Step>>>> {
    vec(vec(vec(step(), 0..4), 0..4), 1..16)
}

fn records(position: &mut u64, steps: &[Step]) -> Vec<Record> {
    let next = |(above, event): &Step| {
        *position += above;
        record(*position, event.clone())
    };
    steps.iter().map(next).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_file_adds_up_to_what_memory_does(groups in groups()) {
        let home = Home::new();
        let (mut memory, mut embedded) = (Memory::with_limits(LIMITS), home.open_with(LIMITS));
        let mut position = 0;
        for group in &groups {
            let batches: Vec<_> = group.iter().map(|steps| records(&mut position, steps)).collect();
            let batches: Vec<&[Record]> = batches.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(embedded.append(&batches), memory.append(&batches));
            prop_assert_eq!(embedded.remember(), memory.remember());
            // The last batch once more, in the reserve: taken if it has nothing but marks.
            if let Some(batch) = batches.last() {
                prop_assert_eq!(embedded.reserve(batch), memory.reserve(batch));
                prop_assert_eq!(embedded.remember(), memory.remember());
            }
        }
        prop_assert_eq!(embedded.close(), Ok(()));
        let mut reopened = home.open_with(LIMITS);
        prop_assert_eq!(reopened.remember(), memory.remember());
        prop_assert_eq!(reopened.records(99), memory.records(99));
        prop_assert_eq!(reopened.denials(99), memory.denials(99));
    }
}
