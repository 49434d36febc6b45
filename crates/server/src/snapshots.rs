//! Copies of `instances.db`, made now and then, as long as this server has an AutoVE license.

use std::time::Duration;

use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use ve_host::clock;
use ve_store::{HostsReadOnly, snapshot};

use crate::{
    config::AutoVe,
    credentials::Credentials,
    home::Home,
    log::{Log, Module},
};

/// How long after the start the first one is made: a server that starts again and again has some, too.
const FIRST: Duration = Duration::from_mins(1);

/// How often, and how many stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long from one to the next.
    pub interval: Duration,
    /// How many are kept; 0: none are made.
    pub keep: u32,
}

impl From<&AutoVe> for Rules {
    fn from(config: &AutoVe) -> Self {
        Self { interval: config.snapshot_interval, keep: config.snapshots }
    }
}

/// Makes snapshots until it is aborted.
pub async fn run(
    home: Home,
    credentials: Credentials,
    log: Log,
    mut rules: watch::Receiver<Rules>,
) {
    let mut is_failing = false;
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            // The sender is only dropped at the end.
            changed = rules.changed() => if changed.is_err() { return },
        }
        let Rules { interval, keep } = *rules.borrow_and_update();
        pause = interval;
        if keep == 0 || credentials.current().of_peers().is_empty() {
            continue;
        }
        let home = home.clone();
        let made = spawn_blocking(move || make(&home, keep)).await;
        let failure = made.map_err(|error| error.to_string()).and_then(|made| made).err();
        // Said once: the disk has its own voice.
        if let Some(why) = failure.as_ref().filter(|_| !is_failing) {
            log.warn(Module::Main, format!("No snapshot of instances.db could be made: {why}."));
        }
        is_failing = failure.is_some();
    }
}

fn make(home: &Home, keep: u32) -> Result<(), String> {
    let (registry, now) = (home.instances(), clock::now().wall);
    let is_there =
        HostsReadOnly::open(&registry).map_err(|error| error.to_string())?.has_registry();
    if is_there {
        snapshot(&registry, &home.snapshots(), now, keep).map_err(|error| error.to_string())?;
    }
    Ok(())
}
