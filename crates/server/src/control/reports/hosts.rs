//! The reports of AutoVE hosts and of the peer.

use ve_core::{
    id::HostKey,
    license::License,
    node::{
        HostView, Node,
        peer::{Lag, PeerFailure, PeerState, PeerView},
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

/// How many hosts have an instance of the license that a newer version is to replace, and how many of
/// them keep it; `None` for any other license.
pub fn hosts_kept(node: &Node, license: &License) -> Option<(u64, u64)> {
    let capacity = node.capacity().filter(|capacity| capacity.license_id == license.id)?;
    let served = capacity.homed + capacity.guests - capacity.unserved();
    let instances = license.sections.first().map_or(0, |section| section.instances);
    Some((served, served.min(instances.into())))
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

/// One host, as the server sees it.
pub fn one_host(node: &Node, key: HostKey) -> Option<HostReport> {
    node.host(key).map(|view| host(&view))
}

/// The peer, as a list. `configured`: where the configuration says that it is.
pub fn peers(node: &Node, now: Now, configured: Option<String>) -> PeerReports {
    let peer = node.peer(now);
    PeerReports { peers: peer.map(|view| peer_report(&view, configured)).into_iter().collect() }
}

fn peer_report(view: &PeerView<'_>, configured: Option<String>) -> PeerReport {
    let state = match &view.state {
        PeerState::Connecting => "connecting",
        PeerState::Refused(_) => "refused",
        PeerState::Unreachable(_) => "unreachable",
        PeerState::CatchingUp { .. } => "catching-up",
        PeerState::InStep => "in-step",
    };
    let why = view.failure.map(|failure| match failure {
        PeerFailure::Refused(refusal) => refusal.to_string(),
        PeerFailure::Unreachable(why) => why.clone(),
    });
    let serves = view.status.is_some_and(|status| status.serves.is_ok());
    let changes = |lag: Option<Lag>| lag.map(|lag| lag.changes);
    let seconds = |lag: Option<Lag>| lag.map(|lag| lag.behind_ms / SECOND_MS);
    PeerReport {
        license_id: view.license_id.cloned(),
        state: state.to_owned(),
        why,
        configured,
        address: view.address.map(ToString::to_string),
        since: view.since,
        links: view.links,
        instances: view.instances,
        homed: view.homed,
        guests: view.status.map(|status| status.guests),
        serves: view.status.map(|status| status.serves.is_ok()),
        reason: view.status.and_then(|status| status.serves.err()),
        behind_changes: changes(view.behind),
        behind_seconds: seconds(view.behind),
        ahead_changes: changes(view.ahead),
        ahead_seconds: seconds(view.ahead),
        missing_here: view.missing_here,
        missing_there: view.missing_there,
        without_instance: view.missing_here.filter(|_| !serves),
    }
}
