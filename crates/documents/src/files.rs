//! Files: read with a limit, written all or nothing.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use thiserror::Error;

/// The largest V2C or C2V that is read, in bytes (1 MiB).
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// Why a file could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("{} can't be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It holds more than is ever needed, so it isn't what its reader took it for.
    #[error("{} is larger than {limit} bytes, so it is not the file that is expected here", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
    /// It holds bytes that are no text.
    #[error("{} is not UTF-8 text; was it damaged on its way?", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

impl ReadError {
    /// Whether the operating system denied the access (exit code 77 rather than 65).
    pub fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// Reads at most `limit` bytes: a longer file is refused by its size, and one that has no size (a
/// device, a pipe) after `limit` + 1 bytes.
pub fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    read_open_file(&file, path, limit)
}

/// Like [`read_limited`], from a file that is open already; `path` names it in errors.
pub(crate) fn read_open_file(file: &File, path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_path_buf(), source };
    let too_large = || ReadError::TooLarge { path: path.to_path_buf(), limit };
    let size = file.metadata().map_err(failed)?.len();
    let size = usize::try_from(size).ok().filter(|&size| size <= limit).ok_or_else(too_large)?;
    // Room for one byte more than allowed, so that a secret is never copied by a growing buffer.
    let mut bytes = Vec::with_capacity(size.max(limit.min(64 * 1024)) + 1);
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit { Err(too_large()) } else { Ok(bytes) }
}

/// Reads a V2C or C2V: text of at most [`MAX_DOCUMENT_BYTES`].
pub fn read_document(path: &Path) -> Result<String, ReadError> {
    read_text(path, MAX_DOCUMENT_BYTES)
}

/// Reads UTF-8 text of at most `limit` bytes.
pub fn read_text(path: &Path, limit: usize) -> Result<String, ReadError> {
    String::from_utf8(read_limited(path, limit)?)
        .map_err(|_| ReadError::NotText { path: path.to_path_buf() })
}

/// Writes a file that must not exist yet, durably and all or nothing, with permissions `mode` (less
/// the process's umask). An existing file stays as it is: [`io::ErrorKind::AlreadyExists`].
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let staged = Staged::write(path, bytes, mode)?;
    // A hard link, unlike a rename, never replaces: of two writers one wins and one is told.
    fs::hard_link(&staged.path, path)?;
    sync_folder(path)
}

/// Writes a file durably and all or nothing, in place of one that may exist, with permissions `mode`
/// (less the process's umask). A symbolic link stays one; a device or pipe is written to.
pub fn write_replacing(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        return OpenOptions::new().write(true).open(&target)?.write_all(bytes);
    }
    let staged = Staged::write(&target, bytes, mode)?;
    fs::rename(&staged.path, &target)?;
    sync_folder(&target)
}

/// A complete file under a temporary name beside its goal; removed when it is dropped.
struct Staged {
    path: PathBuf,
}

impl Staged {
    fn write(goal: &Path, bytes: &[u8], mode: u32) -> io::Result<Self> {
        let staged = Self { path: staging_path(goal)? };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&staged.path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(staged)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove, and after a failure nothing to add to it.
        let _ = fs::remove_file(&self.path);
    }
}

fn staging_path(goal: &Path) -> io::Result<PathBuf> {
    let name = goal.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    let mut staged = OsString::from(".");
    staged.push(name);
    staged.push(format!(".{}.tmp", HEXLOWER.encode(&random)));
    Ok(goal.with_file_name(staged))
}

/// Makes a new name durable. A folder that can't be opened or synced (some network file systems) is
/// no reason to fail: the file itself is on disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        _ => Ok(()),
    }
}

/// The permission bits of an open file.
pub(crate) fn permission_bits(file: &File) -> io::Result<u32> {
    Ok(file.metadata()?.permissions().mode() & 0o7777)
}
