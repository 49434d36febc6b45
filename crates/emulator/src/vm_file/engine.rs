//! `[engine]`: the program that runs the guest, and how the guest is shut down.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use ve_core::time::{MINUTE_MS, SECOND_MS};

use crate::engine::power_button_is_seen;

use super::{
    Architecture, Hardware, Machine, MachineError,
    section::{At, Problem, Section},
};

/// The default of `shutdown_timeout`: two minutes.
const DEFAULT_SHUTDOWN_TIMEOUT_MS: u64 = 2 * MINUTE_MS;
/// Its default for a QEMU machine without a power button that a guest would see, and without a
/// shutdown command: nothing will come of a longer wait.
const UNHEARD_SHUTDOWN_TIMEOUT_MS: u64 = 10 * SECOND_MS;

/// `[engine]` of a VM's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// What runs the guest.
    pub kind: EngineKind,
    /// A command that shuts the guest down from inside, such as an ssh.
    pub shutdown: Option<CommandLine>,
    /// How long a clean shutdown that the operator asked for may take, in milliseconds.
    pub shutdown_timeout_ms: u64,
}

/// What runs the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineKind {
    /// A machine of QEMU.
    Qemu(QemuSettings),
    /// Any program.
    Command(CommandLine),
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// A bare name for the `PATH`, or an absolute path.
    pub program: PathBuf,
    /// What it is given.
    pub args: Vec<String>,
}

/// The keys that only `kind = "qemu"` has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QemuSettings {
    /// The emulated machine.
    pub machine: Machine,
    /// The QEMU program, if not the machine's own from the `PATH`.
    pub program: Option<PathBuf>,
    /// What executes the guest's instructions.
    pub accelerator: Accelerator,
    /// Further arguments; none of them sets CPUs, memory, machine or control socket.
    pub args: Vec<String>,
}

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accelerator {
    /// KVM for an `x86_64` guest where `/dev/kvm` can be opened, else TCG.
    #[default]
    Auto,
    /// QEMU's own translation, which works everywhere.
    Tcg,
    /// The host's CPU, or nothing.
    Kvm,
}

impl FromStr for Accelerator {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "tcg" => Ok(Self::Tcg),
            "kvm" => Ok(Self::Kvm),
            _ => Err("must be one of auto, tcg, kvm"),
        }
    }
}

/// QEMU options that would get around the license or around the runner, and what to do instead.
const RESERVED_OPTIONS: &[(&str, &str)] = &[
    ("smp", "the licensed CPUs are set by `cpus`"),
    ("m", "the licensed memory is set by `memory_mb`"),
    ("M", "the machine is set by `engine.machine`"),
    ("machine", "the machine is set by `engine.machine`"),
    ("accel", "the accelerator is set by `engine.accel`"),
    ("enable-kvm", "the accelerator is set by `engine.accel`"),
    ("qmp", "the control socket is ve-emulator's"),
    ("qmp-pretty", "the control socket is ve-emulator's"),
    ("mon", "the control socket is ve-emulator's; -monitor gives a console for people"),
    ("readconfig", "a file could set CPUs and memory; write its options as arguments"),
    ("daemonize", "the guest must not outlive ve-emulator"),
    ("runas", "the guest must not outlive ve-emulator; start ve-emulator as that user"),
    ("run-with", "the guest must not outlive ve-emulator; start ve-emulator as that user"),
];

/// Reads `[engine]` for a machine of `architecture` with `hardware`.
pub(super) fn read(
    mut section: Section<'_>,
    folder: &Path,
    architecture: &At<Architecture>,
    hardware: Hardware,
) -> Result<EngineSettings, Problem> {
    let wants_qemu = section.required("kind", |text| match text {
        "qemu" => Ok(true),
        "command" => Ok(false),
        _ => Err("must be \"qemu\" or \"command\""),
    })?;
    let shutdown = read_command(&mut section, "shutdown", folder)?;
    let is_heard =
        !wants_qemu.value || shutdown.is_some() || power_button_is_seen(architecture.value);
    let default_ms =
        if is_heard { DEFAULT_SHUTDOWN_TIMEOUT_MS } else { UNHEARD_SHUTDOWN_TIMEOUT_MS };
    let shutdown_timeout_ms = section.duration_ms("shutdown_timeout", default_ms)?;
    let kind = if wants_qemu.value {
        EngineKind::Qemu(read_qemu(&mut section, folder, architecture, hardware)?)
    } else {
        let command = read_command(&mut section, "command", folder)?;
        EngineKind::Command(command.ok_or_else(|| section.missing("command"))?)
    };
    section.finish()?;
    Ok(EngineSettings { kind, shutdown, shutdown_timeout_ms })
}

fn read_qemu(
    section: &mut Section<'_>,
    folder: &Path,
    architecture: &At<Architecture>,
    hardware: Hardware,
) -> Result<QemuSettings, Problem> {
    let name = section.text("machine")?;
    let machine =
        Machine::choose(architecture.value, name.as_ref().map(|at| at.value.as_str()), hardware)
            .map_err(|error| machine_problem(section, name.as_ref(), architecture, &error))?;
    let program = section.path("program")?.map(|program| resolved(program, folder));
    let accelerator = section.parsed("accel", str::parse::<Accelerator>)?;
    let mut args = Vec::new();
    for At { value, offset } in section.list("args")?.map_or_else(Vec::new, |at| at.value) {
        refuse_reserved(section, &value, offset)?;
        args.push(value);
    }
    Ok(QemuSettings {
        machine,
        program,
        accelerator: accelerator.map_or_else(Accelerator::default, |at| at.value),
        args,
    })
}

/// Blames the machine's name where there is one, else the architecture.
fn machine_problem(
    section: &Section<'_>,
    name: Option<&At<String>>,
    architecture: &At<Architecture>,
    error: &MachineError,
) -> Problem {
    match name {
        Some(name) => section.problem("machine", name.offset, error),
        None => {
            Problem { offset: architecture.offset, message: format!("`architecture`: {error}") }
        }
    }
}

/// QEMU takes its options with one dash or two, and never shortened.
fn refuse_reserved(section: &Section<'_>, argument: &str, offset: usize) -> Result<(), Problem> {
    let option = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
    match RESERVED_OPTIONS.iter().find(|(reserved, _)| Some(*reserved) == option) {
        Some((reserved, instead)) => {
            Err(section.problem("args", offset, format!("can't contain -{reserved}: {instead}")))
        }
        None => Ok(()),
    }
}

/// A program and its arguments; a program with a `/` starts from the VM file's folder.
fn read_command(
    section: &mut Section<'_>,
    key: &'static str,
    folder: &Path,
) -> Result<Option<CommandLine>, Problem> {
    let Some(At { value: list, offset }) = section.list(key)? else { return Ok(None) };
    let mut words = list.into_iter().map(|at| at.value);
    match words.next() {
        Some(program) if !program.is_empty() => Ok(Some(CommandLine {
            program: resolved(program.into(), folder),
            args: words.collect(),
        })),
        _ => Err(section.problem(key, offset, "must begin with a program")),
    }
}

/// A bare name is looked up in the `PATH`, anything else is a path.
fn resolved(program: PathBuf, folder: &Path) -> PathBuf {
    if program.components().count() > 1 { folder.join(program) } else { program }
}
