//! Simulated days in which everything goes wrong and nothing is broken.

use ve_sim::{Plan, Profile, run};

use crate::plan;

pub(crate) fn nothing_is_broken(plan: &Plan) {
    let outcome = run(plan);
    if let Some(violation) = outcome.violation {
        panic!(
            "{violation}\nreplay: cargo run -p ve-sim -- --seed {} --days {} --mode {} --profile \
             {} --clients {} --trace",
            plan.seed,
            plan.days,
            plan.mode,
            plan.profile.as_str(),
            plan.clients
        );
    }
    // A run in which nobody got anything would prove nothing.
    assert!(outcome.grants > 10 * plan.days, "only {} grants", outcome.grants);
}

/// Forty days, eight seeds.
fn forty_days(profile: Profile) {
    (0..8).for_each(|seed| nothing_is_broken(&plan(seed, 5, profile, 8)));
}

#[test]
fn forty_calm_days() {
    forty_days(Profile::Calm);
}

#[test]
fn forty_days_of_a_bad_network() {
    forty_days(Profile::Network);
}

#[test]
fn forty_days_of_bad_disks() {
    forty_days(Profile::Disks);
}

#[test]
fn forty_days_of_bad_clocks() {
    forty_days(Profile::Clocks);
}

#[test]
fn forty_days_of_everything() {
    forty_days(Profile::Everything);
}

#[test]
fn a_day_of_hundreds_of_emulators() {
    nothing_is_broken(&plan(1, 1, Profile::Everything, 200));
}
