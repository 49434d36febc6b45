//! Whatever happens in whatever order, some things are always true.

mod client;
mod installing;
mod oracle;
mod step;
mod world;

use proptest::{
    collection::vec,
    test_runner::{Config, RngSeed, TestCaseError, TestRunner},
};
use ve_core::license::Lease;

use self::{step::Step, world::World};

/// Runs in which nothing was said about the number of cases or the seed are all alike.
fn config() -> Config {
    let config = Config { failure_persistence: None, ..Config::default() };
    match config.rng_seed {
        RngSeed::Random => Config { rng_seed: RngSeed::Fixed(20_260_301), ..config },
        RngSeed::Fixed(_) => config,
    }
}

fn runs(lease: Lease) {
    let steps = vec(step::anything(), 1..120);
    let outcome = TestRunner::new(config()).run(&steps, |steps| {
        let first = run(lease, &steps);
        let second = run(lease, &steps);
        if first.story() == second.story() {
            Ok(())
        } else {
            Err(TestCaseError::fail("the same inputs had other effects"))
        }
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn run(lease: Lease, steps: &[Step]) -> World {
    let mut world = World::new(lease);
    for step in steps {
        world.take(step);
        world.check();
    }
    world.heal();
    world
}

#[test]
fn what_is_always_true_with_a_lease_of_two_minutes() {
    runs(Lease::For(120_000));
}

#[test]
fn what_is_always_true_with_a_lease_through_the_grace_period() {
    runs(Lease::Grace);
}
