//! The door to [`ve_server::cli::viewer`].

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    ve_server::cli::viewer::main(env::args_os())
}
