//! `license_viewer`: prints the installed licenses, server running or not.

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;
use ve_documents::v2c::Passphrases;

use super::{
    exit, inventory,
    program::{self, Arguments, HomeOption},
};
use crate::{control::protocol::Failure, viewer};

/// Shows the installed licenses, whether the server runs or not.
#[derive(Debug, Parser)]
#[command(name = "license_viewer", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    home: HomeOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print passphrases in full instead of stars
    #[arg(long)]
    show_passphrase: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 fine (valid or not), 64 wrong usage, 70 internal error, 77 no \
                          permission, 78 configuration error.";

/// Runs `license_viewer` with its arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    program::run(arguments, view)
}

#[allow(clippy::needless_pass_by_value, reason = "the command is the caller's last word")]
fn view(cli: Cli, arguments: &Arguments) -> Result<(), Failure> {
    let home = cli.home.home();
    program::act_as_owner(&home, arguments)?;
    let inventory = inventory::take(&home)?;
    let passphrases = if cli.show_passphrase { Passphrases::Revealed } else { Passphrases::Masked };
    let (licenses, reports) = (&inventory.loaded.trusted, &inventory.reports);
    if cli.json {
        let json = viewer::json(licenses, reports, passphrases)
            .map_err(|error| exit::failure(exit::INTERNAL, error))?;
        return program::print_json(&json);
    }
    program::print(&viewer::text(licenses, reports, passphrases))
}
