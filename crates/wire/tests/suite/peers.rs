//! What two peers say to each other: every message comes back as it was, every limit is kept, and what
//! a newer version says beyond this one is passed over.

use proptest::{collection::vec, option, prelude::*, sample};
use prost::Message;
use ve_core::{
    fingerprint::Platform,
    id::{BootId, HostKey, LicenseId, SpanId},
    node::peer::{MAX_CHANGES, MAX_PRESENCES, PeerMessage, PeerStatus, Presence},
    reason::ReasonCode,
    registry::{
        HostEntry, HostState, MAX_HOSTS, PlatformIdentity, Position, Seen, Span, changes::MAX_SPANS,
    },
    text::{MAX_NAME_BYTES, Name},
    time::Utc,
};
use ve_wire::{
    frame,
    limits::{MAX_CHANGE_NUMBER, MAX_PEER_MESSAGE_BYTES, MAX_REVISION, MAX_UTC_SECONDS},
    peer,
    proto::{
        self, ClientMessage, ServerMessage, client_message, peer_message::Kind, server_message,
    },
};

use crate::conversions::is_sound;

fn name() -> impl Strategy<Value = Name> {
    prop_oneof!["[a-z0-9.:-]{1,40}", "ä{1,64}"].prop_map(|text| text.parse().expect("a name"))
}

fn license() -> impl Strategy<Value = LicenseId> {
    "[0-9]{2}\\.[0-9]{8}\\.[0-9]{3}\\.[0-9]{3}".prop_map(|text| text.parse().expect("an ID"))
}

fn moment() -> impl Strategy<Value = Utc> {
    (0..=MAX_UTC_SECONDS).prop_map(Utc)
}

fn platform() -> impl Strategy<Value = Platform> {
    sample::select(Platform::ALL)
}

fn position() -> impl Strategy<Value = Position> {
    (any::<[u8; 16]>(), 0..=MAX_CHANGE_NUMBER)
        .prop_map(|(span, number)| Position { span: SpanId(span), number })
}

prop_compose! {
    fn entry()(
        host in any::<[u8; 32]>(),
        home in license(),
        revision in 1..=MAX_REVISION,
        state in sample::select(HostState::ALL),
        registered in moment(),
        identity in option::of((platform(), name())),
        seen in (moment(), name(), option::of(platform()), name()),
    ) -> HostEntry {
        let identity = identity.map(|(platform, id)| PlatformIdentity { platform, id });
        let (at, name, platform, address) = seen;
        let seen = Seen { at, name, platform, address };
        HostEntry { host: HostKey(host), home, revision, state, registered, identity, seen }
    }
}

fn status() -> impl Strategy<Value = PeerMessage> {
    let hosts = || 0..=MAX_HOSTS as u64;
    let serves = prop_oneof![Just(Ok(())), sample::select(ReasonCode::ALL).prop_map(Err)];
    (license(), 0..=1_000_000_u32, serves, hosts(), hosts(), moment()).prop_map(
        |(license_id, instances, serves, homed, guests, wall)| {
            PeerMessage::Status(PeerStatus { license_id, instances, serves, homed, guests, wall })
        },
    )
}

fn pull() -> impl Strategy<Value = PeerMessage> {
    let spans = vec((any::<[u8; 16]>(), 0..=MAX_CHANGE_NUMBER), 1..=MAX_SPANS);
    (option::of(position()), spans).prop_map(|(after, mut spans)| {
        spans.sort_by_key(|(_, number)| *number);
        let last = spans.last().map_or(0, |(_, number)| *number);
        let span = |(id, after)| Span { id: SpanId(id), after };
        PeerMessage::Pull { after, spans: spans.into_iter().map(span).collect(), last }
    })
}

fn changes() -> impl Strategy<Value = PeerMessage> {
    (vec(entry(), 0..20), position(), 0..=MAX_CHANGE_NUMBER)
        .prop_map(|(entries, upto, last)| PeerMessage::Changes { entries, upto, last })
}

