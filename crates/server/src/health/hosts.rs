//! What the administrator should know of hosts, instances and the peer.

use ve_core::{
    node::{
        Capacity, Node,
        peer::{PeerState, PeerView},
    },
    text::sentence,
    time::Now,
};

/// A few sentences; none when all is well, and none in general mode.
pub(super) fn attention(node: &Node, now: Now) -> Vec<String> {
    let mut sentences = node.capacity().as_ref().map_or_else(Vec::new, of_capacity);
    sentences.extend(node.peer(now).as_ref().map_or_else(Vec::new, of_peer));
    sentences
}

fn of_capacity(capacity: &Capacity) -> Vec<String> {
    let Capacity { homed, instances, kept, .. } = capacity;
    let too_many = (*homed > u64::from(*instances)).then(|| {
        format!(
            "{homed} hosts are registered here, and the license has {instances} instances: the newest \
             are not served. Retire hosts that are gone, or ask your vendor for more instances."
        )
    });
    let missing = (*kept > 0).then(|| {
        format!(
            "instances.db may lack hosts: {kept} instances are kept for those that are missing, and \
             newcomers get only the others."
        )
    });
    too_many.into_iter().chain(missing).collect()
}

fn of_peer(peer: &PeerView<'_>) -> Vec<String> {
    let none = match &peer.state {
        PeerState::Connecting => Some("The peer is not there.".to_owned()),
        PeerState::Refused(refusal) => Some(format!("There is no peer: {}", sentence(refusal))),
        PeerState::Unreachable(why) => {
            Some(format!("The peer can't be reached: {}", sentence(why)))
        }
        PeerState::CatchingUp { .. } | PeerState::InStep => None,
    };
    let too_small = |missing: u64, failing: &str, other: &str| {
        (missing > 0).then(|| {
            format!(
                "If {failing} failed, {other} could not carry its hosts: {missing} would have no \
                 instance. Retire hosts that are gone, or ask your vendor for more instances."
            )
        })
    };
    let here = too_small(peer.missing_here, "the peer", "this server");
    let there = too_small(peer.missing_there.unwrap_or(0), "this server", "the peer");
    none.into_iter().chain(here).chain(there).collect()
}
