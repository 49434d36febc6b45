//! Sample values, and strategies that make any valid one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection, option, prelude::*, sample};
use ve_core::{
    fingerprint::{Component, Fingerprint, Platform},
    id::Digest,
    license::{KeyType, Lease, License, Mode, ProductSection},
    text::Name,
    time::Utc,
};
use ve_documents::{
    c2v::{C2v, InstalledLicense},
    keys::SigningKey,
    license_fingerprint,
};

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn license(server: &SigningKey) -> License {
    let binding = Fingerprint(BTreeMap::from([
        (Component::CpuCores, Digest([1; 32])),
        (Component::MachineId, Digest([2; 32])),
    ]));
    License {
        id: "01.00000001.002.044".parse().unwrap(),
        version: 2,
        customer: name("Stromasys/Testing"),
        mode: Mode::General,
        key_type: KeyType::Countdown { hours: 100 },
        platform: Platform::Kvm,
        released: Utc::parse("2026-11-22 10:00:00").unwrap(),
        grace_ms: 7_200_000,
        check_interval_ms: 3_600_000,
        lease: Lease::For(120_000),
        tolerance: BTreeSet::from([Component::CpuCores]),
        fingerprint: license_fingerprint(&binding, &server.public()),
        binding,
        server_key: server.public(),
        sections: vec![section()],
    }
}

fn section() -> ProductSection {
    ProductSection {
        code: name("Charon-SSP/ALL"),
        virtual_hardware: vec![name("Charon-SSP/4M"), name("Charon-SSP/4U")],
        expires: Some(Utc::parse("2027-12-22 23:55:00").unwrap()),
        major: 5,
        minor: 3,
        max_cpu: 64,
        max_memory_mb: 1_048_576,
        instances: 3,
        passphrase: Some("1111-2222-3333-4444".parse().unwrap()),
    }
}

pub(crate) fn c2v(server: &SigningKey) -> C2v {
    C2v {
        platform: Platform::Physical,
        components: Fingerprint(BTreeMap::from([(Component::CpuCores, Digest([1; 32]))])),
        unreadable: BTreeSet::from([Component::ProductUuid]),
        server_key: server.public(),
        licenses: vec![InstalledLicense {
            id: "01.00000001.002.044".parse().unwrap(),
            version: 2,
            used_seconds: 9_000,
            remaining_seconds: Some(351_000),
        }],
        trusted_vendor_keys: vec![SigningKey::generate().verifying_key().kid().clone()],
        software_version: name("0.1.0"),
        created: Utc::parse("2026-11-22 10:00:00").unwrap(),
    }
}

pub(crate) fn any_name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9äß€ /_.\"\\\\-]{0,30}x".prop_map(|text| name(&text))
}

pub(crate) fn any_date() -> impl Strategy<Value = Utc> {
    (0..253_402_300_799_i64).prop_map(Utc)
}

fn any_components() -> impl Strategy<Value = Vec<Component>> {
    sample::subsequence(Component::ALL, 0..=Component::ALL.len())
}

fn any_digests() -> impl Strategy<Value = Fingerprint> {
    (any_components(), any::<[u8; 32]>()).prop_map(|(names, bytes)| {
        Fingerprint(names.into_iter().map(|name| (name, Digest(bytes))).collect())
    })
}

fn any_section() -> impl Strategy<Value = ProductSection> {
    let names = (any_name(), collection::vec(any_name(), 1..4), option::of(any_name()));
    let numbers = (any::<u32>(), any::<u32>(), 1..=65_536_u32, 1..=1_u64 << 40);
    (names, option::of(any_date()), numbers).prop_filter_map(
        "models named twice",
        |((code, models, passphrase), expires, (major, minor, max_cpu, max_memory_mb))| {
            let different: BTreeSet<_> =
                models.iter().map(|model| model.as_str().to_lowercase()).collect();
            (different.len() == models.len()).then(|| ProductSection {
                code,
                virtual_hardware: models,
                expires,
                major,
                minor,
                max_cpu,
                max_memory_mb,
                instances: 7,
                passphrase: passphrase.map(|text| text.as_str().parse().unwrap()),
            })
        },
    )
}

fn any_key_type() -> impl Strategy<Value = KeyType> {
    prop_oneof![
        option::of(any_date()).prop_map(|expires| KeyType::Normal { expires }),
        (1..=1_000_000_u32).prop_map(|hours| KeyType::Countdown { hours }),
    ]
}

fn any_lease() -> impl Strategy<Value = Lease> {
    prop_oneof![Just(Lease::Grace), (1_000..1_000_000_u64).prop_map(Lease::For)]
}

/// Any license that passes its own check, bound to `server`.
pub(crate) fn any_license(server: &SigningKey) -> impl Strategy<Value = License> + use<> {
    let server_key = server.public();
    let head = (1..u32::MAX, any_name(), sample::select(Mode::ALL), any_key_type());
    let machine = (sample::select(Platform::ALL), any_components(), any_digests());
    let times = (any_date(), 1_000..100_000_000_u64, 1_000..100_000_000_u64, any_lease());
    let sections = collection::vec(any_section(), 1..4);
    (head, machine, times, sections).prop_map(move |(head, machine, times, sections)| License {
        id: "99.12345678.000.001".parse().unwrap(),
        version: head.0,
        customer: head.1,
        mode: head.2,
        key_type: head.3,
        platform: machine.0,
        released: times.0,
        grace_ms: times.1,
        check_interval_ms: times.2,
        lease: times.3,
        tolerance: machine.1.into_iter().collect(),
        fingerprint: license_fingerprint(&machine.2, &server_key),
        binding: machine.2,
        server_key,
        sections,
    })
}

/// Any C2V of `server`.
pub(crate) fn any_c2v(server: &SigningKey) -> impl Strategy<Value = C2v> + use<> {
    let server_key = server.public();
    let installed = (1..u32::MAX, any::<u64>(), option::of(any::<u64>()));
    let licenses = collection::vec(installed, 0..4);
    let texts = (any_name(), any_date(), 0..=16_usize);
    (sample::select(Platform::ALL), any_digests(), licenses, texts).prop_map(
        move |(platform, components, licenses, (software_version, created, keys))| {
            let unknown = |component: &Component| !components.0.contains_key(component);
            let unreadable = Component::ALL.iter().copied().filter(unknown).collect();
            let numbered = licenses.into_iter().enumerate();
            let licenses = numbered.map(|(at, (version, used_seconds, remaining_seconds))| {
                let id = format!("01.00000001.002.{at:03}").parse().unwrap();
                InstalledLicense { id, version, used_seconds, remaining_seconds }
            });
            let kid = || SigningKey::generate().verifying_key().kid().clone();
            C2v {
                platform,
                components: components.clone(),
                unreadable,
                server_key,
                licenses: licenses.collect(),
                trusted_vendor_keys: (0..keys).map(|_| kid()).collect(),
                software_version,
                created,
            }
        },
    )
}
