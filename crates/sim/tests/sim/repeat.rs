//! The simulator itself: a seed means one run.

use ve_sim::{Profile, run};

use crate::plan;

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    for profile in Profile::ALL {
        let of_seed = |seed| run(&plan(seed, 1, profile, 8));
        let (first, again, other) = (of_seed(5), of_seed(5), of_seed(6));
        println!("{}: trace {:016x}, {:016x}", profile.as_str(), first.hash, other.hash);
        assert_eq!((first.hash, first.events), (again.hash, again.events), "{}", profile.as_str());
        assert_ne!(first.hash, other.hash, "{}", profile.as_str());
    }
}
