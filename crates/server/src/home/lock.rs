//! Who uses a home, and who serves a key: one process each.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::OpenOptionsExt,
            net::{SocketAddr, UnixListener, UnixStream},
        },
    },
    path::PathBuf,
    process,
};

use rustix::{
    fs::{FlockOperation, flock},
    net::sockopt::socket_peercred,
};
use thiserror::Error;
use ve_core::id::ServerKey;

use super::{Home, HomeError, not_writable};

/// The most digits that a process number has.
const MAX_PID_BYTES: u64 = 20;

/// A home that this process alone uses; given back when dropped, or when the process ends.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

/// Why a home is not to be had.
#[derive(Debug, Error)]
pub enum HomeLockError {
    /// Somebody else uses it.
    #[error(
        "the home {} is in use by {}; there can be only one license server in a home: stop that \
         one first, or name another home with --home", home.display(), process_name(*pid)
    )]
    InUse {
        /// The home.
        home: PathBuf,
        /// By which process, where it is known.
        pid: Option<u32>,
    },
    /// The lock's file can't be opened or written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

fn process_name(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_string(), |pid| format!("process {pid}"))
}

impl HomeLock {
    pub(super) fn take(home: &Home) -> Result<Self, HomeLockError> {
        let path = home.lock_file();
        let failed = |error: io::Error| HomeLockError::Home(not_writable(&path, error));
        // Not truncated: the number in it is its holder's.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let home = home.path().to_path_buf();
                return Err(HomeLockError::InUse { home, pid: read_pid(&file) });
            }
            Err(error) => return Err(failed(error.into())),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// A server key that this process alone serves on this host; given back when dropped.
#[derive(Debug)]
pub struct HostLock {
    _socket: UnixListener,
}

/// Why a key can't be served.
#[derive(Debug, Error)]
pub enum HostLockError {
    /// A copy of the home is being served.
    #[error(
        "the server key of this home is served on this host already, by {}; a copy of a home can't \
         run beside it: stop that one first", process_name(*pid)
    )]
    InUse {
        /// By which process, where it is known.
        pid: Option<u32>,
    },
    /// The system gives no such socket.
    #[error("the lock for this server's key can't be taken: {0}")]
    Failed(#[from] io::Error),
}

/// Takes a server's key for this process: one key is served once per host, whatever the home.
///
/// The lock is an abstract socket, because a file would be one for each home or need a place that all
/// users can write; the kernel frees it with its process. Containers with a network of their own
/// don't see it: there the license's binding is what counts.
pub fn host_lock(server_key: &ServerKey) -> Result<HostLock, HostLockError> {
    let address = SocketAddr::from_abstract_name(format!("ve-license-server/{server_key}"))?;
    match UnixListener::bind_addr(&address) {
        Ok(socket) => Ok(HostLock { _socket: socket }),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(HostLockError::InUse { pid: holder(&address) })
        }
        Err(error) => Err(error.into()),
    }
}

fn holder(address: &SocketAddr) -> Option<u32> {
    let socket = UnixStream::connect_addr(address).ok()?;
    let credentials = socket_peercred(&socket).ok()?;
    u32::try_from(credentials.pid.as_raw_pid()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_user_and_the_second_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        let lock = home.lock().unwrap();
        let error = home.lock().unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", process::id())), "{error}");
        drop(lock);
        home.lock().unwrap();
    }

    #[test]
    fn a_key_is_served_once_whatever_the_home() {
        let key = ve_documents::keys::SigningKey::generate().public();
        let lock = host_lock(&key).unwrap();
        let error = host_lock(&key).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", process::id())), "{error}");
        drop(lock);
        host_lock(&key).unwrap();
    }
}
