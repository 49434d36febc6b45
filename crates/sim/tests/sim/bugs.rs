//! Every deliberate mistake is caught, by the invariant that it breaks.

use ve_sim::{Bug, Mode, Plan, run};

use crate::plan;

/// How many seeds may pass before a mistake shows.
const SEEDS: u64 = 12;

fn every_mistake_is_caught(mode: Mode) {
    let of_mode = Bug::ALL.iter().filter(|bug| bug.mode() == mode);
    let missed: Vec<String> = of_mode.filter_map(|bug| missed(*bug)).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_mistake_is_caught_by_its_own_invariant() {
    every_mistake_is_caught(Mode::General);
}

#[test]
fn every_mistake_with_hosts_is_caught_by_its_own_invariant() {
    every_mistake_is_caught(Mode::AutoVe);
}

/// What was seen instead, if a mistake was not caught as it should be.
fn missed(bug: Bug) -> Option<String> {
    let mut seen = Vec::new();
    for seed in 0..SEEDS {
        let plan = Plan { bug: Some(bug), mode: bug.mode(), ..plan(seed, 2, bug.profile(), 10) };
        let Some(violation) = run(&plan).violation else { continue };
        if violation.invariant == bug.breaks() {
            println!("{}: seed {seed}: {violation}", bug.as_str());
            return None;
        }
        seen.push(violation.to_string());
    }
    Some(format!("{} does not break {}; seen: {seen:?}", bug.as_str(), bug.breaks()))
}
