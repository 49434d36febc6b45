//! How licenses stand in a home that no server serves at the moment. The core decides that here as
//! well: it is asked as a server would ask it.

use ve_core::{
    fingerprint::Machine,
    id::{ServerKey, SpanId},
    license::{License, Verified},
    node::{
        Node, Settings,
        event::Remembered,
        io::{Input, UnusableLicense},
    },
    reason::Refusal,
    registry::RememberedHosts,
    time::Now,
};
use ve_host::clock;

/// No client ever connects to a node that only judges.
const NO_HEARTBEAT_MS: u64 = 0;

/// A node that serves nobody, with these licenses on this machine.
pub fn node(
    server_key: ServerKey,
    machine: Machine,
    remembered: Remembered,
    trusted: Vec<Verified<License>>,
    unusable: Vec<UnusableLicense>,
    now: Now,
) -> Node {
    let settings =
        Settings { server_key, boot: clock::boot(), heartbeat_timeout_ms: NO_HEARTBEAT_MS };
    let mut node = Node::new(settings, remembered, &RememberedHosts::empty(SpanId([0; 16])), now);
    node.handle(now, Input::Machine(machine));
    node.handle(now, Input::Licenses { trusted, unusable });
    node
}

/// How one license would stand here.
pub fn standing(
    license: &Verified<License>,
    server_key: ServerKey,
    machine: &Machine,
    remembered: Remembered,
    now: Now,
) -> Result<(), Refusal> {
    let licenses = vec![license.clone()];
    let node = node(server_key, machine.clone(), remembered, licenses, Vec::new(), now);
    node.licenses(now).next().map_or(Ok(()), |view| view.standing.clone())
}
