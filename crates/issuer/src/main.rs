//! The door to [`ve_issuer`].

use std::{env, io, process::ExitCode};

fn main() -> ExitCode {
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    ExitCode::from(ve_issuer::run(env::args_os(), &mut stdout, &mut stderr))
}
