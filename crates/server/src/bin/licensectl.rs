//! The door to [`ve_server::cli::licensectl`].

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    ve_server::cli::licensectl::main(env::args_os())
}
