//! The vendor of a run: signs licenses for its two servers, and changes them as the days go by.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    fingerprint::{Component, Machine, Platform, Reading},
    id::{Digest, LicenseId, ServerKey},
    license::{Credential, KeyType, Lease, License, Mode, ProductSection, Verified},
    registry::Receipt,
    text::Name,
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};
use ve_documents::{
    credential,
    keys::{SigningKey, VerifyingKey},
    license_fingerprint, receipt, v2c,
};

use crate::{clock, random::Random};

/// The models that the sections of a license cover, one each.
pub(crate) const MODELS: [&str; 2] = ["Charon-SSP/4M", "Charon-SSP/4U"];

/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A signing key from the seed.
pub(crate) fn key(random: &mut Random) -> SigningKey {
    let der = [&PKCS8_HEAD[..], &random.bytes::<32>()].concat();
    SigningKey::from_pkcs8_der(&der).expect("any 32 bytes are an Ed25519 key")
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("names here are short and plain")
}

/// A license file: what the vendor wrote, and its signed text.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) license: License,
    pub(crate) text: String,
    /// What its server shows of it to hosts and peers.
    pub(crate) credential: String,
}

/// The vendor.
#[derive(Debug)]
pub(crate) struct Vendor {
    key: SigningKey,
    trusted: [VerifyingKey; 1],
}

impl Vendor {
    pub(crate) fn new(random: &mut Random) -> Self {
        let key = key(random);
        let trusted = [key.verifying_key()];
        Self { key, trusted }
    }

    pub(crate) fn sign(&self, license: &License) -> Signed {
        let text = v2c::sign(license, &self.key).expect("licenses here keep every rule");
        let credential = credential::sign(&credential::of_license(license), &self.key);
        Signed { license: license.clone(), text, credential }
    }

    /// Reads a license file as a server does.
    pub(crate) fn verify(&self, text: &str) -> Option<Verified<License>> {
        v2c::verify(text, &self.trusted).ok().map(|v2c| v2c.license)
    }
}

impl Vendor {
    /// Reads a server's credential as its peer does.
    pub(crate) fn verify_credential(&self, text: &str) -> Option<Verified<Credential>> {
        credential::verify(text, &self.trusted).ok()
    }

    /// Reads a host's receipt as a server does.
    pub(crate) fn verify_receipt(&self, text: &str) -> Option<Verified<Receipt>> {
        receipt::verify(text, &self.trusted).ok()
    }
}

/// What all licenses of a run have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) grace_ms: u64,
    pub(crate) check_interval_ms: u64,
    pub(crate) lease: Lease,
}

impl Terms {
    pub(crate) fn new(random: &mut Random) -> Self {
        let grace_ms = random.pick(&[90 * SECOND_MS, 10 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS]);
        let check_interval_ms = random.pick(&[5 * MINUTE_MS, HOUR_MS, HOUR_MS]);
        let lease =
            random.pick(&[Lease::For(20 * SECOND_MS), Lease::For(120 * SECOND_MS), Lease::Grace]);
        Self { grace_ms, check_interval_ms, lease }
    }
}

/// The machine of a server.
pub(crate) fn machine(server: usize) -> Machine {
    let digest = u8::try_from(server).unwrap_or(0) + 1;
    let reading = Reading::Known(vec![Digest([digest; 32])]);
    Machine { readings: BTreeMap::from([(Component::MachineId, reading)]) }
}

/// The first version of a server's license: `NORMAL`, or a number of hours.
pub(crate) fn first_license(
    mode: Mode,
    server: usize,
    server_key: ServerKey,
    terms: Terms,
    hours: Option<u32>,
    instances: u32,
) -> License {
    let binding = machine(server).fingerprint();
    License {
        id: format!("01.00000001.002.{:03}", server + 1).parse::<LicenseId>().expect("an ID"),
        version: 1,
        customer: name("Stromasys/Testing"),
        mode,
        key_type: hours
            .map_or(KeyType::Normal { expires: None }, |hours| KeyType::Countdown { hours }),
        platform: Platform::Kvm,
        released: clock::beginning(),
        grace_ms: terms.grace_ms,
        check_interval_ms: terms.check_interval_ms,
        lease: terms.lease,
        tolerance: BTreeSet::new(),
        fingerprint: license_fingerprint(&binding, &server_key),
        binding,
        server_key,
        sections: MODELS.iter().map(|model| section(model, instances)).collect(),
    }
}

fn section(model: &str, instances: u32) -> ProductSection {
    ProductSection {
        code: name(&format!("{model}/section")),
        virtual_hardware: vec![name(model)],
        expires: None,
        major: 5,
        minor: 3,
        max_cpu: 64,
        max_memory_mb: 1_048_576,
        instances,
        passphrase: None,
    }
}

/// The next version of a license: fewer or more seats, a section less, another lease or grace.
pub(crate) fn next_license(random: &mut Random, before: &License) -> License {
    let mut next = License { version: before.version + 1, ..before.clone() };
    match random.index(6) {
        0 => scale(&mut next, |instances| (instances / 2).max(1)),
        1 | 2 => scale(&mut next, |instances| instances * 3 / 2 + 1),
        3 if next.sections.len() > 1 => {
            next.sections.remove(0);
        }
        3 => {
            let instances = next.sections[0].instances;
            next.sections = MODELS.iter().map(|model| section(model, instances)).collect();
        }
        4 => next.lease = Terms::new(random).lease,
        _ => next.grace_ms = Terms::new(random).grace_ms,
    }
    next
}

fn scale(license: &mut License, change: impl Fn(u32) -> u32) {
    for section in &mut license.sections {
        section.instances = change(section.instances).min(10_000);
    }
}

/// Another license in the place of one: a new ID, and everything else as it was.
pub(crate) fn successor(before: &License, number: u64) -> License {
    let server = before.id.as_str().rsplit('.').next().unwrap_or("001").to_owned();
    let id = format!("01.00000001.{:03}.{server}", 2 + number % 900);
    License { id: id.parse().expect("an ID"), version: 1, ..before.clone() }
}

/// A version with seats for everyone.
pub(crate) fn ample_license(before: &License, instances: u32) -> License {
    License {
        version: before.version + 1,
        sections: MODELS.iter().map(|model| section(model, instances)).collect(),
        ..before.clone()
    }
}
