//! What is in a backup: the list at its beginning, and the names that there can be.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use ve_core::{
    id::{LicenseId, ServerKey},
    text::printable,
    time::Utc,
};
use ve_documents::{c2v::MAX_INSTALLED, files::MAX_DOCUMENT_BYTES};
use ve_store::HighWater;

use crate::config::MAX_CONFIG_BYTES;

/// The list's own name, the first in the file.
pub const MANIFEST_NAME: &str = "manifest.json";

/// The longest list, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// The format that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// The largest ledger, in bytes; a full one has some 500 MB.
const MAX_LEDGER_BYTES: u64 = 16 << 30;

/// The largest registry, in bytes; a full one has some 600 MB.
const MAX_REGISTRY_BYTES: u64 = 4 << 30;

/// The longest key file, in bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// The most license files: every installed license and ten earlier versions of each.
const MAX_LICENSE_FILES: usize = 11 * MAX_INSTALLED;

/// The longest part of a name that a message repeats, in characters.
const MAX_QUOTED: usize = 100;

/// The list of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// When the backup was made (UTC, seconds since 1970).
    pub made: Utc,
    /// The key of the server that it is of: its public half.
    pub server_key: ServerKey,
    /// The version of the software that made it.
    pub version: String,
    /// What follows, in this order.
    pub files: Vec<File>,
    /// The ledger's marks.
    pub marks: HighWater,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name in the home, such as `licenses/01.00000001.002.044.v2c`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// What a file in a backup can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `identity.key`.
    Identity,
    /// `vendor.pub`.
    VendorKeys,
    /// `config.toml`.
    Config,
    /// A file in `licenses/`.
    License,
    /// `ledger.db`.
    Ledger,
    /// `instances.db`.
    Registry,
}

impl Part {
    /// What the file with this name is; `None` for names that no backup has.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "identity.key" => Some(Self::Identity),
            "vendor.pub" => Some(Self::VendorKeys),
            "config.toml" => Some(Self::Config),
            "ledger.db" => Some(Self::Ledger),
            "instances.db" => Some(Self::Registry),
            _ => is_license_name(name.strip_prefix("licenses/")?).then_some(Self::License),
        }
    }

    /// How long such a file can be, in bytes.
    pub fn limit_bytes(self) -> u64 {
        match self {
            Self::Identity | Self::VendorKeys => MAX_KEY_BYTES,
            Self::Config => MAX_CONFIG_BYTES as u64,
            Self::License => MAX_DOCUMENT_BYTES as u64,
            Self::Ledger => MAX_LEDGER_BYTES,
            Self::Registry => MAX_REGISTRY_BYTES,
        }
    }
}

/// Whether a file in the licenses' folder is a license or a version of one that is kept: its name
/// begins with the license's ID, so it is a name and nothing else.
pub fn is_license_name(name: &str) -> bool {
    let Some((id, rest)) = name.split_once(".v2c") else { return false };
    let is_version = |text: &str| {
        text == "unreadable"
            || (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    id.parse::<LicenseId>().is_ok()
        && (rest.is_empty() || rest.strip_prefix('.').is_some_and(is_version))
}

/// The license whose installed file has this name in a backup.
pub fn license_of(name: &str) -> Option<LicenseId> {
    name.strip_prefix("licenses/")?.strip_suffix(".v2c")?.parse().ok()
}

impl Manifest {
    /// Whether the list can be one of a backup; else says what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!(
                "it has format {}, and this version reads format {FORMAT}",
                self.format
            ));
        }
        let mut names = BTreeSet::new();
        for file in &self.files {
            let Some(part) = Part::of(&file.name) else {
                let name = printable(&file.name, MAX_QUOTED);
                return Err(format!("it holds \"{name}\", which belongs to no home"));
            };
            if file.bytes > part.limit_bytes() {
                return Err(format!("its {} is too large", file.name));
            }
            if !names.insert(&file.name) {
                return Err(format!("it holds {} twice", file.name));
            }
        }
        if names.len() > MAX_LICENSE_FILES {
            return Err("it holds too many files".to_string());
        }
        if !names.iter().any(|name| Part::of(name) == Some(Part::Identity)) {
            return Err("it holds no identity.key".to_string());
        }
        if !self.marks.fits() {
            return Err("its marks are no marks of a ledger".to_string());
        }
        Ok(())
    }

    /// The list's line for a name.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_a_home_are_names_of_a_backup() {
        for (name, part) in [
            ("identity.key", Some(Part::Identity)),
            ("licenses/01.00000001.002.044.v2c", Some(Part::License)),
            ("licenses/01.00000001.002.044.v2c.12", Some(Part::License)),
            ("licenses/01.00000001.002.044.v2c.unreadable", Some(Part::License)),
            ("licenses/01.00000001.002.044.v2c.", None),
            ("licenses/01.00000001.002.044.v2c.1/x", None),
            ("licenses/01.00000001.002.044.v2c.12345678901", None),
            ("licenses/../identity.key", None),
            ("licenses/x.v2c", None),
            ("/identity.key", None),
            ("./identity.key", None),
            ("../ledger.db", None),
            ("ledger.db", Some(Part::Ledger)),
            ("instances.db", Some(Part::Registry)),
            ("ledger.db-wal", None),
            ("snapshots/instances-20251122T200803Z.db", None),
            ("log/license.log", None),
            ("", None),
        ] {
            assert_eq!(Part::of(name), part, "{name}");
        }
        assert_eq!(license_of("licenses/01.00000001.002.044.v2c.1"), None);
    }
}
