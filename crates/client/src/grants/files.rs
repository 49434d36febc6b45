//! Grants in files, one for each server key, license and emulator:
//! `<key in hex>-<license ID>-<emulator>`. Each emulator of a host can prove the session that is its
//! own.

use std::{io, path::Path};

use ve_core::{
    id::{HostKey, LicenseId, ServerKey},
    text::Name,
};
use ve_documents::keys;
use ve_wire::{
    limits::{MAX_WITNESS_BYTES, MAX_WITNESSES},
    proto::Signed,
    witness,
};

use crate::folder::{self, newest_first};

use super::Kept;

/// The most files; beyond that the oldest go.
const MAX_FILES: usize = 64;

/// How many files are tried until enough are found that hold a grant.
const MAX_TRIED: usize = 16;

/// The longest file, in bytes: a statement, its signature, and what stands around them.
const MAX_FILE_BYTES: u64 = MAX_WITNESS_BYTES as u64 + 128;

/// What a file is about, as its name says.
struct Subject {
    server_key: ServerKey,
    license_id: LicenseId,
    emulator: Name,
}

impl Subject {
    /// `None` for a name that is none of ours.
    fn of(file_name: &str) -> Option<Self> {
        let mut parts = file_name.splitn(3, '-');
        let server_key = parts.next()?.parse().ok()?;
        let license_id = parts.next()?.parse().ok()?;
        let subject = Self { server_key, license_id, emulator: parts.next()?.parse().ok()? };
        // Each has one spelling.
        (subject.file_name() == file_name).then_some(subject)
    }

    fn file_name(&self) -> String {
        format!("{}-{}-{}", self.server_key, self.license_id, self.emulator)
    }
}

/// Writes an emulator's grant over its last one of the same server and license: there is always one
/// whole file.
pub(super) fn save(folder: &Path, kept: &Kept, emulator: &Name) -> io::Result<()> {
    if emulator.as_str().contains('/') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the emulator's name has a '/'"));
    }
    let Kept { server_key, license_id, signed } = kept.clone();
    let name = Subject { server_key, license_id, emulator: emulator.clone() }.file_name();
    let written = folder::write(folder, &name, &witness::encode(&signed));
    folder::remove_oldest(folder, MAX_FILES, |name| Subject::of(name).is_some());
    written
}

/// The latest grants that this server signed for this host, those of `emulator` first. What is damaged,
/// forged or somebody else's is passed over, and so is what the emulator has a newer one of: its grants
/// of the licenses in `newer`.
pub(super) fn latest(
    folder: &Path,
    server_key: ServerKey,
    host: HostKey,
    emulator: &Name,
    newer: &[LicenseId],
) -> Vec<Signed> {
    let is_own = |subject: &Subject| subject.emulator == *emulator;
    let is_wanted = |subject: &Subject| {
        let is_old = is_own(subject) && newer.contains(&subject.license_id);
        subject.server_key == server_key && !is_old
    };
    let mut files = newest_first(folder, |name| Subject::of(name).as_ref().is_some_and(is_wanted));
    // Stable, so the newest stay in front.
    files.sort_by_cached_key(|(_, entry)| {
        let subject = entry.file_name().to_str().and_then(Subject::of);
        !subject.as_ref().is_some_and(is_own)
    });
    let tried = files.into_iter().take(MAX_TRIED);
    let grants = tried.filter_map(|(_, entry)| read(&entry.path(), server_key, host));
    grants.take(MAX_WITNESSES).collect()
}

fn read(path: &Path, server_key: ServerKey, host: HostKey) -> Option<Signed> {
    let bytes = folder::read(path, MAX_FILE_BYTES)?;
    let signed = witness::decode(&bytes)?;
    let verify =
        |message: &[u8], signature: &[u8]| keys::verify(&server_key, message, signature).is_ok();
    witness::read(&signed, server_key, host, verify).map(|_| signed)
}
