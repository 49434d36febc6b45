//! The door to [`ve_server::cli::v2c`].

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    ve_server::cli::v2c::main(env::args_os())
}
