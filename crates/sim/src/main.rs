//! `ve-sim`: simulated days from a seed.

use std::process::ExitCode;

fn main() -> ExitCode {
    ve_sim::cli::main()
}
