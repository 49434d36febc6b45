//! A vendor's desk: a folder with keys, a customer's C2V and a license file.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use tempfile::TempDir;
use ve_core::{
    fingerprint::{Component, Fingerprint, Platform},
    id::Digest,
    time::Utc,
};
use ve_documents::{
    c2v::{self, C2v, InstalledLicense},
    key_files,
    keys::SigningKey,
    v2c::{self, V2c},
};

/// The license file of the interface description, but for two instances.
pub(crate) const LICENSE: &str = r#"
customer = "Stromasys/Testing"
license_id = "01.00000001.002.044"
mode = "general"
key_type = "COUNTDOWN"
hours = 100

[[product]]
code = "Charon-SSP/ALL"
virtual_hardware = ["Charon-SSP/4M", "Charon-SSP/4U"]
expires = "2099-12-22 23:55:00"
major = 5
minor = 3
max_cpu = 64
max_memory_mb = 1048576
instances = 2
passphrase = "1111-2222-3333-4444"
"#;

pub(crate) struct Desk {
    folder: TempDir,
    pub(crate) vendor: SigningKey,
    pub(crate) server: SigningKey,
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Always the same key for the same number, so that output can be compared to the letter.
pub(crate) fn fixed_key(number: u8) -> SigningKey {
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    SigningKey::from_pkcs8_der(&[&prefix[..], &[number; 32]].concat()).unwrap()
}

impl Desk {
    /// A desk with `vendor.key`, `vendor.pub`, `F.c2v` and `L.toml`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder, vendor: fixed_key(1), server: fixed_key(2) };
        key_files::save(&desk.path("vendor.key"), &desk.vendor, None).unwrap();
        key_files::save_public(&desk.path("vendor.pub"), &[desk.vendor.verifying_key()]).unwrap();
        desk.write_c2v(&desk.c2v());
        desk.write("L.toml", LICENSE);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A server that identifies itself well, trusts this vendor, and has nothing installed.
    pub(crate) fn c2v(&self) -> C2v {
        C2v {
            platform: Platform::Kvm,
            components: Fingerprint(BTreeMap::from([
                (Component::ProductUuid, Digest([1; 32])),
                (Component::CpuCores, Digest([2; 32])),
            ])),
            unreadable: BTreeSet::new(),
            server_key: self.server.public(),
            licenses: Vec::new(),
            trusted_vendor_keys: vec![self.vendor.verifying_key().kid().clone()],
            software_version: "0.1.0".parse().unwrap(),
            created: Utc::parse("2021-01-01 00:00:00").unwrap(),
        }
    }

    pub(crate) fn write_c2v(&self, c2v: &C2v) {
        self.write("F.c2v", &(c2v::sign(c2v, &self.server) + "\n"));
    }

    /// A C2V of a server on which `version` of the license file's license is installed.
    pub(crate) fn write_c2v_with_version(&self, version: u32) {
        let id = "01.00000001.002.044".parse().unwrap();
        let installed =
            InstalledLicense { id, version, used_seconds: 9_000, remaining_seconds: Some(351_000) };
        self.write_c2v(&C2v { licenses: vec![installed], ..self.c2v() });
    }

    /// Runs the program in this process. Arguments that begin with `@` name files of the desk.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = ve_issuer::run(self.arguments(arguments), &mut stdout, &mut stderr);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code, stdout: text(stdout), stderr: text(stderr) }
    }

    /// Runs the program as a process of its own; `prepare` may change how.
    pub(crate) fn spawn(&self, arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_license_issuer"));
        command.args(self.arguments(arguments).into_iter().skip(1));
        prepare(&mut command);
        command.output().unwrap()
    }

    /// Runs `issue` with the desk's files and more arguments.
    pub(crate) fn issue(&self, more: &[&str]) -> Run {
        let usual = [
            "issue",
            "--key",
            "@vendor.key",
            "--c2v",
            "@F.c2v",
            "--license",
            "@L.toml",
            "--out",
            "@F.v2c",
        ];
        self.run(&[&usual[..], more].concat())
    }

    /// The V2C that `issue` wrote, checked.
    pub(crate) fn issued(&self) -> V2c {
        v2c::verify(&self.read("F.v2c"), &[self.vendor.verifying_key()]).unwrap()
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<OsString> {
        let named = arguments.iter().map(|argument| match argument.strip_prefix('@') {
            Some(name) => self.path(name).into_os_string(),
            None => OsString::from(argument),
        });
        std::iter::once(OsString::from("license_issuer")).chain(named).collect()
    }
}

impl Run {
    /// Asserts the exit code and that `stderr` says `expected`.
    #[track_caller]
    pub(crate) fn assert_fails(&self, code: u8, expected: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(expected), "expected {expected:?}, got: {}", self.stderr);
        assert_eq!(self.stdout, "", "no result beside an error");
    }

    /// Asserts success without a word on `stderr`.
    #[track_caller]
    pub(crate) fn assert_fine(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
    }
}
