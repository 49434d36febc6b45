//! Reads small files that others wrote: bounded, without waiting, and on a user's behalf.

use std::{
    fs::{Metadata, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use thiserror::Error;

/// The most that is read of a file with one value in it.
pub(crate) const MAX_BYTES: u64 = 64 * 1024;

/// The most that is read of `/proc/cpuinfo` (about 2 KB a core) and `/proc/self/mountinfo` (about
/// 200 bytes a mount, thousands of them on a container host).
pub(crate) const MAX_LONG_BYTES: u64 = 8 * 1024 * 1024;

/// Why a file that is there gives no text. No variant quotes the file.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    /// Another user's file.
    #[error("{} may not be read by the server's user", .0.display())]
    Denied(PathBuf),
    /// A pipe or a device could block the reader for ever.
    #[error("{} is no regular file", .0.display())]
    NotRegular(PathBuf),
    /// Nothing of that length is an identity.
    #[error("{} is longer than {limit_bytes} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read of it.
        limit_bytes: u64,
    },
    /// Binary data.
    #[error("{} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// The system's own reason.
    #[error("{} can't be read: {reason}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// The text of `path`, at most `limit_bytes` long; `None` when there is no such file. With
/// `as_user`, only what the user with that ID may read.
pub(crate) fn text(
    path: &Path,
    limit_bytes: u64,
    as_user: Option<u32>,
) -> Result<Option<String>, Unreadable> {
    let bytes = match read(path, limit_bytes, as_user) {
        Ok(bytes) => bytes,
        Err(Unreadable::Failed { reason, .. }) if is_missing(&reason) => return Ok(None),
        Err(Unreadable::Failed { reason, .. }) if reason.kind() == ErrorKind::PermissionDenied => {
            return Err(Unreadable::Denied(path.to_path_buf()));
        }
        Err(other) => return Err(other),
    };
    String::from_utf8(bytes).map(Some).map_err(|_| Unreadable::NotText(path.to_path_buf()))
}

fn is_missing(reason: &io::Error) -> bool {
    matches!(reason.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn read(path: &Path, limit_bytes: u64, as_user: Option<u32>) -> Result<Vec<u8>, Unreadable> {
    let failed = |reason| Unreadable::Failed { path: path.to_path_buf(), reason };
    // Looked at before it is opened: opening a device can already do something.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(Unreadable::NotRegular(path.to_path_buf()));
    }
    if as_user.is_some_and(|user_id| !may_read(user_id, &metadata)) {
        return Err(Unreadable::Denied(path.to_path_buf()));
    }
    let mut options = OpenOptions::new();
    // Should the file have become a pipe meanwhile, opening it must not wait for a writer.
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut bytes = Vec::new();
    let file = options.open(path).map_err(failed)?;
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Unreadable::TooLong { path: path.to_path_buf(), limit_bytes });
    }
    Ok(bytes)
}

/// Whether the mode lets that user read. Groups don't count: which ones the service will have is
/// not known here, and too few components in a C2V do less harm than one too many.
fn may_read(user_id: u32, metadata: &Metadata) -> bool {
    const OWNER_READS: u32 = 0o400;
    const OTHERS_READ: u32 = 0o004;
    const ROOT: u32 = 0;
    let needed = if metadata.uid() == user_id { OWNER_READS } else { OTHERS_READ };
    user_id == ROOT || metadata.mode() & needed != 0
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn outcome(path: &Path, as_user: Option<u32>) -> String {
        match text(path, 8, as_user) {
            Ok(Some(_)) => "text".to_string(),
            Ok(None) => "missing".to_string(),
            Err(why) => why.to_string().replacen(&path.display().to_string(), "it", 1),
        }
    }

    #[test]
    fn whatever_is_there_gives_an_answer_at_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("text"), "12345678").expect("a file");
        fs::write(at("long"), "123456789").expect("a file");
        fs::write(at("binary"), [0xff, 0xfe]).expect("a file");
        std::os::unix::fs::symlink("loop", at("loop")).expect("a link");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        for (name, expected) in [
            ("text", "text"),
            ("none", "missing"),
            ("text/below", "missing"),
            ("long", "it is longer than 8 bytes"),
            ("binary", "it is not UTF-8 text"),
            ("pipe", "it is no regular file"),
            (".", "it is no regular file"),
        ] {
            assert_eq!(outcome(&at(name), None), expected, "{name}");
        }
        assert!(outcome(&at("loop"), None).starts_with("it can't be read: "));
    }

    #[test]
    fn on_behalf_of_a_user_only_what_that_user_may_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        fs::write(&path, "text").expect("a file");
        let owner = fs::metadata(&path).expect("its metadata").uid();
        let other = owner + 1;
        for (mode, user_id, readable) in [
            (0o400, owner, true),
            (0o400, other, false),
            (0o440, other, false),
            (0o444, other, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
            let expected =
                if readable { "text" } else { "it may not be read by the server's user" };
            assert_eq!(outcome(&path, Some(user_id)), expected, "{mode:o} as {user_id}");
        }
    }
}
