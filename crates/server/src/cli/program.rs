//! How every command starts and ends.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, error::ErrorKind};

use super::exit;
use crate::{
    backup::{apply, plan::RestoreError},
    control::protocol::Failure,
    home::{Home, HomeLock},
};

/// The option that every command has.
#[derive(Debug, Args)]
pub struct HomeOption {
    /// The server's home folder
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        help = "The server's home folder; default: $VE_HOME, else /opt/license-server"
    )]
    home: Option<PathBuf>,
}

impl HomeOption {
    /// The home that is meant.
    pub fn home(&self) -> Home {
        Home::locate(self.home.as_deref())
    }
}

/// A command's arguments as they were given, without the program's name.
pub type Arguments = [OsString];

/// Runs a command: reads its arguments (the program's name first), prints help, version, man page or
/// completions where they are asked for, and turns a failure into a message and an exit code.
pub fn run<C: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    body: impl FnOnce(C, &Arguments) -> Result<(), Failure>,
) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = C::command();
    let name = command.get_name().to_string();
    if let Some(manual) = ve_manual::answer(command, arguments.get(1..).unwrap_or_default()) {
        return end(&name, manual.map_err(Failure::from).and_then(|text| print(&text)));
    }
    match C::try_parse_from(&arguments) {
        Ok(command) => end(&name, body(command, arguments.get(1..).unwrap_or_default())),
        Err(error) => explain(&error),
    }
}

fn end(name: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::from(exit::FINE),
        Err(failure) => {
            if !failure.message.is_empty() {
                // When even this can't be written, the exit code still tells.
                let _ = writeln!(io::stderr(), "{name}: {}", failure.message);
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

/// Prints what clap has to say: help and version are results, anything else is wrong usage.
fn explain(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let is_result = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let (written, code) = if is_result {
        (print(&text), exit::FINE)
    } else {
        (io::stderr().write_all(text.as_bytes()).map_err(Failure::from), exit::USAGE)
    };
    ExitCode::from(written.map_or_else(|failure| failure.exit_code, |()| code))
}

/// Prints a result.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Prints a report as JSON.
pub fn print_json(report: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|error| exit::failure(exit::INTERNAL, error))?;
    print(&format!("{text}\n"))
}

/// Says something that is no result, on its own line.
pub fn warn(text: &str) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Output that could not be written. A reader that has seen enough is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return exit::failure(exit::FINE, "");
        }
        exit::failure(exit::CANT_WRITE, format!("the output can't be written: {error}"))
    }
}

/// Goes on as the home's owner when root started this: the same program with the same arguments
/// takes this process's place, so that nothing of root's is left in the home.
pub fn act_as_owner(home: &Home, arguments: &Arguments) -> Result<(), Failure> {
    let Some(owner) = home.owner_to_act_as() else { return Ok(()) };
    let error = owner.this_program()?.args(arguments).exec();
    Err(owner.failed(error).into())
}

/// Takes a home that no server uses, to change it: made where it is missing, and with a restore that
/// was cut off completed, which would undo the change later.
pub fn take(home: &Home) -> Result<HomeLock, Failure> {
    home.create()?;
    let lock = home.lock()?;
    if apply::finish(home).map_err(RestoreError::from)? {
        warn("A restore that was cut off has been completed first.");
    }
    Ok(lock)
}

/// Refuses a home that is half what it was and half a backup: what is read there is of neither.
pub fn refuse_half_restored(home: &Home) -> Result<(), Failure> {
    if !apply::is_cut_off(home) {
        return Ok(());
    }
    let message = format!(
        "a restore goes on in {}, or was cut off there; the server's next start completes it, and so \
         does `licensectl restore` with the same backup",
        home.path().display()
    );
    Err(exit::failure(exit::TEMPORARY, message))
}

/// The failure of a process that explained itself: only its exit code is handed on.
pub fn ended(code: Option<i32>) -> Failure {
    let code = code.and_then(|code| u8::try_from(code).ok()).filter(|&code| code != exit::FINE);
    exit::failure(code.unwrap_or(exit::INTERNAL), "")
}

/// Whether a file is, or would be, in a folder or below it.
pub fn is_within(path: &Path, folder: &Path) -> bool {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match (parent.unwrap_or(Path::new(".")).canonicalize(), folder.canonicalize()) {
        (Ok(parent), Ok(folder)) => parent.starts_with(folder),
        _ => false,
    }
}
