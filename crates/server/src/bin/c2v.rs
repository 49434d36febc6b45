//! The door to [`ve_server::cli::c2v`].

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    ve_server::cli::c2v::main(env::args_os())
}
