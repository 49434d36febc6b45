//! The license files of a home, read and checked.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ve_core::{
    id::LicenseId,
    license::{License, Verified},
    node::io::UnusableLicense,
    reason::{ReasonCode, Refusal},
    text::{printable, sentence},
};
use ve_documents::{
    c2v::MAX_INSTALLED,
    files::{self, ReadError},
    key_files::{self, PublicKeysError},
    keys::VerifyingKey,
    v2c::{self, V2cError},
};

use crate::{backup::manifest, home::Home};

/// The most files in the licenses' folder that are looked at: installed licenses, and ten earlier
/// versions of each.
const MAX_FILES: usize = 11 * MAX_INSTALLED;

/// The longest part of a file's name that a message repeats, in characters.
const MAX_QUOTED: usize = 64;

/// What is installed in a home.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The licenses whose signature holds, in the order of their IDs; never two of one ID.
    pub trusted: Vec<Verified<License>>,
    /// The credential of each, in the same order.
    pub credentials: Vec<String>,
    /// The licenses that can't be used, and why.
    pub unusable: Vec<UnusableLicense>,
    /// The vendor keys that are trusted here.
    pub vendor_keys: Vec<VerifyingKey>,
    /// What the system wouldn't let us read, which says nothing about any license: a running server
    /// that reads its licenses anew keeps what it has, unless this is empty.
    pub trouble: Vec<String>,
}

/// Reads the vendor keys and all licenses of a home. Never fails: what can't be used has its reason
/// beside it. A home without licenses, or without a `vendor.pub`, is an empty one.
pub fn load(home: &Home) -> Loaded {
    let mut loaded = Loaded::default();
    let no_keys = match load_vendor_keys(home) {
        Ok(keys) => {
            loaded.vendor_keys = keys;
            None
        }
        Err(error) => {
            loaded.trouble.extend(error.trouble());
            Some(error.to_string())
        }
    };
    for path in license_files(home, &mut loaded.trouble) {
        let read = match &no_keys {
            Some(why) => Err(not_available(why)),
            None => load_license(&path, &loaded),
        };
        match read {
            Ok(v2c) => {
                loaded.trusted.push(v2c.license);
                loaded.credentials.push(v2c.credential_jws);
            }
            Err(problem) => {
                loaded.trouble.extend(problem.trouble);
                let refusal = Refusal::new(ReasonCode::LicenseNotAvailable, problem.sentence);
                loaded.unusable.push(UnusableLicense { id: id_in_name(&path), refusal });
            }
        }
    }
    loaded
}

/// Whether licenses are installed, whatever they are worth.
///
/// Errs when that can't be found out, with what the system said: then nobody may act as if there
/// were none.
pub fn has_license_files(home: &Home) -> Result<bool, String> {
    has_any(home, is_license_file)
}

/// Whether licenses are installed or were, so that there must be a ledger. Errs as
/// [`has_license_files`].
pub fn has_had_licenses(home: &Home) -> Result<bool, String> {
    let is_kept = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(manifest::is_license_name)
    };
    has_any(home, |path| is_license_file(path) || is_kept(path))
}

fn has_any(home: &Home, is_one: impl Fn(&Path) -> bool) -> Result<bool, String> {
    let mut trouble = Vec::new();
    let found = files_in(&home.licenses(), &mut trouble).iter().any(|path| is_one(path));
    if found || trouble.is_empty() { Ok(found) } else { Err(trouble.join("; ")) }
}

/// Why no vendor key is known.
#[derive(Debug, thiserror::Error)]
pub enum VendorKeysError {
    /// Nobody put one there.
    #[error(
        "there is no {}, so no vendor is trusted here; put the vendor's public key there", .0.display()
    )]
    Missing(PathBuf),
    /// It is there, but no use.
    #[error(transparent)]
    Unusable(#[from] PublicKeysError),
}

impl VendorKeysError {
    fn trouble(&self) -> Option<String> {
        let is_trouble =
            matches!(self, Self::Unusable(PublicKeysError::Read(ReadError::Io { .. })));
        is_trouble.then(|| self.to_string())
    }
}

/// The vendor keys that a home trusts; at least one.
pub fn load_vendor_keys(home: &Home) -> Result<Vec<VerifyingKey>, VendorKeysError> {
    let path = home.vendor_keys();
    match key_files::load_public(&path) {
        Err(PublicKeysError::Read(ReadError::Io { source, .. }))
            if source.kind() == io::ErrorKind::NotFound =>
        {
            Err(VendorKeysError::Missing(path))
        }
        loaded => Ok(loaded?),
    }
}

/// The `*.v2c` files in the licenses' folder, in the order of their names. Files that are being
/// written begin with a dot, and earlier versions end otherwise.
fn license_files(home: &Home, trouble: &mut Vec<String>) -> Vec<PathBuf> {
    let mut files = files_in(&home.licenses(), trouble);
    files.retain(|path| is_license_file(path));
    files.sort();
    files.truncate(MAX_INSTALLED);
    files
}

fn files_in(folder: &Path, trouble: &mut Vec<String>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            trouble.push(format!("{} can't be read: {error}", folder.display()));
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries.take(MAX_FILES) {
        match entry {
            Ok(entry) => files.push(entry.path()),
            Err(error) => trouble.push(format!("{} can't be read: {error}", folder.display())),
        }
    }
    if files.len() == MAX_FILES {
        trouble.push(format!("{} holds more than {MAX_FILES} files", folder.display()));
    }
    files
}

fn is_license_file(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "v2c")
}

/// A license's file is called after its ID.
fn id_in_name(path: &Path) -> Option<LicenseId> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// Why one file is no use.
struct Problem {
    sentence: String,
    trouble: Option<String>,
}

fn not_available(why: impl std::fmt::Display) -> Problem {
    Problem { sentence: sentence(why), trouble: None }
}

fn load_license(path: &Path, loaded: &Loaded) -> Result<v2c::V2c, Problem> {
    let text = files::read_document(path).map_err(|error| {
        let is_trouble = matches!(error, ReadError::Io { .. });
        Problem { trouble: is_trouble.then(|| error.to_string()), ..not_available(error) }
    })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = printable(&name, MAX_QUOTED);
    let v2c = v2c::verify(&text, &loaded.vendor_keys).map_err(|error| match error {
        V2cError::UntrustedSigner { .. } => not_available(error),
        error => not_available(format_args!("{name}: {error}")),
    })?;
    match id_in_name(path) {
        Some(id) if id == v2c.license.id => Ok(v2c),
        _ => Err(not_available(format_args!(
            "{name} holds license {}, and only a file called {}.v2c can; install it with v2c",
            v2c.license.id, v2c.license.id
        ))),
    }
}
