//! Receipts in files, one for each home: `<license ID>.jwt`, the compact JWS and a line's end.

use std::{io, path::Path};

use ve_core::id::{HostKey, LicenseId};
use ve_documents::receipt;
use ve_wire::limits::{MAX_RECEIPT_BYTES, MAX_RECEIPTS};

use super::Kept;
use crate::folder;

/// The most files; beyond that the oldest go.
const MAX_FILES: usize = 16;

/// What follows the license ID in a file's name.
const ENDING: &str = ".jwt";

/// A receipt and a line's end.
const MAX_FILE_BYTES: usize = MAX_RECEIPT_BYTES + 2;

fn home_of(file_name: &str) -> Option<LicenseId> {
    file_name.strip_suffix(ENDING)?.parse().ok()
}

/// Writes a receipt over the last one of the same home, unless it is there already.
pub(super) fn save(folder: &Path, kept: &Kept) -> io::Result<()> {
    let name = format!("{}{ENDING}", kept.home);
    let bytes = format!("{}\n", kept.jws).into_bytes();
    let limit = MAX_FILE_BYTES as u64;
    if folder::read(&folder.join(&name), limit).as_ref() != Some(&bytes) {
        folder::write(folder, &name, &bytes)?;
    }
    folder::remove_oldest(folder, MAX_FILES, |name| home_of(name).is_some());
    Ok(())
}

/// The newest that are this host's and `wanted`, as many as a server is shown. What is damaged or
/// another host's, such as that of the machine that this one was copied from, is passed over.
pub(super) fn newest(folder: &Path, host: HostKey, wanted: impl Fn(&Kept) -> bool) -> Vec<Kept> {
    let files = folder::newest_first(folder, |name| home_of(name).is_some());
    let receipts = files.into_iter().take(MAX_FILES).filter_map(|(_, entry)| {
        let home = home_of(entry.file_name().to_str()?)?;
        read(&entry.path(), host).filter(|kept| kept.home == home)
    });
    receipts.filter(|kept| wanted(kept)).take(MAX_RECEIPTS).collect()
}

fn read(path: &Path, host: HostKey) -> Option<Kept> {
    let bytes = folder::read(path, MAX_FILE_BYTES as u64)?;
    let jws = std::str::from_utf8(&bytes).ok()?.trim_end();
    // Nothing is done here because of what it says: a server checks whom it believes.
    let receipt = receipt::read_unverified(jws).ok()?.receipt;
    let is_own = receipt.host == host;
    is_own.then(|| Kept { home: receipt.home, customer: receipt.customer, jws: jws.to_owned() })
}
