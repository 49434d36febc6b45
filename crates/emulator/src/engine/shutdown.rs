//! The ways of asking a guest to shut down, and of ending its process.

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use thiserror::Error;
use tokio::{process::Command, time::timeout};

use super::{ControlError, control::Control, qmp::QmpError};
use crate::vm_file::{CommandLine, VmFile};

/// Why a guest could not be asked to shut down.
#[derive(Debug, Error)]
pub enum ShutDownError {
    /// The shutdown command could not be started.
    #[error("the shutdown command {program} could not be started: {source}; check engine.shutdown", program = .program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The shutdown command said that it failed.
    #[error("the shutdown command failed with {0}; check what it does when run by hand")]
    Failed(super::GuestExit),
    /// The shutdown command took too long, and was killed.
    #[error("the shutdown command was killed after {0} ms; see engine.shutdown_timeout")]
    TimedOut(u64),
    /// QEMU's control socket isn't there.
    #[error(transparent)]
    NoControl(#[from] ControlError),
    /// QEMU would not press the power button.
    #[error(transparent)]
    PowerButton(#[from] QmpError),
    /// The signal could not be sent.
    #[error("SIGTERM could not be sent: {0}")]
    Signal(io::Error),
    /// There is nobody left to ask.
    #[error("the guest has ended already")]
    Ended,
}

/// The operator's own way to shut a guest down.
#[derive(Debug, Clone)]
pub(super) struct ShutdownCommand {
    line: CommandLine,
    timeout_ms: u64,
    folder: PathBuf,
    name: String,
    secret_variables: Vec<String>,
}

impl ShutdownCommand {
    /// `line`, run as `vm` says.
    pub(super) fn new(line: &CommandLine, vm: &VmFile) -> Self {
        Self {
            line: line.clone(),
            timeout_ms: vm.engine.shutdown_timeout_ms,
            folder: vm.folder.clone(),
            name: vm.name.to_string(),
            secret_variables: vm.secret_variables.clone(),
        }
    }

    /// Runs it to its end, at most `shutdown_timeout`.
    ///
    /// It reads nothing, and its output goes to standard error: the guest owns the terminal.
    pub(super) async fn run(self, guest: Option<u32>) -> Result<(), ShutDownError> {
        let guest = guest.ok_or(ShutDownError::Ended)?;
        let mut command = Command::new(&self.line.program);
        command
            .args(&self.line.args)
            .current_dir(&self.folder)
            .env("VE_NAME", &self.name)
            .env("VE_GUEST_PID", guest.to_string())
            .stdin(Stdio::null())
            .stdout(io::stderr())
            .process_group(0)
            .kill_on_drop(true);
        for variable in &self.secret_variables {
            command.env_remove(variable);
        }
        let not_started =
            |source| ShutDownError::NotStarted { program: self.line.program.clone(), source };
        let mut child = command.spawn().map_err(not_started)?;
        let Ok(status) = timeout(Duration::from_millis(self.timeout_ms), child.wait()).await else {
            kill_group(child.id());
            return Err(ShutDownError::TimedOut(self.timeout_ms));
        };
        match super::GuestExit::from(status) {
            super::GuestExit::Code(0) => Ok(()),
            failed => Err(ShutDownError::Failed(failed)),
        }
    }
}

/// Presses the power button of QEMU's machine.
pub(super) async fn press_power_button(control: Control) -> Result<(), ShutDownError> {
    let qmp = control.ready().await?;
    qmp.execute("system_powerdown", None).await?;
    Ok(())
}

/// Sends SIGTERM to the process `id`, which must not have been waited for.
pub(super) fn terminate(id: Option<u32>) -> Result<(), ShutDownError> {
    let process = process(id).ok_or(ShutDownError::Ended)?;
    kill_process(process, Signal::TERM).map_err(|error| ShutDownError::Signal(error.into()))
}

/// Kills the process group that `id` leads.
pub(super) fn kill_group(id: Option<u32>) {
    if let Some(leader) = process(id) {
        // Fails only when all of them have ended already.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

fn process(id: Option<u32>) -> Option<Pid> {
    i32::try_from(id?).ok().and_then(Pid::from_raw)
}
