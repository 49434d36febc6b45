//! Simulated days: that a seed means one run, that nothing is broken, and that every mistake would
//! be caught.

mod autove;
mod bugs;
mod days;
mod repeat;

use ve_sim::{Mode, Plan, Profile};

/// A plan without a bug.
fn plan(seed: u64, days: u64, profile: Profile, clients: usize) -> Plan {
    Plan { seed, days, profile, clients, mode: Mode::General, bug: None, trace: false }
}
