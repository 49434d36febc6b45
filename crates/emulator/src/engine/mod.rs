//! Runs a guest: starts it, asks it to shut down, stops it.
//!
//! Two engines, one interface. QEMU is controlled through its control socket ([`qmp`]), any other
//! command through signals or the operator's own shutdown command.
//!
//! A guest never outlives this process: see [`leash`] for how, whatever ends it.

mod control;
mod exit;
mod leash;
mod program;
mod qemu;
pub mod qmp;
mod shutdown;
mod terminal;

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use thiserror::Error;
use tokio::{
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::broadcast,
    task::JoinHandle,
    time::timeout,
};

use crate::vm_file::{Architecture, CommandLine, EngineKind, Hardware, VmFile};

pub use control::ControlError;
pub use exit::GuestExit;
pub use qmp::GuestEvent;
pub use shutdown::ShutDownError;

use control::Control;
use leash::Leash;
use shutdown::ShutdownCommand;
use terminal::SavedTerminal;

/// How long QEMU may take to end after `quit`, before it is killed.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the guest's standard input, output and error go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// To where this process's own go: the operator's terminal is the guest's console.
    Inherited,
    /// Into pipes: [`Guest::take_pipes`].
    Piped,
}

/// Why a guest could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// A program that is needed isn't there.
    #[error("can't start the guest: the program {program} was not found or can't be executed; {advice}", program = .program.display())]
    ProgramMissing {
        /// The program as it was looked for.
        program: PathBuf,
        /// What to do about it.
        advice: String,
    },
    /// `accel = "kvm"` on a host or for a guest without it.
    #[error("can't start the guest: engine.accel is \"kvm\", but {0}; use \"auto\" or \"tcg\"")]
    NoKvm(String),
    /// There is no place for QEMU's control socket.
    #[error(
        "can't start the guest: no folder for QEMU's control socket could be made ({0}); set XDG_RUNTIME_DIR to a private folder with a short path"
    )]
    NoControlSocket(io::Error),
    /// The system refused.
    #[error("can't start the guest: {0}")]
    Spawn(#[from] io::Error),
}

/// A running guest. Dropping it kills the guest.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    /// `None` for the engine `command`.
    control: Option<Control>,
    shutdown: Option<ShutdownCommand>,
    /// Whether the guest leads a process group of its own.
    own_group: bool,
    events: broadcast::Sender<GuestEvent>,
    terminal: Option<SavedTerminal>,
    exit: Option<GuestExit>,
    _leash: Leash,
}

/// The ends of a guest's pipes.
#[derive(Debug)]
pub struct Pipes {
    /// What is written here, the guest reads.
    pub stdin: ChildStdin,
    /// What the guest prints.
    pub stdout: ChildStdout,
    /// What the guest's program complains about.
    pub stderr: ChildStderr,
}

/// Whether a guest of this architecture normally reacts to the power button of its machine.
///
/// Where it doesn't, a clean shutdown needs a shutdown command of the operator's.
pub const fn power_button_is_seen(architecture: Architecture) -> bool {
    match architecture {
        Architecture::X86_64 | Architecture::Hppa => true,
        Architecture::Sun4m
        | Architecture::Sun4u
        | Architecture::Sun4v
        | Architecture::Alpha
        | Architecture::Other => false,
    }
}

/// Whether there is a way to ask this VM's guest for a clean shutdown that it will probably hear.
pub fn shutdown_is_heard(vm: &VmFile) -> bool {
    match vm.engine.kind {
        EngineKind::Qemu(_) => {
            vm.engine.shutdown.is_some() || power_button_is_seen(vm.architecture)
        }
        // SIGTERM reaches every program; what it does there is the operator's choice.
        EngineKind::Command(_) => true,
    }
}

/// Whether the guest could be started: all programs are there, and KVM where it is demanded.
pub fn check(vm: &VmFile) -> Result<(), StartError> {
    leash::programs()?;
    if let Some(shutdown) = &vm.engine.shutdown {
        program::find(&shutdown.program, "check engine.shutdown")?;
    }
    match &vm.engine.kind {
        EngineKind::Qemu(qemu) => {
            qemu::program(qemu).and_then(|_| qemu::accelerators(qemu).map(drop))
        }
        EngineKind::Command(command) => {
            program::find(&command.program, "check engine.command").map(drop)
        }
    }
}

