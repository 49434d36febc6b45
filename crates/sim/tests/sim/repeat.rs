//! The simulator itself: a seed means one run.

use ve_sim::{Mode, Plan, Profile, run};

use crate::plan;

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let modes = [Mode::General, Mode::AutoVe];
    let kinds = Profile::ALL.iter().flat_map(|profile| modes.map(|mode| (*profile, mode)));
    for (profile, mode) in kinds {
        let of_seed = |seed| run(&Plan { mode, ..plan(seed, 1, profile, 8) });
        let (first, again, other) = (of_seed(5), of_seed(5), of_seed(6));
        println!("{}: trace {:016x}, {:016x}", profile.as_str(), first.hash, other.hash);
        assert_eq!((first.hash, first.events), (again.hash, again.events), "{}", profile.as_str());
        assert_ne!(first.hash, other.hash, "{}", profile.as_str());
    }
}
