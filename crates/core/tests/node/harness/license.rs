//! Licenses in a few words.

use std::collections::BTreeSet;

use ve_core::{
    fingerprint::{Component, Fingerprint, Platform},
    id::{Digest, LicenseId, ServerKey},
    license::{DEFAULT_LEASE_MS, KeyType, Lease, License, Mode, ProductSection},
    time::{HOUR_MS, Utc},
};

use super::{name, server::WALL_AT_START};

/// The key of the server in all stories.
pub(crate) const SERVER_KEY: ServerKey = ServerKey([7; 32]);

/// A digest of a small number.
pub(crate) fn digest(value: u8) -> Digest {
    Digest([value; 32])
}

/// A license that is being written.
#[derive(Debug, Clone)]
pub(crate) struct LicenseBuilder(License);

/// License `01.00000001.002.<number>`: version 1, perpetual, bound to the stories' machine, without
/// a section.
pub(crate) fn license(number: u32) -> LicenseBuilder {
    LicenseBuilder(License {
        id: format!("01.00000001.002.{number:03}").parse().unwrap(),
        version: 1,
        customer: name("Stromasys/Testing"),
        mode: Mode::General,
        key_type: KeyType::Normal { expires: None },
        platform: Platform::Kvm,
        released: WALL_AT_START,
        grace_ms: 2 * HOUR_MS,
        check_interval_ms: HOUR_MS,
        lease: Lease::For(DEFAULT_LEASE_MS),
        tolerance: BTreeSet::new(),
        binding: Fingerprint(
            [(Component::CpuCores, digest(4)), (Component::MachineId, digest(1))].into(),
        ),
        fingerprint: digest(0),
        server_key: SERVER_KEY,
        sections: Vec::new(),
    })
}

impl LicenseBuilder {
    pub(crate) fn with(mut self, section: SectionBuilder) -> Self {
        self.0.sections.push(section.0);
        self
    }

    /// One section of the usual kind with this many seats.
    pub(crate) fn instances(self, instances: u32) -> Self {
        self.with(section("Charon-SSP/ALL").instances(instances))
    }

    pub(crate) fn version(mut self, version: u32) -> Self {
        self.0.version = version;
        self
    }

    pub(crate) fn expires(mut self, expires: Utc) -> Self {
        self.0.key_type = KeyType::Normal { expires: Some(expires) };
        self
    }

    pub(crate) fn hours(mut self, hours: u32) -> Self {
        self.0.key_type = KeyType::Countdown { hours };
        self
    }

    pub(crate) fn released(mut self, released: Utc) -> Self {
        self.0.released = released;
        self
    }

    pub(crate) fn lease(mut self, lease: Lease) -> Self {
        self.0.lease = lease;
        self
    }

    pub(crate) fn grace_ms(mut self, grace_ms: u64) -> Self {
        self.0.grace_ms = grace_ms;
        self
    }

    pub(crate) fn tolerating(mut self, component: Component) -> Self {
        self.0.tolerance.insert(component);
        self
    }

    pub(crate) fn bound_to(mut self, server_key: ServerKey) -> Self {
        self.0.server_key = server_key;
        self
    }

    pub(crate) fn mode(mut self, mode: Mode) -> Self {
        self.0.mode = mode;
        self
    }

    /// The ID alone.
    pub(crate) fn build_id(self) -> LicenseId {
        self.0.id
    }

    pub(crate) fn build(self) -> License {
        self.0.check().unwrap();
        self.0
    }
}

/// A product section that is being written.
#[derive(Debug, Clone)]
pub(crate) struct SectionBuilder(ProductSection);

/// A section for `Charon-SSP/4M` and `4U`, up to version 5.3, 8 CPUs, 4,096 MB, with 3 seats.
pub(crate) fn section(code: &str) -> SectionBuilder {
    SectionBuilder(ProductSection {
        code: name(code),
        virtual_hardware: vec![name("Charon-SSP/4M"), name("Charon-SSP/4U")],
        expires: None,
        major: 5,
        minor: 3,
        max_cpu: 8,
        max_memory_mb: 4_096,
        instances: 3,
        passphrase: None,
    })
}

impl SectionBuilder {
    pub(crate) fn instances(mut self, instances: u32) -> Self {
        self.0.instances = instances;
        self
    }

    pub(crate) fn hardware(mut self, hardware: &str) -> Self {
        self.0.virtual_hardware = vec![name(hardware)];
        self
    }

    pub(crate) fn max_cpu(mut self, max_cpu: u32) -> Self {
        self.0.max_cpu = max_cpu;
        self
    }

    pub(crate) fn max_memory_mb(mut self, max_memory_mb: u64) -> Self {
        self.0.max_memory_mb = max_memory_mb;
        self
    }

    pub(crate) fn minor(mut self, minor: u32) -> Self {
        self.0.minor = minor;
        self
    }

    pub(crate) fn expires(mut self, expires: Utc) -> Self {
        self.0.expires = Some(expires);
        self
    }

    pub(crate) fn passphrase(mut self, passphrase: &str) -> Self {
        self.0.passphrase = Some(passphrase.parse().unwrap());
        self
    }
}