/// Starts the guest of `vm` with the `licensed` CPUs and memory.
///
/// Returns as soon as its process exists; a guest that ends at once is found by [`Guest::wait`].
/// Must be called inside a tokio runtime with I/O and time.
pub async fn start(vm: &VmFile, licensed: Hardware, console: Console) -> Result<Guest, StartError> {
    let (events, _) = broadcast::channel(16);
    let (line, listening) = match &vm.engine.kind {
        EngineKind::Command(command) => (find_command(command)?, None),
        EngineKind::Qemu(qemu) => {
            let listening = control::Listening::new().map_err(StartError::NoControlSocket)?;
            let line = CommandLine {
                program: qemu::program(qemu)?,
                args: qemu::arguments(qemu, &vm.name, licensed, listening.socket_option())?,
            };
            (line, Some(listening))
        }
    };
    let terminal = match console {
        Console::Inherited => SavedTerminal::save(),
        Console::Piped => None,
    };
    let mut command = leash::command(&line, terminal.is_some())?;
    prepare(&mut command, vm, licensed, console);
    let own_group = terminal.is_none();
    if own_group {
        command.process_group(0);
    }
    let (child, leash) = leash::spawn(command).await?;
    let control = listening.map(|listening| listening.accept(events.clone()));
    let shutdown = vm.engine.shutdown.as_ref().map(|line| ShutdownCommand::new(line, vm));
    Ok(Guest { child, control, shutdown, own_group, events, terminal, exit: None, _leash: leash })
}

fn find_command(command: &CommandLine) -> Result<CommandLine, StartError> {
    let program = program::find(&command.program, "check engine.command")?;
    Ok(CommandLine { program, args: command.args.clone() })
}

/// Folder, variables and standard streams of the guest's process.
fn prepare(command: &mut Command, vm: &VmFile, licensed: Hardware, console: Console) {
    command
        .current_dir(&vm.folder)
        .env("VE_NAME", vm.name.as_str())
        .env("VE_ARCHITECTURE", vm.architecture.as_str())
        .env("VE_CPUS", licensed.cpus.to_string())
        .env("VE_MEMORY_MB", licensed.memory_mb.to_string());
    for variable in &vm.secret_variables {
        command.env_remove(variable);
    }
    if console == Console::Piped {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }
}

impl Guest {
    /// The process ID of the guest's program; `None` once it has ended and was waited for.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The guest's standard streams, once, when it was started with [`Console::Piped`].
    pub fn take_pipes(&mut self) -> Option<Pipes> {
        let (stdin, stdout, stderr) =
            (self.child.stdin.take()?, self.child.stdout.take()?, self.child.stderr.take()?);
        Some(Pipes { stdin, stdout, stderr })
    }

    /// What QEMU tells of the guest from now on. The engine `command` tells nothing.
    pub fn events(&self) -> broadcast::Receiver<GuestEvent> {
        self.events.subscribe()
    }

    /// QEMU's control socket, as soon as QEMU has connected to it.
    pub async fn control(&self) -> Result<std::sync::Arc<qmp::Qmp>, ControlError> {
        match &self.control {
            Some(control) => control.ready().await,
            None => Err(ControlError::NotQemu),
        }
    }

    /// Waits until the guest's program has ended. May be cancelled and called again.
    pub async fn wait(&mut self) -> GuestExit {
        if let Some(exit) = &self.exit {
            return exit.clone();
        }
        let exit = GuestExit::from(self.child.wait().await);
        if let Some(terminal) = self.terminal.take() {
            terminal.restore();
        }
        self.exit.insert(exit).clone()
    }

    /// Asks the guest to shut down cleanly: by the shutdown command if there is one, else by the
    /// machine's power button (QEMU) or SIGTERM (any other program).
    ///
    /// Returns at once. The handle says whether the request could be made, not whether the guest
    /// obeys: that shows in [`Guest::wait`]. Asking again is harmless.
    pub fn shut_down(&self) -> JoinHandle<Result<(), ShutDownError>> {
        match (&self.shutdown, &self.control) {
            (Some(command), _) => tokio::spawn(command.clone().run(self.child.id())),
            (None, Some(control)) => tokio::spawn(shutdown::press_power_button(control.clone())),
            (None, None) => {
                let outcome = shutdown::terminate(self.child.id());
                tokio::spawn(async { outcome })
            }
        }
    }

    /// Ends the guest now: QEMU is told to quit (which writes out its disks) and has two seconds for
    /// it, then, like any other program, it is killed.
    pub async fn stop(&mut self) -> GuestExit {
        if self.exit.is_none()
            && let Some(control) = self.control.clone()
            && let Ok(exit) = timeout(QUIT_TIMEOUT, self.quit(&control)).await
        {
            return exit;
        }
        if self.exit.is_none() {
            self.kill();
        }
        self.wait().await
    }

    async fn quit(&mut self, control: &Control) -> GuestExit {
        if let Ok(qmp) = control.ready().await {
            // It ends instead of answering, as often as not: its end is the answer.
            drop(qmp.execute("quit", None).await);
        }
        self.wait().await
    }

    fn kill(&mut self) {
        if self.own_group {
            // Its helpers too. It isn't reaped yet, so the number is still its own.
            shutdown::kill_group(self.child.id());
        }
        // Fails only when it has ended already.
        drop(self.child.start_kill());
    }
}
