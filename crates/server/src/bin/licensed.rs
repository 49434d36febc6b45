//! `licensed`: the license server.

use std::process::ExitCode;

fn main() -> ExitCode {
    ve_server::cli::licensed::main(std::env::args_os())
}
