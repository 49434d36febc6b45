//! The socket over which QEMU is controlled.
//!
//! We listen and QEMU connects, so there is nothing to wait for or to try again. The socket lies in
//! a folder that only we can enter, and is removed as soon as QEMU has connected.

use std::{
    env, fs,
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::UnixListener,
    sync::{broadcast, watch},
    task::AbortHandle,
    time::timeout,
};

use super::{
    qemu,
    qmp::{GuestEvent, Qmp},
};

/// The longest path of a unix socket, in bytes (`sun_path` without its NUL).
const MAX_SOCKET_PATH_BYTES: usize = 107;
/// How many names for the folder are tried.
const MAX_TRIES: u32 = 1_000;
/// How long QEMU may take to set up its machine and greet.
const GREETING_TIMEOUT: Duration = Duration::from_mins(2);

/// Why QEMU can't be controlled.
#[derive(Debug, Clone, Error)]
pub enum ControlError {
    /// The guest isn't run by QEMU.
    #[error("this engine has no control socket")]
    NotQemu,
    /// QEMU never connected, or greeted wrongly.
    #[error("QEMU can't be controlled: {0}")]
    Failed(String),
    /// QEMU has ended, or never began.
    #[error("QEMU can't be controlled: it has ended")]
    Ended,
}

/// A folder of ours that is removed with all it holds.
struct PrivateFolder(PathBuf);

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What can't be removed is an empty folder in a temporary place.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The socket before QEMU has connected to it.
pub(super) struct Listening {
    listener: UnixListener,
    /// The socket's path as QEMU's options write it.
    socket_option: String,
    folder: PrivateFolder,
}

impl Listening {
    /// Makes a private folder and listens there.
    pub(super) fn new() -> io::Result<Self> {
        let mut reason = io::Error::from(ErrorKind::NotFound);
        for place in places() {
            match Self::inside(&place) {
                Ok(listening) => return Ok(listening),
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }

    fn inside(place: &Path) -> io::Result<Self> {
        let folder = make_folder(place)?;
        let socket = folder.0.join("qmp");
        let text = socket.to_str().filter(|text| text.len() <= MAX_SOCKET_PATH_BYTES);
        let socket_option = qemu::escaped(text.ok_or(ErrorKind::InvalidFilename)?);
        let listener = UnixListener::bind(&socket)?;
        Ok(Self { listener, socket_option, folder })
    }

    /// The socket's path as QEMU's options write it.
    pub(super) fn socket_option(&self) -> &str {
        &self.socket_option
    }

    /// Lets QEMU connect, in the background.
    pub(super) fn accept(self, events: broadcast::Sender<GuestEvent>) -> Control {
        let (settled, state) = watch::channel(None);
        let task = tokio::spawn(async move {
            let outcome = match timeout(GREETING_TIMEOUT, self.greet(events)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ControlError::Failed("it didn't connect for two minutes".to_owned())),
            };
            settled.send_replace(Some(outcome));
            // Keeps the connection until nobody is left to use it.
            settled.closed().await;
        });
        Control { state, task: Arc::new(OnDrop(task.abort_handle())) }
    }

    async fn greet(self, events: broadcast::Sender<GuestEvent>) -> Result<Arc<Qmp>, ControlError> {
        let failed = |error: &dyn ToString| ControlError::Failed(error.to_string());
        let (stream, _) = self.listener.accept().await.map_err(|error| failed(&error))?;
        drop(self.folder);
        Qmp::connect(stream, events).await.map(Arc::new).map_err(|error| failed(&error))
    }
}

/// Where a private folder may be made, best first.
fn places() -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let standard = [PathBuf::from("/run"), env::temp_dir(), PathBuf::from("/tmp")];
    runtime.into_iter().chain(standard).filter(|place| place.is_absolute()).collect()
}

/// A new folder with mode 0700. `mkdir` follows no link and takes no folder that exists, so its name
/// need not be secret.
fn make_folder(place: &Path) -> io::Result<PrivateFolder> {
    for number in 0..MAX_TRIES {
        let folder = place.join(format!("ve-{}-{number}", process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(PrivateFolder(folder)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Ends a task with its last owner.
#[derive(Debug)]
struct OnDrop(AbortHandle);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How QEMU is controlled, from its start on.
#[derive(Debug, Clone)]
pub(super) struct Control {
    /// `None` until QEMU has connected and greeted.
    state: watch::Receiver<Option<Result<Arc<Qmp>, ControlError>>>,
    #[expect(dead_code, reason = "held for its drop")]
    task: Arc<OnDrop>,
}

impl Control {
    /// The connection, as soon as QEMU has greeted.
    pub(super) async fn ready(&self) -> Result<Arc<Qmp>, ControlError> {
        let mut state = self.state.clone();
        match state.wait_for(Option::is_some).await {
            Ok(settled) => settled.clone().unwrap_or(Err(ControlError::Ended)),
            Err(_) => Err(ControlError::Ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn the_socket_lies_in_a_folder_of_ours_that_is_removed() {
        let place = tempfile::tempdir().expect("a folder");
        let listening = Listening::inside(place.path()).expect("a socket");
        let second = Listening::inside(place.path()).expect("another name");
        assert_ne!(listening.socket_option(), second.socket_option());
        let folder = listening.folder.0.clone();
        let mode = fs::metadata(&folder).expect("the folder").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop((listening, second));
        assert_eq!(fs::read_dir(place.path()).expect("the place").count(), 0);
    }

    #[tokio::test]
    async fn a_path_that_no_socket_can_have_is_refused_and_leaves_nothing() {
        let place = tempfile::tempdir().expect("a folder");
        let deep = place.path().join("x".repeat(100));
        fs::create_dir(&deep).expect("a folder");
        let error = Listening::inside(&deep).map(drop).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidFilename);
        assert_eq!(fs::read_dir(&deep).expect("the folder").count(), 0);
    }

    #[tokio::test]
    async fn a_stranger_on_the_socket_is_no_qemu() {
        let place = tempfile::tempdir().expect("a folder");
        let listening = Listening::inside(place.path()).expect("a socket");
        let path = listening.folder.0.join("qmp");
        let control = listening.accept(broadcast::channel(1).0);
        drop(tokio::net::UnixStream::connect(path).await.expect("connected"));
        let error = control.ready().await.expect_err("no QEMU");
        assert!(matches!(error, ControlError::Failed(_)), "{error}");
        assert_eq!(fs::read_dir(place.path()).expect("the place").count(), 0);
    }
}
