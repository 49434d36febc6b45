//! The command line of `license_issuer`.

use std::{ffi::OsString, io, io::Write, path::PathBuf};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use jiff::Timestamp;
use ve_core::time::Utc;
use ve_manual::ManualError;

use crate::{
    exit,
    inspect::{self, Inspect},
    issue::{self, Issue},
    keygen::{self, Keygen},
};

/// Makes a vendor's keys and signs licenses with them.
#[derive(Debug, Parser)]
#[command(name = "license_issuer", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 64 wrong usage, 65 bad input file, 70 internal error, \
                          73 can't write, 77 no permission or wrong passphrase.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new vendor key: vendor.key (private) and vendor.pub (public); never overwrites one
    Keygen {
        /// The folder to write to; made if it does not exist
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Encrypt vendor.key with the passphrase in this file
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Sign a license for the server that a fingerprint file (C2V) describes
    Issue {
        /// The vendor's private key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The file that holds the key's passphrase, if it has one
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// The customer's fingerprint file
        #[arg(long, value_name = "FILE")]
        c2v: PathBuf,
        /// What to license: a TOML file, described in the vendor's guide
        #[arg(long, value_name = "FILE")]
        license: PathBuf,
        /// The license file (V2C) to write; an existing one is replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show a fingerprint file (C2V) or license file (V2C), and say whether its signature holds
    Inspect {
        /// The file to show
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The vendor's public keys, to check a license file with; default: vendor.pub beside it
        #[arg(long, value_name = "FILE")]
        vendor_key: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print passphrases in full instead of stars
        #[arg(long)]
        show_passphrase: bool,
    },
}

/// How a command ended: its exit code, and the message that explains one other than 0.
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

/// Output that could not be written, to a full disk or a closed pipe.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { code: exit::CANT_WRITE, message: format!("the output can't be written: {error}") }
    }
}

/// Runs `license_issuer` with its arguments (the program's name first) and gives its exit code.
/// Results go to `stdout`; warnings and errors go to `stderr`. Neither is ever coloured.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(manual) = ve_manual::answer(Cli::command(), arguments.get(1..).unwrap_or_default())
    {
        return print_manual(manual, stdout, stderr);
    }
    let result = match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(cli.command, stdout, stderr),
        Err(error) => return answer(&error, stdout, stderr),
    };
    match result.and_then(|()| Ok(stdout.flush()?)) {
        Ok(()) => exit::FINE,
        Err(failure) => {
            // When even this can't be written, the exit code still tells.
            let _ = writeln!(stderr, "license_issuer: {}", failure.message);
            failure.code
        }
    }
}

fn print_manual(
    manual: Result<String, ManualError>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let (written, code) = match manual {
        Ok(text) => (stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), exit::FINE),
        Err(ManualError::Shell) => (writeln!(stderr, "{}", ManualError::Shell), exit::USAGE),
        Err(error) => (writeln!(stderr, "{error}"), exit::INTERNAL),
    };
    if written.is_ok() { code } else { exit::CANT_WRITE }
}

/// Prints what clap has to say: help and version are results, anything else is wrong usage.
fn answer(error: &clap::Error, stdout: &mut dyn Write, stderr: &mut dyn Write) -> u8 {
    let text = error.render().to_string();
    let is_result = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let (written, code) = if is_result {
        (stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), exit::FINE)
    } else {
        (stderr.write_all(text.as_bytes()), exit::USAGE)
    };
    if written.is_ok() { code } else { exit::CANT_WRITE }
}

fn dispatch(
    command: Command,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        Command::Keygen { out, passphrase_file } => {
            keygen::command(&Keygen { out, passphrase_file }, stdout)
        }
        Command::Issue { key, passphrase_file, c2v, license, out } => {
            let now = Utc(Timestamp::now().as_second());
            issue::command(&Issue { key, passphrase_file, c2v, license, out }, now, stdout, stderr)
        }
        Command::Inspect { file, vendor_key, json, show_passphrase } => {
            inspect::command(&Inspect { file, vendor_key, json, show_passphrase }, stdout)
        }
    }
}
