//! The reports of AutoVE hosts and of the peer.

use ve_core::{
    id::HostKey,
    node::{
        HostView, Node,
        peer::{PeerState, PeerView},
    },
    registry::{HostEntry, HostState, Seen},
    time::{Now, SECOND_MS},
};

use crate::control::protocol::{
    CapacityReport, HostReport, Instances, MAX_HOSTS_PER_PAGE, PeerReport, PeerReports,
};

/// The next part of the registry, after the host that the part before ended with.
pub fn instances(node: &Node, after: Option<HostKey>) -> Instances {
    let mut hosts = node.hosts_after(after);
    let instances: Vec<HostReport> =
        hosts.by_ref().take(MAX_HOSTS_PER_PAGE).map(|view| host(&view)).collect();
    let more = hosts.next().is_some();
    let next = instances.last().filter(|_| more).map(|last| last.host);
    Instances { instances, next }
}

fn host(view: &HostView<'_>) -> HostReport {
    HostReport {
        standing: view.standing.as_str().to_owned(),
        emulators: Some(view.emulators_here),
        emulators_at_peer: Some(view.emulators_at_peer),
        ..of_entry(view.entry, view.seen)
    }
}

/// A host as the registry has it, where no server runs.
pub fn entry(entry: &HostEntry) -> HostReport {
    of_entry(entry, &entry.seen)
}

fn of_entry(entry: &HostEntry, seen: &Seen) -> HostReport {
    let identity = entry.identity.as_ref();
    HostReport {
        host: entry.host,
        home: entry.home.clone(),
        state: entry.state,
        retired: entry.state == HostState::Retired,
        standing: entry.state.to_string(),
        emulators: None,
        emulators_at_peer: None,
        name: seen.name.clone(),
        platform: seen.platform,
        address: seen.address.clone(),
        last_seen: seen.at,
        registered: entry.registered,
        revision: entry.revision,
        identity_platform: identity.map(|identity| identity.platform),
        identity_id: identity.map(|identity| identity.id.clone()),
    }
}

/// How the instances are used; `None` in general mode.
pub fn capacity(node: &Node) -> Option<CapacityReport> {
    let capacity = node.capacity()?;
    Some(CapacityReport {
        license_id: capacity.license_id,
        instances: capacity.instances,
        homed: capacity.homed,
        guests: capacity.guests,
        kept: capacity.kept,
    })
}

/// The peer, as a list.
pub fn peers(node: &Node, now: Now) -> PeerReports {
    PeerReports { peers: node.peer(now).as_ref().map(peer).into_iter().collect() }
}

fn peer(view: &PeerView<'_>) -> PeerReport {
    let (state, why) = match &view.state {
        PeerState::Connecting => ("connecting", None),
        PeerState::Refused(refusal) => ("refused", Some(refusal.to_string())),
        PeerState::Unreachable(why) => ("unreachable", Some(why.clone())),
        PeerState::CatchingUp { .. } => ("catching-up", None),
        PeerState::InStep => ("in-step", None),
    };
    PeerReport {
        license_id: view.license_id.cloned(),
        state: state.to_owned(),
        why,
        address: view.address.map(ToString::to_string),
        since: view.since,
        links: view.links,
        instances: view.instances,
        homed: view.homed,
        guests: view.status.map(|status| status.guests),
        serves: view.status.map(|status| status.serves.is_ok()),
        reason: view.status.and_then(|status| status.serves.err()),
        behind_changes: view.behind.changes,
        behind_seconds: view.behind.behind_ms / SECOND_MS,
        ahead_changes: view.ahead.changes,
        ahead_seconds: view.ahead.behind_ms / SECOND_MS,
        missing_here: view.missing_here,
        missing_there: view.missing_there,
    }
}
