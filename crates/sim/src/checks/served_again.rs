//! When everything is healed, every host that the rules allow is served, at home, and nobody else is.

use ve_core::{
    id::{HostKey, LicenseId},
    registry::{HostEntry, HostState},
};

use crate::{host_fact::short, roll::Roll};

/// What a host may expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// To be served by this server.
    ServedBy(usize),
    /// To be a guest of this server, or of none: its home's instances are taken by older hosts, and who
    /// comes first gets what is free at the other server.
    GuestOf(usize),
    /// To be refused.
    Refused(&'static str),
}

/// What the rules say of a host, by one registry and the licenses of both servers with their numbers
/// of instances. `Err`: what is wrong with the registry.
pub(crate) fn due(
    host: HostKey,
    roll: &Roll,
    licenses: &[(LicenseId, usize)],
) -> Result<Due, String> {
    let homed = |license: &LicenseId| {
        let mut homed: Vec<&HostEntry> =
            roll.entries().filter(|it| it.is_active() && it.home == *license).collect();
        homed.sort_by_key(|entry| (entry.registered, entry.host));
        homed
    };
    let Some(entry) = roll.find(host) else {
        let free = |(license, instances): &&(LicenseId, usize)| homed(license).len() < *instances;
        return match licenses.iter().find(free) {
            None => Ok(Due::Refused("all instances are taken")),
            Some((license, _)) => {
                Err(format!("host {} is not registered although {license} has room", short(&host)))
            }
        };
    };
    match entry.state {
        HostState::Retired => return Ok(Due::Refused("it is retired")),
        HostState::Moved => return Ok(Due::Refused("another key has its instance")),
        HostState::Active => {}
    }
    let Some(server) = licenses.iter().position(|(license, _)| *license == entry.home) else {
        return Err(format!("host {} is at home nowhere: {}", short(&host), entry.home));
    };
    let oldest = homed(&entry.home).iter().take(licenses[server].1).any(|it| it.host == host);
    let has_room = |(license, instances): &(LicenseId, usize)| homed(license).len() < *instances;
    let other = licenses.iter().position(|it| it.0 != entry.home && has_room(it));
    Ok(match other {
        _ if oldest => Due::ServedBy(server),
        Some(other) => Due::GuestOf(other),
        None => Due::Refused("older hosts have all instances"),
    })
}
