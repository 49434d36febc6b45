//! Grants in files, one for each server key and license: `<key in hex>-<license ID>`.

use std::{
    fs::{self, DirBuilder, DirEntry, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::SystemTime,
};

use rustix::fs::OFlags;
use ve_core::id::{HostKey, LicenseId, ServerKey};
use ve_documents::keys;
use ve_wire::{
    limits::{MAX_WITNESS_BYTES, MAX_WITNESSES},
    proto::Signed,
    random_bytes, witness,
};

use super::Kept;

/// The most files; beyond that the oldest go.
const MAX_FILES: usize = 64;

/// How many entries of the folder are looked at: whoever fills it with others may lose his own time
/// only.
const MAX_ENTRIES: usize = 4_096;

/// How many files are tried until enough are found that hold a grant.
const MAX_TRIED: usize = 16;

/// The longest file, in bytes: a statement, its signature, and what stands around them.
const MAX_FILE_BYTES: u64 = MAX_WITNESS_BYTES as u64 + 128;

/// How a file begins that is not whole yet.
const UNFINISHED: &str = ".new-";

/// Writes a grant over the last one of the same server and license: there is always one whole file.
pub(super) fn save(folder: &Path, kept: &Kept) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = u64::from_le_bytes(random_bytes());
    let unfinished = folder.join(format!("{UNFINISHED}{name:016x}"));
    let file = folder.join(file_name(kept.server_key, &kept.license_id));
    let written = write(&unfinished, &witness::encode(&kept.signed));
    let written = written.and_then(|()| fs::rename(&unfinished, file));
    if written.is_err() {
        // Perhaps it was never made.
        let _ = fs::remove_file(&unfinished);
    }
    remove_oldest(folder);
    written
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    // Without this the name could survive a power cut, and what it names not.
    file.sync_data()
}

fn file_name(server_key: ServerKey, license_id: &LicenseId) -> String {
    format!("{server_key}-{license_id}")
}

/// The server and the license that a file of this name is about.
fn subject(name: &str) -> Option<(ServerKey, LicenseId)> {
    let (key, license_id) = name.split_once('-')?;
    let subject = (key.parse().ok()?, license_id.parse().ok()?);
    // Each has one spelling.
    (file_name(subject.0, &subject.1) == name).then_some(subject)
}

/// Files of ours that are too many; an unfinished one is somebody's who was killed.
fn remove_oldest(folder: &Path) {
    let is_ours = |name: &str| name.starts_with(UNFINISHED) || subject(name).is_some();
    for (_, entry) in newest_first(folder, is_ours).into_iter().skip(MAX_FILES) {
        // Somebody else may have removed it.
        let _ = fs::remove_file(entry.path());
    }
}

fn newest_first(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<(SystemTime, DirEntry)> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(MAX_ENTRIES).flatten();
    let wanted = entries.filter(|entry| entry.file_name().to_str().is_some_and(&wanted));
    let dated = |entry: DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry));
    let mut files: Vec<_> = wanted.filter_map(dated).collect();
    files.sort_by_key(|(modified, entry)| std::cmp::Reverse((*modified, entry.file_name())));
    files
}

/// The latest grants that this server signed for this host. What is damaged, forged or somebody
/// else's is passed over.
pub(super) fn latest(folder: &Path, server_key: ServerKey, host: HostKey) -> Vec<Signed> {
    let of_server = |name: &str| subject(name).is_some_and(|(key, _)| key == server_key);
    let files = newest_first(folder, of_server).into_iter().take(MAX_TRIED);
    let grants = files.filter_map(|(_, entry)| read(&entry.path(), server_key, host));
    grants.take(MAX_WITNESSES).collect()
}

fn read(path: &Path, server_key: ServerKey, host: HostKey) -> Option<Signed> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits();
    // A pipe of that name must not hold the login up.
    let open = OpenOptions::new().read(true).custom_flags(flags.try_into().ok()?).open(path);
    let file: File = open.ok().filter(|file| file.metadata().is_ok_and(|data| data.is_file()))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).ok()?;
    let signed = witness::decode(&bytes)?;
    let verify =
        |message: &[u8], signature: &[u8]| keys::verify(&server_key, message, signature).is_ok();
    witness::read(&signed, server_key, host, verify).map(|_| signed)
}