fn presence() -> impl Strategy<Value = PeerMessage> {
    let boot = || option::of(any::<[u8; 16]>().prop_map(BootId));
    let since = option::of((1..=MAX_UTC_SECONDS).prop_map(Utc));
    let present = (any::<[u8; 32]>(), boot(), since, boot(), name(), 1..=u32::MAX);
    let present = present.prop_map(|(host, boot, since, beside, address, emulators)| Presence {
        host: HostKey(host),
        boot,
        since,
        beside,
        address,
        emulators,
    });
    let gone = any::<[u8; 32]>().prop_map(HostKey);
    (any::<bool>(), vec(present, 0..20), vec(gone, 0..20))
        .prop_map(|(reset, present, gone)| PeerMessage::Presence { reset, present, gone })
}

fn message() -> impl Strategy<Value = PeerMessage> {
    let taken = position().prop_map(|upto| PeerMessage::Taken { upto });
    prop_oneof![status(), pull(), changes(), taken, presence()]
}

/// What arrives of a message.
fn sent(message: &PeerMessage) -> proto::PeerMessage {
    let wire = peer::write(message).encode_to_vec();
    proto::PeerMessage::decode(wire.as_slice()).expect("a message")
}

proptest! {
    #[test]
    fn every_message_comes_back_as_it_was(message in message()) {
        prop_assert_eq!(peer::read(&sent(&message)), Ok(Some(message)));
    }

    #[test]
    fn a_damaged_message_is_another_or_refused(
        message in message(),
        changes in vec((any::<sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut wire = peer::write(&message).encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        if let Ok(message) = proto::PeerMessage::decode(wire.as_slice()) {
            match peer::read(&message) {
                Err(refusal) => is_sound(&refusal)?,
                Ok(None) => {}
                Ok(Some(read)) => prop_assert_eq!(peer::read(&sent(&read)), Ok(Some(read))),
            }
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_nothing(bytes in vec(any::<u8>(), 0..400)) {
        let client = ClientMessage::decode(bytes.as_slice()).ok().and_then(|message| message.kind);
        let server = ServerMessage::decode(bytes.as_slice()).ok().and_then(|message| message.kind);
        let from_client = match client {
            Some(client_message::Kind::Peer(peer)) => Some(peer),
            _ => None,
        };
        let from_server = match server {
            Some(server_message::Kind::Peer(peer)) => Some(peer),
            _ => None,
        };
        for peer in from_client.into_iter().chain(from_server) {
            if let Err(refusal) = peer::read(&peer) {
                is_sound(&refusal)?;
            }
        }
    }
}

const AT: Position = Position { span: SpanId([3; 16]), number: MAX_CHANGE_NUMBER };

/// An entry with every text and number as long as it may be.
fn longest_entry() -> HostEntry {
    let name = || "x".repeat(MAX_NAME_BYTES).parse::<Name>().expect("a name");
    HostEntry {
        host: HostKey([0xff; 32]),
        home: "01.00000001.002.044".parse().expect("an ID"),
        revision: MAX_REVISION,
        state: HostState::Retired,
        registered: Utc(MAX_UTC_SECONDS),
        identity: Some(PlatformIdentity { platform: Platform::MicrosoftAzure, id: name() }),
        seen: Seen {
            at: Utc(MAX_UTC_SECONDS),
            name: name(),
            platform: Some(Platform::MicrosoftAzure),
            address: name(),
        },
    }
}

fn longest_present() -> Presence {
    Presence {
        host: HostKey([0xff; 32]),
        boot: Some(BootId([0xff; 16])),
        since: Some(Utc(MAX_UTC_SECONDS)),
        beside: Some(BootId([0xff; 16])),
        address: "x".repeat(MAX_NAME_BYTES).parse().expect("a name"),
        emulators: u32::MAX,
    }
}

fn longest_changes() -> PeerMessage {
    let entries = vec![longest_entry(); MAX_CHANGES];
    PeerMessage::Changes { entries, upto: AT, last: MAX_CHANGE_NUMBER }
}

fn longest_presence() -> PeerMessage {
    PeerMessage::Presence {
        reset: true,
        present: vec![longest_present(); MAX_PRESENCES - 1],
        gone: vec![HostKey([1; 32])],
    }
}

fn longest_pull() -> PeerMessage {
    let spans = vec![Span { id: SpanId([1; 16]), after: MAX_CHANGE_NUMBER }; MAX_SPANS];
    PeerMessage::Pull { after: Some(AT), spans, last: MAX_CHANGE_NUMBER }
}

fn largest_status() -> PeerMessage {
    PeerMessage::Status(PeerStatus {
        license_id: "01.00000001.002.044".parse().expect("an ID"),
        instances: 1_000_000,
        serves: Err(ReasonCode::LicenseVersionRolledBack),
        homed: MAX_HOSTS as u64,
        guests: MAX_HOSTS as u64,
        wall: Utc(MAX_UTC_SECONDS),
    })
}

#[test]
fn the_longest_messages_fit_and_are_taken() {
    for message in [longest_changes(), longest_presence(), longest_pull(), largest_status()] {
        let kind = Some(server_message::Kind::Peer(peer::write(&message)));
        let frame = frame::encode(&ServerMessage { kind });
        assert!(frame.len() <= MAX_PEER_MESSAGE_BYTES, "{} bytes", frame.len());
        assert_eq!(peer::read(&sent(&message)), Ok(Some(message)));
    }
}

/// A message of the longest kind, with one change.
fn changed(message: &PeerMessage, change: impl FnOnce(&mut Kind)) -> proto::PeerMessage {
    let mut message = peer::write(message);
    change(message.kind.as_mut().expect("a kind"));
    message
}

fn of_status(change: impl FnOnce(&mut proto::PeerStatus)) -> proto::PeerMessage {
    changed(&largest_status(), |kind| match kind {
        Kind::Status(status) => change(status),
        other => panic!("{other:?}"),
    })
}

fn of_pull(change: impl FnOnce(&mut proto::PeerPull)) -> proto::PeerMessage {
    changed(&longest_pull(), |kind| match kind {
        Kind::Pull(pull) => change(pull),
        other => panic!("{other:?}"),
    })
}

fn of_changes(change: impl FnOnce(&mut proto::PeerChanges)) -> proto::PeerMessage {
    changed(&longest_changes(), |kind| match kind {
        Kind::Changes(changes) => change(changes),
        other => panic!("{other:?}"),
    })
}

fn of_entry(change: impl FnOnce(&mut proto::HostEntry)) -> proto::PeerMessage {
    of_changes(|changes| change(changes.entries.last_mut().expect("an entry")))
}

fn of_seen(change: impl FnOnce(&mut proto::Seen)) -> proto::PeerMessage {
    of_entry(|entry| change(entry.seen.as_mut().expect("seen")))
}

fn of_presence(change: impl FnOnce(&mut proto::PeerPresence)) -> proto::PeerMessage {
    changed(&longest_presence(), |kind| match kind {
        Kind::Presence(presence) => change(presence),
        other => panic!("{other:?}"),
    })
}

fn check(cases: impl IntoIterator<Item = (proto::PeerMessage, &'static str)>) {
    for (message, why) in cases {
        let refusal = peer::read(&message).expect_err(why);
        assert_eq!(refusal.code, ReasonCode::BadRequest);
        assert!(refusal.sentence.contains(why), "expected {why:?}, got: {}", refusal.sentence);
    }
}

#[test]
fn every_limit_of_status_and_pull_is_kept() {
    check([
        (of_status(|status| status.license_id.clear()), "license_id is none"),
        (of_status(|status| status.instances += 1), "instances is out of range"),
        (of_status(|status| status.homed += 1), "homed is out of range"),
        (of_status(|status| status.guests = u64::MAX), "guests is out of range"),
        (of_status(|status| status.wall += 1), "wall is out of range"),
        (of_status(|status| status.wall = -1), "wall is out of range"),
        (of_pull(|pull| pull.spans.clear()), "spans is empty"),
        (of_pull(|pull| pull.spans.push(proto::Span::default())), "spans has more than 64"),
        (of_pull(|pull| pull.spans[7].id.clear()), "spans.id has 0 bytes instead of 16"),
        (of_pull(|pull| pull.spans[63].after += 1), "spans.after is out of range"),
        (of_pull(|pull| pull.spans[63].after = 0), "spans is not in the order"),
        (of_pull(|pull| pull.last += 1), "last is out of range"),
        (of_pull(|pull| pull.last = 0), "spans is not in the order"),
        (
            of_pull(|pull| pull.after = Some(proto::Position::default())),
            "position.span has 0 bytes instead of 16",
        ),
    ]);
}

#[test]
fn every_limit_of_changes_and_presence_is_kept() {
    let number = |changes: &mut proto::PeerChanges| {
        changes.upto.as_mut().expect("a position").number += 1;
    };
    check([
        (
            of_changes(|changes| changes.entries.push(proto::HostEntry::default())),
            "more than 256 entries",
        ),
        (of_changes(|changes| changes.upto = None), "upto is missing"),
        (of_changes(number), "position.number is out of range"),
        (of_changes(|changes| changes.last = u64::MAX), "last is out of range"),
        (of_entry(|entry| entry.host.truncate(31)), "entries.host has 31 bytes"),
        (of_entry(|entry| entry.home.push('1')), "entries.home is none"),
        (of_entry(|entry| entry.revision = 0), "entries.revision is out of range"),
        (of_entry(|entry| entry.revision += 1), "entries.revision is out of range"),
        (of_entry(|entry| entry.state = 0), "entries.state is not known"),
        (of_entry(|entry| entry.state = 4), "entries.state is not known"),
        (of_entry(|entry| entry.registered = i64::MIN), "entries.registered is out of range"),
        (of_entry(|entry| entry.seen = None), "entries.seen is missing"),
        (
            of_entry(|entry| entry.identity.as_mut().expect("one").id = "a\nb".into()),
            "entries.identity.id contains a control character",
        ),
        (of_seen(|seen| seen.at = -1), "entries.seen.at is out of range"),
        (of_seen(|seen| seen.name.push('x')), "entries.seen.name is longer"),
        (of_seen(|seen| seen.address.clear()), "entries.seen.address is empty"),
        (of_presence(|hosts| hosts.gone.push(vec![1; 32])), "presence has more than 256 entries"),
        (of_presence(|hosts| hosts.gone[0].clear()), "presence.gone has 0 bytes"),
        (of_presence(|hosts| hosts.present[0].host.clear()), "presence.host has 0 bytes"),
        (of_presence(|hosts| hosts.present[0].boot = vec![1]), "presence.boot has 1 bytes"),
        (of_presence(|hosts| hosts.present[0].address.clear()), "presence.address is empty"),
        (of_presence(|hosts| hosts.present[0].emulators = 0), "presence.emulators is out of range"),
    ]);
    let taken = Kind::Taken(proto::PeerTaken { upto: None });
    check([(proto::PeerMessage { kind: Some(taken) }, "upto is missing")]);
}

/// A field of number `field` with a length, as a newer version might send it.
fn unknown_field(field: u8) -> Vec<u8> {
    assert!((16..32).contains(&field), "two bytes of tag");
    vec![(field << 3) | 2 | 0x80, field >> 4, 3, b'n', b'e', b'w']
}

#[test]
fn what_a_newer_version_says_is_passed_over() {
    let kind = proto::PeerMessage::decode(unknown_field(17).as_slice()).expect("a message");
    assert_eq!(peer::read(&kind), Ok(None));

    let mut wire = peer::write(&largest_status()).encode_to_vec();
    wire.extend(unknown_field(18));
    let field = proto::PeerMessage::decode(wire.as_slice()).expect("a message");
    assert_eq!(peer::read(&field), Ok(Some(largest_status())));

    let code = peer::read(&of_status(|status| status.unserved = "moon-phase".into()));
    let Ok(Some(PeerMessage::Status(status))) = code else { panic!("{code:?}") };
    assert_eq!(status.serves, Err(ReasonCode::LicenseNotAvailable));

    let platform = peer::read(&of_entry(|entry| {
        entry.identity.as_mut().expect("one").platform = "moon.base".into();
        entry.seen.as_mut().expect("seen").platform = "moon.base".into();
    }));
    let Ok(Some(PeerMessage::Changes { entries, .. })) = platform else { panic!("{platform:?}") };
    let last = entries.last().expect("an entry");
    assert_eq!((&last.identity, last.seen.platform), (&None, None));
}
