//! A vendor: its key, and the licenses that it signs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use data_encoding::BASE64URL_NOPAD;
use ve_core::{
    fingerprint::{Component, Fingerprint, Platform},
    id::{Digest, ServerKey},
    license::{KeyType, Lease, License, Mode, ProductSection},
    text::Name,
    time::{HOUR_MS, Utc},
};
use ve_documents::{c2v, key_files, keys::SigningKey, license_fingerprint, v2c};

/// A vendor with a key of its own.
#[derive(Debug)]
pub struct Vendor {
    key: SigningKey,
    public: PathBuf,
}

/// A new vendor, whose `vendor.key` and `vendor.pub` are in `folder`.
pub fn vendor(folder: &Path) -> Vendor {
    fs::create_dir_all(folder).expect("the vendor's folder");
    let key = SigningKey::generate();
    let public = folder.join("vendor.pub");
    key_files::save(&folder.join("vendor.key"), &key, None).expect("the vendor's private key");
    key_files::save_public(&public, &[key.verifying_key()]).expect("the vendor's public key");
    Vendor { key, public }
}

impl Vendor {
    /// The vendor's private key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The file with the vendor's public key.
    pub fn public_file(&self) -> &Path {
        &self.public
    }

    /// Puts the vendor's public key into a server's home, which is made if need be.
    pub fn trust_in(&self, home: &Path) {
        fs::create_dir_all(home).expect("a home");
        fs::copy(&self.public, home.join("vendor.pub")).expect("the vendor's public key");
    }

    /// A document that no tool of ours would write: one piece of the payload's text is another, and
    /// the signature holds.
    pub fn forge(&self, document: &str, from: &str, to: &str) -> String {
        let mut parts = document.split('.');
        let (header, payload) = (parts.next(), parts.next());
        let payload = payload.expect("a document has a payload");
        let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).expect("a payload in base64url");
        let payload = String::from_utf8(payload).expect("a payload of text");
        assert!(payload.contains(from), "{from} is not in {payload}");
        let payload = BASE64URL_NOPAD.encode(payload.replacen(from, to, 1).as_bytes());
        let message = format!("{}.{payload}", header.expect("a document has a header"));
        let signature = BASE64URL_NOPAD.encode(&self.key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// Begins a license for the server that the fingerprint file `c2v` describes.
    pub fn license_for(&self, c2v: &Path) -> LicenseBuilder<'_> {
        let text = fs::read_to_string(c2v).expect("a fingerprint file");
        let c2v = c2v::verify(&text).expect("a fingerprint file whose signature holds");
        let mut builder = self.license(c2v.server_key, c2v.components);
        builder.license.platform = c2v.platform;
        builder
    }

    /// Begins a license for a server's key and machine. It allows three instances of
    /// `Charon-SSP/4M` and `Charon-SSP/4U`, version 5.3, and never expires.
    pub fn license(&self, server_key: ServerKey, binding: Fingerprint) -> LicenseBuilder<'_> {
        let license = License {
            id: "01.00000001.002.044".parse().expect("a license ID"),
            version: 1,
            customer: name("Stromasys/Testing"),
            mode: Mode::General,
            key_type: KeyType::Normal { expires: None },
            platform: Platform::Kvm,
            released: Utc::parse("2026-01-01 00:00:00").expect("a date"),
            grace_ms: 2 * HOUR_MS,
            check_interval_ms: HOUR_MS,
            lease: Lease::For(120_000),
            tolerance: BTreeSet::new(),
            fingerprint: license_fingerprint(&binding, &server_key),
            binding,
            server_key,
            sections: vec![section()],
        };
        LicenseBuilder { vendor: self, license }
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn section() -> ProductSection {
    ProductSection {
        code: name("Charon-SSP/ALL"),
        virtual_hardware: vec![name("Charon-SSP/4M"), name("Charon-SSP/4U")],
        expires: None,
        major: 5,
        minor: 3,
        max_cpu: 64,
        max_memory_mb: 1_048_576,
        instances: 3,
        passphrase: None,
    }
}

/// A license in the making.
#[derive(Debug, Clone)]
pub struct LicenseBuilder<'a> {
    vendor: &'a Vendor,
    license: License,
}

impl LicenseBuilder<'_> {
    /// Another license ID.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.with(|license| license.id = id.parse().expect("a license ID"))
    }

    /// Another version.
    #[must_use]
    pub fn version(self, version: u32) -> Self {
        self.with(|license| license.version = version)
    }

    /// A number of runtime hours.
    #[must_use]
    pub fn hours(self, hours: u32) -> Self {
        self.with(|license| license.key_type = KeyType::Countdown { hours })
    }

    /// An end, such as `2026-12-31 15:55:00` (UTC).
    #[must_use]
    pub fn expires(self, date: &str) -> Self {
        let expires = Some(Utc::parse(date).expect("a date"));
        self.with(|license| license.key_type = KeyType::Normal { expires })
    }

    /// Another number of instances of every section.
    #[must_use]
    pub fn instances(self, instances: u32) -> Self {
        self.with(|license| {
            license.sections.iter_mut().for_each(|section| section.instances = instances);
        })
    }

    /// For emulator hosts, this many of them.
    #[must_use]
    pub fn autove(self, hosts: u32) -> Self {
        self.with(|license| license.mode = Mode::AutoVe).instances(hosts)
    }

    /// A passphrase for every section.
    #[must_use]
    pub fn passphrase(self, passphrase: &str) -> Self {
        self.with(|license| {
            let secret = || Some(passphrase.parse().expect("a passphrase"));
            license.sections.iter_mut().for_each(|section| section.passphrase = secret());
        })
    }

    /// Bound to a machine that is not this one.
    #[must_use]
    pub fn of_another_machine(self) -> Self {
        self.with(|license| {
            license.binding =
                Fingerprint(BTreeMap::from([(Component::MachineId, Digest([9; 32]))]));
        })
    }

    /// Any other change.
    #[must_use]
    pub fn with(mut self, edit: impl FnOnce(&mut License)) -> Self {
        edit(&mut self.license);
        let License { binding, server_key, .. } = &self.license;
        self.license.fingerprint = license_fingerprint(binding, server_key);
        self
    }

    /// The license, unsigned.
    pub fn build(self) -> License {
        self.license
    }

    /// The license file's text.
    pub fn sign(self) -> String {
        v2c::sign(&self.license, &self.vendor.key).expect("a license that can be signed")
    }

    /// Writes the license file.
    pub fn write(self, path: &Path) {
        fs::write(path, self.sign() + "\n").expect("a license file");
    }
}
