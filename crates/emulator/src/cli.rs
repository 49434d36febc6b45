//! The command line of `ve-emulator`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use ve_manual::ManualError;

use crate::{
    check::check,
    exit::ExitStatus,
    run::{Options, RunError, run},
    vm_file::LogStyle,
};

/// Runs an emulator under a license
#[derive(Debug, Parser)]
#[command(name = "ve-emulator", version, propagate_version = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: as the emulator did; 64 wrong usage, 69 no license server reachable, 70 internal \
     error, 73 can't write, 75 the emulator's name is in use or its license ended it, 77 refused, \
     78 configuration error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one emulator; SIGTERM shuts the guest down cleanly, a second one ends it at once
    Run {
        /// The VM's file
        #[arg(value_name = "VM.toml")]
        vm_file: PathBuf,
        /// The form of the log, instead of the VM file's
        #[arg(long, value_enum)]
        log_style: Option<Style>,
        /// The log file, instead of the VM file's
        #[arg(long, value_name = "PATH")]
        log: Option<PathBuf>,
        /// The folder with this host's key; all emulators of a host share it
        #[arg(long, value_name = "DIR")]
        state_dir: Option<PathBuf>,
    },
    /// Ask every configured server whether it would run; takes no seat
    Check {
        /// The VM's file
        #[arg(value_name = "VM.toml")]
        vm_file: PathBuf,
        /// The folder with this host's key; all emulators of a host share it
        #[arg(long, value_name = "DIR")]
        state_dir: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Style {
    Ssp,
    Par,
    Json,
}

impl From<Style> for LogStyle {
    fn from(style: Style) -> Self {
        match style {
            Style::Ssp => Self::Ssp,
            Style::Par => Self::Par,
            Style::Json => Self::Json,
        }
    }
}

/// How long the last grant may still be written, or a name be looked up, when everything has ended.
const LAST_WORK_PATIENCE: Duration = Duration::from_secs(1);

/// The program, from its arguments to its exit code.
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(manual) = ve_manual::answer(Arguments::command(), &words) {
        return print_manual(manual);
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = if error.use_stderr() { ExitStatus::USAGE } else { ExitStatus::FINE };
            // A closed pipe is no reason to fail.
            let _ = error.print();
            return status.into();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(carry_out(arguments.command));
            // A resolver or a disk that hangs must not keep the program from its end.
            runtime.shutdown_timeout(LAST_WORK_PATIENCE);
            outcome
        }
        Err(error) => Err(RunError::Signals(error)),
    };
    match outcome {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("ve-emulator: {error}");
            error.exit_status().into()
        }
    }
}

fn print_manual(manual: Result<String, ManualError>) -> ExitCode {
    match manual {
        Ok(text) => {
            // A closed pipe is no reason to fail.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitStatus::FINE.into()
        }
        Err(error) => {
            eprintln!("ve-emulator: {error}");
            ExitStatus::USAGE.into()
        }
    }
}

async fn carry_out(command: Command) -> Result<ExitStatus, RunError> {
    match command {
        Command::Run { vm_file, log_style, log, state_dir } => {
            run(&Options { vm_file, log_style: log_style.map(LogStyle::from), log, state_dir })
                .await
        }
        Command::Check { vm_file, state_dir } => {
            check(&vm_file, state_dir.as_deref(), &mut io::stdout()).await
        }
    }
}
