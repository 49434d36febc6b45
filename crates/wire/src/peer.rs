//! What two peers say to each other: between messages and the words of `ve-core`, with every limit
//! checked.
//!
//! The other side may be a minor version older or newer: kinds of messages, platforms and reason codes
//! that this version doesn't know are no errors.

use ve_core::{
    id::{BootId, HostKey, LicenseId, SpanId},
    node::peer::{MAX_CHANGES, MAX_PRESENCES, PeerMessage, PeerStatus, Presence},
    reason::{ReasonCode, Refusal},
    registry::{
        HostEntry, HostState, MAX_HOSTS, PlatformIdentity, Position, Seen, Span, changes::MAX_SPANS,
    },
    time::Utc,
};

use crate::{
    convert::{bad, bytes, license_id, name},
    facts::platform,
    limits::{MAX_CHANGE_NUMBER, MAX_REVISION, MAX_UTC_SECONDS},
    proto::{self, peer_message::Kind},
};

/// The most instances that a license has.
const MAX_INSTANCES: u32 = 1_000_000;

/// A peer's message; `None` for a kind that this version doesn't know.
pub fn read(message: &proto::PeerMessage) -> Result<Option<PeerMessage>, Refusal> {
    let Some(kind) = &message.kind else { return Ok(None) };
    let message = match kind {
        Kind::Status(status) => PeerMessage::Status(read_status(status)?),
        Kind::Pull(pull) => read_pull(pull)?,
        Kind::Changes(changes) => read_changes(changes)?,
        Kind::Taken(taken) => PeerMessage::Taken { upto: needed_position(taken.upto.as_ref())? },
        Kind::Presence(presence) => read_presence(presence)?,
    };
    Ok(Some(message))
}

/// A message for a peer.
pub fn write(message: &PeerMessage) -> proto::PeerMessage {
    let kind = match message {
        PeerMessage::Status(status) => Kind::Status(write_status(status)),
        PeerMessage::Pull { after, spans, last } => Kind::Pull(proto::PeerPull {
            after: after.as_ref().map(write_position),
            spans: spans
                .iter()
                .map(|span| proto::Span { id: span.id.0.to_vec(), after: span.after })
                .collect(),
            last: *last,
        }),
        PeerMessage::Changes { entries, upto, last } => Kind::Changes(proto::PeerChanges {
            entries: entries.iter().map(write_entry).collect(),
            upto: Some(write_position(upto)),
            last: *last,
        }),
        PeerMessage::Taken { upto } => {
            Kind::Taken(proto::PeerTaken { upto: Some(write_position(upto)) })
        }
        PeerMessage::Presence { reset, present, gone } => Kind::Presence(proto::PeerPresence {
            reset: *reset,
            present: present.iter().map(write_present).collect(),
            gone: gone.iter().map(|host| host.0.to_vec()).collect(),
        }),
    };
    proto::PeerMessage { kind: Some(kind) }
}

fn at_most(field: &str, count: usize, limit: usize) -> Result<(), Refusal> {
    if count <= limit {
        Ok(())
    } else {
        Err(bad(field, format_args!("has more than {limit} entries")))
    }
}

fn number<T: PartialOrd>(field: &str, number: T, least: T, most: T) -> Result<T, Refusal> {
    if (least..=most).contains(&number) { Ok(number) } else { Err(bad(field, "is out of range")) }
}

fn moment(field: &str, seconds: i64) -> Result<Utc, Refusal> {
    number(field, seconds, 0, MAX_UTC_SECONDS).map(Utc)
}

fn change_number(field: &str, given: u64) -> Result<u64, Refusal> {
    number(field, given, 0, MAX_CHANGE_NUMBER)
}

fn host(field: &str, given: &[u8]) -> Result<HostKey, Refusal> {
    bytes(field, given).map(HostKey)
}

fn read_status(message: &proto::PeerStatus) -> Result<PeerStatus, Refusal> {
    let hosts = |field, count| number(field, count, 0, MAX_HOSTS as u64);
    Ok(PeerStatus {
        license_id: license_id("license_id", &message.license_id)?,
        instances: number("instances", message.instances, 0, MAX_INSTANCES)?,
        serves: match message.unserved.as_str() {
            "" => Ok(()),
            // Whatever a newer version calls it: no one is served there.
            code => Err(code.parse().unwrap_or(ReasonCode::LicenseNotAvailable)),
        },
        homed: hosts("homed", message.homed)?,
        guests: hosts("guests", message.guests)?,
        wall: moment("wall", message.wall)?,
    })
}

fn write_status(status: &PeerStatus) -> proto::PeerStatus {
    proto::PeerStatus {
        license_id: status.license_id.to_string(),
        instances: status.instances,
        unserved: status.serves.err().map_or_else(String::new, |code| code.to_string()),
        homed: status.homed,
        guests: status.guests,
        wall: status.wall.0,
    }
}

fn read_pull(message: &proto::PeerPull) -> Result<PeerMessage, Refusal> {
    if message.spans.is_empty() {
        return Err(bad("spans", "is empty"));
    }
    at_most("spans", message.spans.len(), MAX_SPANS)?;
    let span = |span: &proto::Span| {
        Ok(Span {
            id: SpanId(bytes("spans.id", &span.id)?),
            after: change_number("spans.after", span.after)?,
        })
    };
    let spans = message.spans.iter().map(span).collect::<Result<Vec<_>, _>>()?;
    let last = change_number("last", message.last)?;
    let ends = spans.iter().skip(1).map(|span| span.after).chain([last]);
    if spans.iter().zip(ends).any(|(span, end)| end < span.after) {
        return Err(bad("spans", "is not in the order of the numbers"));
    }
    let after = message.after.as_ref().map(read_position).transpose()?;
    Ok(PeerMessage::Pull { after, spans, last })
}

