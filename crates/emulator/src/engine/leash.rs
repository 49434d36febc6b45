//! Starts a process that can't outlive this one, even when this one is killed with SIGKILL.
//!
//! The kernel can send a process a signal when the thread that started it ends. Asking for that is
//! a system call between fork and exec, which safe Rust can't make; `setpriv` (util-linux, on every
//! Debian) makes it. Two gaps remain, and both are closed here:
//!
//! - this process may be gone before `setpriv` asked: the shell between it and the guest compares
//!   its parent with the one that started it, and gives up when they differ;
//! - a thread of a pool may end while this process lives: a thread of its own starts the guest and
//!   stays until the guest's [`Leash`] is dropped.

use std::{io, path::PathBuf, process, sync::mpsc, thread};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

use super::{StartError, program};
use crate::vm_file::CommandLine;

/// `$1` is the process that must be the parent, the rest is what to run.
const SCRIPT: &str = r#"[ "$PPID" = "$1" ] || exit 70; shift; exec "$@""#;
/// The same on a terminal: a program that sets up nothing for Ctrl-C survives it, so that the
/// runner, which gets it as well, can shut the guest down cleanly.
const TERMINAL_SCRIPT: &str =
    r#"[ "$PPID" = "$1" ] || exit 70; shift; trap "" INT QUIT; exec "$@""#;

/// Keeps the process alive; dropping it kills the process.
#[derive(Debug)]
pub(super) struct Leash {
    /// Nothing is ever sent; the thread waits for the other end to go.
    _held: mpsc::Sender<()>,
}

/// The programs that start others: `setpriv` and `sh`.
pub(super) fn programs() -> Result<(PathBuf, PathBuf), StartError> {
    let setpriv = program::find("setpriv".as_ref(), "install the package util-linux")?;
    let shell = program::find("sh".as_ref(), "install the package dash")?;
    Ok((setpriv, shell))
}

/// The command that runs `line` on a leash; `on_terminal` when the guest shares our terminal.
pub(super) fn command(line: &CommandLine, on_terminal: bool) -> Result<Command, StartError> {
    let (setpriv, shell) = programs()?;
    let mut command = Command::new(setpriv);
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(shell)
        .arg("-c")
        .arg(if on_terminal { TERMINAL_SCRIPT } else { SCRIPT })
        .arg("sh")
        .arg(process::id().to_string())
        .arg(&line.program)
        .args(&line.args)
        .kill_on_drop(true);
    Ok(command)
}

/// Starts `command` from a thread that lives as long as the leash.
pub(super) async fn spawn(mut command: Command) -> io::Result<(Child, Leash)> {
    let runtime = Handle::current();
    let (started, child) = oneshot::channel();
    let (held, holding) = mpsc::channel::<()>();
    thread::Builder::new().name("guest-leash".to_owned()).spawn(move || {
        let outcome = {
            let _inside = runtime.enter();
            command.spawn()
        };
        if started.send(outcome).is_ok() {
            // Ends with an error when the leash is dropped; there is nothing else to wait for.
            let _ = holding.recv();
        }
    })?;
    let child =
        child.await.map_err(|_| io::Error::other("the thread that starts guests ended"))??;
    Ok((child, Leash { _held: held }))
}
