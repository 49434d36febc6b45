//! `licensectl peers`: the other server of an AutoVE pair.

use crate::control::protocol::{CapacityReport, PeerReport, PeerReports};

use super::table;

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
        lines.push(format!("If the peer fails: {}", carried(Some(peer.missing_here))));
        lines.push(format!("If this server fails: {}", carried(peer.missing_there)));
        lines.extend(peer.why.as_ref().map(|why| format!("Why there is none: {why}")));
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
        or_dash(peer.address.as_ref()),
        or_dash(peer.since),
        or_dash(peer.instances),
        peer.homed.to_string(),
        or_dash(peer.guests),
        lag(peer.behind_changes, peer.behind_seconds),
        lag(peer.ahead_changes, peer.ahead_seconds),
    ]
}

fn lag(changes: u64, seconds: u64) -> String {
    if changes == 0 { "0".into() } else { format!("{changes} ({seconds} s)") }
}

fn carried(missing: Option<u64>) -> String {
    match missing {
        None => "how many hosts the peer could carry is not known".into(),
        Some(0) => "the other can carry all hosts".into(),
        Some(missing) => format!("{missing} host(s) would have no instance"),
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
        format!("Hosts: {homed} of {instances} at home with {license_id}, {guests} guest(s){kept}")
    });
    let peer = peer.map(|peer| {
        let id = peer.license_id.as_ref().map_or_else(String::new, |id| format!(", license {id}"));
        format!("Peer: {}{id}", peer.state)
    });
    hosts.into_iter().chain(peer).collect()
}
