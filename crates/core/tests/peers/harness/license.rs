//! The licenses of the two servers.

use std::collections::BTreeSet;

use ve_core::{
    fingerprint::{Component, Fingerprint, Machine, Platform, Reading},
    id::{Digest, LicenseId, ServerKey},
    license::{
        Credential, DEFAULT_LEASE_MS, KeyType, Lease, License as CoreLicense, Mode, ProductSection,
    },
    time::HOUR_MS,
};

use super::{WALL_AT_START, name};

/// A server's license, as far as the stories tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct License {
    pub(crate) number: u16,
    pub(crate) mode: Mode,
    pub(crate) customer: &'static str,
    pub(crate) instances: u32,
    pub(crate) server_key: u8,
}

/// The AutoVE license of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AutoVe(pub(crate) u16);

impl AutoVe {
    pub(crate) fn id(self) -> LicenseId {
        license_id(self.0)
    }
}

/// An AutoVE license with 100 instances for the server with this key.
pub(crate) fn autove(number: u16, server_key: u8) -> License {
    License {
        number,
        mode: Mode::AutoVe,
        customer: "Stromasys/Testing",
        instances: 100,
        server_key,
    }
}

/// A license for general mode.
pub(crate) fn general(number: u16, server_key: u8) -> License {
    License { mode: Mode::General, ..autove(number, server_key) }
}

fn license_id(number: u16) -> LicenseId {
    format!("01.00000001.002.{number:03}").parse().unwrap()
}

impl License {
    pub(crate) fn id(self) -> LicenseId {
        license_id(self.number)
    }

    /// What its vendor says of the server.
    pub(crate) fn credential(self) -> Credential {
        Credential {
            customer: name(self.customer),
            license_id: self.id(),
            mode: self.mode,
            server_key: ServerKey([self.server_key; 32]),
        }
    }

    pub(crate) fn build(self) -> CoreLicense {
        let license = CoreLicense {
            id: self.id(),
            version: 1,
            customer: name(self.customer),
            mode: self.mode,
            key_type: KeyType::Normal { expires: None },
            platform: Platform::Kvm,
            released: WALL_AT_START,
            grace_ms: 24 * HOUR_MS,
            check_interval_ms: HOUR_MS,
            lease: Lease::For(DEFAULT_LEASE_MS),
            tolerance: BTreeSet::new(),
            binding: Fingerprint([(Component::CpuCores, digest(4))].into()),
            fingerprint: digest(0),
            server_key: ServerKey([self.server_key; 32]),
            sections: vec![section(self.instances)],
        };
        license.check().unwrap();
        license
    }
}

fn section(instances: u32) -> ProductSection {
    ProductSection {
        code: name("Charon-SSP/ALL"),
        virtual_hardware: vec![name("Charon-SSP/4M")],
        expires: None,
        major: 5,
        minor: 3,
        max_cpu: 8,
        max_memory_mb: 4_096,
        instances,
        passphrase: None,
    }
}

/// The machine that the licenses are bound to.
pub(crate) fn machine() -> Machine {
    Machine { readings: [(Component::CpuCores, Reading::Known(vec![digest(4)]))].into() }
}

fn digest(value: u8) -> Digest {
    Digest([value; 32])
}
