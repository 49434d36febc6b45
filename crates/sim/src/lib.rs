//! Tries: two real servers' cores, many real clients' cores, and a world around them that
//! misbehaves, in one thread, from one seed.
//!
//! What runs here is `ve-core` as it is shipped: its node twice, its client machine once for every
//! emulator, with real licenses, real signatures and the published protocol's messages between them.
//! Only the shells are simulated: clocks, links, disks, processes, people. The same seed gives the
//! same run, to the last fact.
//!
//! - `world`: the order of events; `server`, `writing`, `client`, `link`, `talk`, `asking`: the shells.
//! - `peering`, `roster`, `roll`: two AutoVE servers' link, their hosts, and their registries' files;
//!   `papers`: their provider's documents.
//! - `faults`, `hosts_faults`, `profile`: what goes wrong; `bug`: what a shell does wrong on purpose.
//! - `checks`: what must always be true, judged by books of the simulator's own. First nothing may
//!   be unsafe while everything fails; then everything is healed, and everybody must be served.

mod asking;
mod bug;
mod checks;
pub mod cli;
mod client;
mod clock;
mod disk;
mod fact;
mod faults;
mod frame;
mod host_fact;
mod hosts_faults;
mod ledger;
mod link;
mod network;
mod papers;
mod peering;
mod profile;
mod queue;
mod random;
mod roll;
mod roster;
mod server;
mod talk;
mod vendor;
mod well;
mod world;
mod writing;

use std::fmt;

pub use bug::Bug;
pub use profile::Profile;
pub use ve_core::license::Mode;

use world::{DAY_MS, World};

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything that looks like chance follows from it.
    pub seed: u64,
    /// How many days things go wrong, before everything is healed.
    pub days: u64,
    /// What goes wrong.
    pub profile: Profile,
    /// How many emulators; in AutoVE mode, how many hosts, with one to three emulators each. At least
    /// one.
    pub clients: usize,
    /// What the servers' licenses count.
    pub mode: Mode,
    /// A mistake to make.
    pub bug: Option<Bug>,
    /// Print every fact.
    pub trace: bool,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// A hash over everything that happened: equal for equal runs.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// How many faults.
    pub faults: u64,
    /// How many grants reached a client.
    pub grants: u64,
    /// The invariant that was broken; the run ended there.
    pub violation: Option<Violation>,
}

/// Something that must always be true was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// When, in milliseconds of true time since the beginning.
    pub at_ms: u64,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.at_ms / DAY_MS, self.at_ms % DAY_MS);
        write!(f, "{} is broken on day {days} at {ms} ms: {}", self.invariant, self.what)
    }
}

/// Runs a plan to its end, or to the first violation.
pub fn run(plan: &Plan) -> Outcome {
    run_with(plan, |_| ())
}

/// Like [`run`]; `progress` hears of every day that is over.
pub fn run_with(plan: &Plan, mut progress: impl FnMut(u64)) -> Outcome {
    let mut world = World::new(plan.clone());
    let mut outcome = Ok(());
    for day in 1..=plan.days {
        outcome = outcome.and_then(|()| world.run_until(day * DAY_MS));
        progress(day);
    }
    let outcome = outcome.and_then(|()| world.heal());
    Outcome {
        hash: world.checks.hash(),
        events: world.steps(),
        faults: world.faults,
        grants: world.checks.grants,
        violation: outcome.err(),
    }
}
