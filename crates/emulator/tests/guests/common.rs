//! Real guests for tests: their files, their consoles, and limits that only a hang reaches.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
    time::timeout,
};
use ve_emulator::{
    engine::{self, Console, Guest, GuestExit, Pipes},
    vm_file::{Hardware, VmFile},
};

/// No guest needs a minute; a machine under load may take several.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);

/// A VM's file in which only the machine matters: `head` stands above `[license]`, `engine` below
/// `[engine]`.
pub(crate) fn vm_file(head: &str, engine: &str) -> VmFile {
    let text = format!(
        "name = \"guest\"\nvirtual_hardware = \"Model\"\nversion = \"1.0\"\n{head}\n\
         [license]\nprimary_server = \"localhost\"\n[engine]\n{engine}\n"
    );
    VmFile::parse(&text, Path::new("/VM.toml"), &|_| None).expect("a VM file")
}

/// A running guest with its console in our hands.
pub(crate) struct Running {
    pub(crate) guest: Guest,
    pub(crate) keyboard: ChildStdin,
    pub(crate) screen: Screen<ChildStdout>,
    pub(crate) complaints: Screen<ChildStderr>,
}

/// Starts the guest of `vm` with what it asks for.
pub(crate) async fn start(vm: &VmFile) -> Running {
    start_with(vm, vm.hardware).await
}

/// Starts the guest of `vm` with what was licensed.
pub(crate) async fn start_with(vm: &VmFile, licensed: Hardware) -> Running {
    let mut guest = engine::start(vm, licensed, Console::Piped).await.expect("the guest starts");
    let Pipes { stdin, stdout, stderr } = guest.take_pipes().expect("pipes");
    Running { guest, keyboard: stdin, screen: Screen::new(stdout), complaints: Screen::new(stderr) }
}

impl Running {
    /// Waits for the guest's own end.
    pub(crate) async fn end(mut self) -> GuestExit {
        timeout(LIMIT, self.guest.wait()).await.expect("the guest ends")
    }
}

/// What a process prints, read as far as it was looked for.
pub(crate) struct Screen<R> {
    reader: R,
    unread: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Screen<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, unread: Vec::new() }
    }

    /// Reads up to and with `text`; returns what stood before it.
    pub(crate) async fn shows(&mut self, text: &str) -> String {
        let found = timeout(LIMIT, self.find(text.as_bytes())).await;
        let so_far = String::from_utf8_lossy(&self.unread).into_owned();
        let Ok(Some(at)) = found else { panic!("no {text:?} but {so_far:?} ({found:?})") };
        let before = self.unread.drain(..at + text.len()).take(at).collect();
        String::from_utf8(before).expect("UTF-8")
    }

    async fn find(&mut self, text: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.unread.windows(text.len()).position(|part| part == text) {
                return Some(at);
            }
            if self.reader.read_buf(&mut self.unread).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Waits until nobody can print here any more.
    pub(crate) async fn closes(&mut self) {
        let mut rest = Vec::new();
        let reading = timeout(LIMIT, self.reader.read_to_end(&mut rest)).await;
        reading.expect("everybody who prints here has ended").expect("read");
    }
}

/// The folder with the kernel and the root file system of the test guest, made when it is missing.
pub(crate) fn test_guest() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new(workspace.join("scripts/make-test-guest.sh")).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the test guest could not be made: see what scripts/make-test-guest.sh says \
         (it needs the packages apt and util-linux, and their network)"
    );
    workspace.join("target/guest").canonicalize().expect("the test guest's folder")
}