fn read_changes(message: &proto::PeerChanges) -> Result<PeerMessage, Refusal> {
    at_most("entries", message.entries.len(), MAX_CHANGES)?;
    Ok(PeerMessage::Changes {
        entries: message.entries.iter().map(read_entry).collect::<Result<_, _>>()?,
        upto: needed_position(message.upto.as_ref())?,
        last: change_number("last", message.last)?,
    })
}

fn read_presence(message: &proto::PeerPresence) -> Result<PeerMessage, Refusal> {
    at_most("presence", message.present.len().saturating_add(message.gone.len()), MAX_PRESENCES)?;
    Ok(PeerMessage::Presence {
        reset: message.reset,
        present: message.present.iter().map(read_present).collect::<Result<_, _>>()?,
        gone: message
            .gone
            .iter()
            .map(|gone| host("presence.gone", gone))
            .collect::<Result<_, _>>()?,
    })
}

fn read_present(message: &proto::Presence) -> Result<Presence, Refusal> {
    Ok(Presence {
        host: host("presence.host", &message.host)?,
        boot: match message.boot.as_slice() {
            [] => None,
            boot => Some(BootId(bytes("presence.boot", boot)?)),
        },
        since: match message.since {
            0 => None,
            since => Some(moment("presence.since", since)?),
        },
        beside: match message.beside.as_slice() {
            [] => None,
            boot => Some(BootId(bytes("presence.beside", boot)?)),
        },
        address: name("presence.address", &message.address)?,
        emulators: number("presence.emulators", message.emulators, 1, u32::MAX)?,
    })
}

fn write_present(present: &Presence) -> proto::Presence {
    proto::Presence {
        host: present.host.0.to_vec(),
        boot: present.boot.map_or_else(Vec::new, |boot| boot.0.to_vec()),
        since: present.since.map_or(0, |since| since.0.clamp(0, MAX_UTC_SECONDS)),
        beside: present.beside.map_or_else(Vec::new, |boot| boot.0.to_vec()),
        address: present.address.to_string(),
        emulators: present.emulators,
    }
}

fn needed_position(message: Option<&proto::Position>) -> Result<Position, Refusal> {
    read_position(message.ok_or_else(|| bad("upto", "is missing"))?)
}

fn read_position(message: &proto::Position) -> Result<Position, Refusal> {
    Ok(Position {
        span: SpanId(bytes("position.span", &message.span)?),
        number: change_number("position.number", message.number)?,
    })
}

fn write_position(position: &Position) -> proto::Position {
    proto::Position { span: position.span.0.to_vec(), number: position.number }
}

fn read_entry(message: &proto::HostEntry) -> Result<HostEntry, Refusal> {
    let home: LicenseId = license_id("entries.home", &message.home)?;
    let seen = message.seen.as_ref().ok_or_else(|| bad("entries.seen", "is missing"))?;
    Ok(HostEntry {
        host: host("entries.host", &message.host)?,
        home,
        revision: number("entries.revision", message.revision, 1, MAX_REVISION)?,
        state: state(message.state)?,
        registered: moment("entries.registered", message.registered)?,
        identity: message.identity.as_ref().map(read_identity).transpose()?.flatten(),
        seen: Seen {
            at: moment("entries.seen.at", seen.at)?,
            name: name("entries.seen.name", &seen.name)?,
            platform: platform(&seen.platform),
            address: name("entries.seen.address", &seen.address)?,
        },
    })
}

fn write_entry(entry: &HostEntry) -> proto::HostEntry {
    let HostEntry { host, home, revision, state, registered, identity, seen } = entry;
    proto::HostEntry {
        host: host.0.to_vec(),
        home: home.to_string(),
        revision: *revision,
        state: state_number(*state),
        registered: registered.0,
        identity: identity.as_ref().map(|identity| proto::PlatformIdentity {
            platform: identity.platform.to_string(),
            id: identity.id.to_string(),
        }),
        seen: Some(proto::Seen {
            at: seen.at.0,
            name: seen.name.to_string(),
            platform: seen.platform.map_or_else(String::new, |platform| platform.to_string()),
            address: seen.address.to_string(),
        }),
    }
}

/// An identity of a platform that this version doesn't know decides nothing here.
fn read_identity(message: &proto::PlatformIdentity) -> Result<Option<PlatformIdentity>, Refusal> {
    let id = name("entries.identity.id", &message.id)?;
    Ok(platform(&message.platform).map(|platform| PlatformIdentity { platform, id }))
}

/// What became of a host decides who is served, so an unknown number can't be passed over.
fn state(given: u32) -> Result<HostState, Refusal> {
    let known = HostState::ALL.iter().copied().find(|state| state_number(*state) == given);
    known.ok_or_else(|| bad("entries.state", "is not known here"))
}

fn state_number(state: HostState) -> u32 {
    match state {
        HostState::Active => 1,
        HostState::Moved => 2,
        HostState::Retired => 3,
    }
}
