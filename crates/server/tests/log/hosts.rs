//! The lines of AutoVE: every note has one, with its facts, and the pages name them all.

use jiff::Timestamp;
use ve_core::{
    id::{HostKey, LicenseId},
    node::{event::RegisteredBy, io::Note, peer::PeerFailure},
    reason::{ReasonCode, Refusal},
    text::Name,
};
use ve_server::log::{Field, Level, notes};

const HOST: HostKey = HostKey([0xab; 32]);

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn license() -> LicenseId {
    "01.00000001.002.044".parse().expect("a license ID")
}

fn registered(by: RegisteredBy) -> Note {
    let (name, address) = (name("vm-1"), name("192.0.2.1:4"));
    Note::HostRegistered { host: HOST, name, address, home: license(), by }
}

fn refusal() -> Refusal {
    Refusal::new(ReasonCode::LicenseNotAvailable, "it has none.")
}

/// Each note, the word for it, and a part of its line.
fn all() -> Vec<(Note, &'static str, &'static str)> {
    let (here, there) = (name("192.0.2.1:4"), name("192.0.2.2:5"));
    let other = HostKey([0xcd; 32]);
    vec![
        (
            registered(RegisteredBy::Login),
            "host-registered",
            "host vm-1 (abababababab) has registered from 192.0.2.1:4, at home with license 01.",
        ),
        (registered(RegisteredBy::Receipt), "host-registered", "by its receipt"),
        (
            registered(RegisteredBy::NewKey { before: other }),
            "host-registered",
            "in the place of cdcdcdcdcdcd",
        ),
        (registered(RegisteredBy::Import), "host-imported", ") was imported, at home with"),
        (
            Note::HostsImported { registered: 300, retired: 1 },
            "hosts-imported",
            "An import brought 300 hosts; 1 was retired by it.",
        ),
        (
            registered(RegisteredBy::NewLicense { before: license() }),
            "host-moved",
            "has replaced license 01.",
        ),
        (
            Note::HostRetired { host: HOST, name: name("vm-1"), here: true },
            "host-retired",
            "(abababababab) was retired; its",
        ),
        (
            Note::HostRetired { host: HOST, name: name("vm-1"), here: false },
            "host-retired",
            "was retired at the peer;",
        ),
        (
            Note::HostCloned {
                host: HOST,
                first: here.clone(),
                second: there.clone(),
                at_peer: true,
            },
            "host-cloned",
            "192.0.2.1:4 runs at the peer, and 192.0.2.2:5 was refused",
        ),
        (
            Note::IdentityClaimed {
                host: HOST,
                address: here.clone(),
                owner: other,
                owner_address: there,
            },
            "identity-claimed",
            "which runs at 192.0.2.2:5",
        ),
    ]
}

/// The same for the peer and the registry as a whole.
fn all_of_peer() -> Vec<(Note, &'static str, &'static str)> {
    let here = name("192.0.2.1:4");
    vec![
        (
            Note::RegistrationsFlood { address: name("192.0.2.1:4") },
            "registrations-flood",
            "from 192.0.2.1 come too fast",
        ),
        (
            Note::PeerInContact { license_id: license(), address: here.clone() },
            "peer-contact",
            "is there: 192.0.2.1:4.",
        ),
        (
            Note::PeerInStep { license_id: license(), changes: 0 },
            "peer-in-step",
            "nothing was missing.",
        ),
        (
            Note::PeerInStep { license_id: license(), changes: 2 },
            "peer-in-step",
            "2 changes have come.",
        ),
        (Note::PeerLost { license_id: license() }, "peer-lost", "is gone."),
        (
            Note::PeerFailed(PeerFailure::Unreachable("no route".into())),
            "peer-failed",
            "The configured peer can't be reached: no route. It is tried again",
        ),
        (
            Note::PeerFailed(PeerFailure::Refused(refusal())),
            "peer-failed",
            "is none: license-not-available: it has none. It is",
        ),
        (
            Note::PeerRefused { address: here, refusal: refusal() },
            "peer-refused",
            "A server at 192.0.2.1:4 was refused as a peer: license",
        ),
        (Note::PeerClockOff(-90), "peer-clock", "90 seconds behind this server's"),
        (Note::PeerClockRight, "peer-clock-right", "is right again."),
        (
            Note::PeersTooSmall { missing: 3, here: true },
            "peers-too-small",
            "If the peer failed, this server could not carry its hosts: 3 hosts would",
        ),
        (
            Note::PeersTooSmall { missing: 3, here: false },
            "peers-too-small",
            "If this server failed, the peer",
        ),
        (Note::PeersSuffice, "peers-suffice", "can carry its hosts again."),
        (
            Note::TooManyHosts { homed: 5, instances: 3 },
            "too-many-hosts",
            "5 hosts are registered here, and the license has 3 instances",
        ),
        (Note::HostsUnknown { kept: 4 }, "hosts-unknown", "4 instances are kept"),
        (Note::HostsKnown, "hosts-known", "all its hosts again."),
        (
            Note::RegistryFailed("the ledger can't be written: full.".into()),
            "registry-failed",
            "instances.db can't be written: full. Registered",
        ),
        (Note::RegistryRecovered, "registry-recovered", "can be written again."),
    ]
}

#[test]
fn every_note_has_a_line_with_its_facts() {
    let page = include_str!("../../../../docs/logs.md");
    for (note, event, part) in all().into_iter().chain(all_of_peer()) {
        let entries = notes::entries(Timestamp::UNIX_EPOCH, &note);
        let [entry] = entries.as_slice() else { panic!("{note:?}: {entries:?}") };
        assert!(entry.message().contains(part), "{}", entry.message());
        assert!(entry.message().ends_with('.'), "{}", entry.message());
        let field = |field| {
            entry
                .fields()
                .iter()
                .find(|(known, _)| *known == field)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(field(Field::Event), Some(event));
        assert!(page.contains(&format!("`{event}`")), "docs/logs.md says nothing of {event}");
        if event.starts_with("host-") {
            assert_eq!(field(Field::Host), Some(HOST.to_string().as_str()), "{note:?}");
        }
        let grave = ["host-cloned", "identity-claimed", "registry-failed"].contains(&event);
        assert_eq!(entry.level() == Level::Error, grave, "{note:?}");
    }
}
