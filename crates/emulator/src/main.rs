//! `ve-emulator`: runs an emulator under a license.

use std::process::ExitCode;

fn main() -> ExitCode {
    ve_emulator::cli::main()
}
