//! `licensectl peers`: the other server of an AutoVE pair.

use super::table;
use crate::{
    control::protocol::{CapacityReport, PeerReport, PeerReports},
    words::counted,
};

/// The list.
pub(super) fn lines(reports: &PeerReports) -> Vec<String> {
    if reports.peers.is_empty() {
        return vec!["There is no peer, and none is configured.".into()];
    }
    let header = [
        "License",
        "State",
        "Address",
        "Since (UTC)",
        "Instances",
        "Hosts",
        "Guests",
        "Behind",
        "Ahead",
    ];
    let mut lines = table::lines(header, reports.peers.iter().map(row));
    for peer in &reports.peers {
        lines.push(String::new());
        lines.extend(shortage(peer));
        lines.extend(peer.why.as_ref().map(|why| format!("Why: {why}")));
    }
    lines
}

/// Whether one server can carry all hosts: alone as it is now, or if the other one failed.
fn shortage(peer: &PeerReport) -> Vec<String> {
    if let Some(missing) = peer.without_instance {
        let now = match missing {
            0 => "this server can carry all hosts".into(),
            1 => "1 host has no instance".into(),
            missing => format!("{missing} hosts have no instance"),
        };
        return vec![format!("While the peer does not serve: {now}")];
    }
    let mut lines = Vec::new();
    if let Some(missing) = peer.missing_here {
        lines.push(format!("If the peer fails: {}", carried(missing, "this server")));
    }
    if let Some(missing) = peer.missing_there {
        lines.push(format!("If this server fails: {}", carried(missing, "the peer")));
    }
    if lines.is_empty() {
        lines.push("Nothing is known of the peer yet".into());
    }
    lines
}

fn row(peer: &PeerReport) -> [String; 9] {
    fn or_dash<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "-".into(), |value| value.to_string())
    }
    let state = match (&peer.reason, peer.serves) {
        (Some(reason), _) => format!("{}, {reason}", peer.state),
        (None, _) => peer.state.clone(),
    };
    [
        or_dash(peer.license_id.as_ref()),
        state,
        or_dash(address(peer)),
        or_dash(peer.since),
        or_dash(peer.instances),
        or_dash(peer.homed),
        or_dash(peer.guests),
        lag(peer.behind_changes, peer.behind_seconds),
        lag(peer.ahead_changes, peer.ahead_seconds),
    ]
}

/// Where it is: as configured, unless that leads somewhere else.
fn address(peer: &PeerReport) -> Option<&String> {
    let configured =
        peer.configured.as_ref().filter(|_| peer.address.is_none() || peer.why.is_none());
    configured.or(peer.address.as_ref())
}

fn lag(changes: Option<u64>, seconds: Option<u64>) -> String {
    match (changes, seconds) {
        (None, _) => "-".into(),
        (Some(changes @ 1..), Some(seconds)) => format!("{changes} ({seconds} s)"),
        (Some(changes), _) => changes.to_string(),
    }
}

fn carried(missing: u64, who: &str) -> String {
    match missing {
        0 => format!("{who} can carry all hosts"),
        missing => format!("{} would have no instance", counted(missing, "host")),
    }
}

/// What the server's status says of hosts and peer.
pub(super) fn status(capacity: Option<&CapacityReport>, peer: Option<&PeerReport>) -> Vec<String> {
    let hosts = capacity.map(|capacity| {
        let CapacityReport { license_id, instances, homed, guests, kept } = capacity;
        let kept = if *kept > 0 {
            format!(", {kept} kept for hosts that are missing")
        } else {
            String::new()
        };
        let guests = counted(*guests, "guest");
        format!("Hosts: {homed} of {instances} at home with {license_id}, {guests}{kept}")
    });
    let peer = peer.map(|peer| {
        let id = peer.license_id.as_ref().map(|id| format!(", license {id}"));
        let at = address(peer).map(|at| format!(", {at}"));
        format!("Peer: {}{}{}", peer.state, id.unwrap_or_default(), at.unwrap_or_default())
    });
    hosts.into_iter().chain(peer).collect()
}
