//! What the administrator should know of hosts, instances and the peer.

use ve_core::{
    node::{Capacity, Node},
    text::sentence,
};

use crate::{control::protocol::PeerReport, words::counted};

/// A few sentences; none when all is well, and none in general mode without a peer.
pub(super) fn attention(node: &Node, peer: Option<&PeerReport>) -> Vec<String> {
    let mut sentences = node.capacity().as_ref().map_or_else(Vec::new, of_capacity);
    sentences.extend(peer.map_or_else(Vec::new, of_peer));
    sentences
}

fn of_capacity(capacity: &Capacity) -> Vec<String> {
    let Capacity { homed, instances, kept, .. } = capacity;
    let too_many = (*homed > u64::from(*instances)).then(|| {
        format!(
            "{homed} hosts are registered here, and the license has {}: the newest are not served. \
             Retire hosts that are gone, or ask your vendor for more instances.",
            counted(u64::from(*instances), "instance")
        )
    });
    let missing = (*kept > 0).then(|| {
        let are = if *kept == 1 { "is" } else { "are" };
        format!(
            "instances.db may lack hosts: {} {are} kept for those that are missing, and newcomers get \
             only the others.",
            counted(*kept, "instance")
        )
    });
    too_many.into_iter().chain(missing).collect()
}

fn of_peer(peer: &PeerReport) -> Vec<String> {
    let shortage = match peer.without_instance {
        Some(missing) => now_missing(missing).into_iter().collect(),
        None => would_miss(peer),
    };
    of_contact(peer).into_iter().chain(shortage).collect()
}

/// Whether it is there, and where it was looked for.
fn of_contact(peer: &PeerReport) -> Option<String> {
    let why = peer.why.as_ref().map(sentence);
    let is_there = peer.serves.is_some();
    Some(match (peer.state.as_str(), why) {
        ("refused", Some(why)) => {
            format!("There is no peer: {why} Set [peer] in config.toml or the licenses right.")
        }
        ("unreachable", Some(why)) => format!(
            "The peer can't be reached: {why} Look at that server, the network between, and [peer] in \
             config.toml."
        ),
        (_, Some(why)) if is_there => format!(
            "[peer] in config.toml does not lead to the peer, which is there because it has dialed: \
             {why} Set it right, or remove it."
        ),
        _ if is_there => return None,
        _ => match &peer.configured {
            Some(address) => format!("The peer at {address} is not there."),
            None => {
                "The peer is not there; it has to dial, because [peer] in config.toml does not \
                     say where it is."
                    .to_owned()
            }
        },
    })
}

/// The peer is gone or does not serve.
fn now_missing(missing: u64) -> Option<String> {
    let have = if missing == 1 { "has" } else { "have" };
    (missing > 0).then(|| {
        format!(
            "The peer does not serve, and this server can't carry all hosts: {} {have} no instance \
             now. Bring the peer back, or retire hosts that are gone.",
            counted(missing, "host")
        )
    })
}

/// What would be if one of the two failed.
fn would_miss(peer: &PeerReport) -> Vec<String> {
    let too_small = |missing: Option<u64>, failing: &str, other: &str| {
        missing.filter(|missing| *missing > 0).map(|missing| {
            format!(
                "If {failing} failed, {other} could not carry all hosts: {} would have no instance. \
                 Retire hosts that are gone, or ask your vendor for more instances.",
                counted(missing, "host")
            )
        })
    };
    let here = too_small(peer.missing_here, "the peer", "this server");
    let there = too_small(peer.missing_there, "this server", "the peer");
    here.into_iter().chain(there).collect()
}
