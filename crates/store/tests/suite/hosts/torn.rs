//! A log that was cut off or spoiled anywhere: what comes after the damage is gone, and all before it
//! is there, each batch whole.

use std::fs;

use ve_store::HostStore;

use crate::hosts::entries::{Place, fresh, numbers, pulled, written};
use ve_core::registry::Batch;

/// Commits of 10 entries each; the cursor counts them.
const COMMITS: u64 = 12;

/// The files as a power failure leaves them.
fn left_behind() -> Place {
    let (place, copy) = (Place::new(), Place::new());
    let mut store = place.start(1);
    for number in 0..COMMITS {
        let entries = fresh(number * 10 + 1..=number * 10 + 10);
        written(&mut store, &[Batch { pulled: Some(pulled(number + 1)), ..entries }]);
    }
    fs::copy(place.instances(), copy.instances()).expect("a file");
    fs::copy(place.log(), copy.log()).expect("a log");
    copy
}

#[test]
fn a_torn_log_costs_what_comes_after_the_tear_and_no_half_batch_stays() {
    let whole = left_behind();
    let log = fs::read(whole.log()).expect("a log");
    let mut commits_seen = std::collections::BTreeSet::new();
    for step in 0..=40 {
        let cut = log.len() * step / 40 + step % 7 * usize::from(step < 40);
        for is_cut in [true, false] {
            let place = Place::new();
            fs::copy(whole.instances(), place.instances()).expect("a file");
            let mut torn = log.clone();
            if is_cut {
                torn.truncate(cut);
            } else if let Some(byte) = torn.get_mut(cut) {
                *byte ^= 0x5a;
            }
            fs::write(place.log(), torn).expect("a log");
            let mut store = place.start(2);
            let hosts = store.remember().expect("a sound registry");
            let commits = hosts.pulled.map_or(0, |position| position.number);
            assert_eq!(numbers(&hosts), (1..=commits * 10).collect::<Vec<_>>(), "{cut}");
            commits_seen.insert(commits);
            written(&mut store, &[fresh([1_000])]);
        }
    }
    assert!(commits_seen.len() > 6 && commits_seen.contains(&COMMITS), "{commits_seen:?}");
}
