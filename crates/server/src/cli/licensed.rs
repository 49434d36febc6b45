//! `licensed`: the license server, in the foreground.

use std::{ffi::OsString, net::SocketAddr, process::ExitCode};

use clap::Parser;

use super::{
    exit::failure,
    program::{self, Arguments, HomeOption, act_as_owner},
};
use crate::{
    config::Config,
    control::protocol::Failure,
    home::Home,
    run::{Options, RunError, run},
};

/// The license server, in the foreground.
///
/// SIGTERM tells the clients and ends the server, SIGHUP reads configuration and licenses anew.
#[derive(Debug, Parser)]
#[command(name = "licensed", version, after_help = EXIT_CODES)]
struct Licensed {
    #[command(flatten)]
    home: HomeOption,
    /// Where to listen for emulators, instead of `listen` in config.toml
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Taken, but not served: this version has no web GUI yet, and its log says so
    #[arg(long, value_name = "ADDRESS:PORT")]
    web_listen: Option<SocketAddr>,
    /// Only check the configuration, and say what is wrong with it
    #[arg(long)]
    check_config: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 64 wrong usage, 70 internal error, 73 can't write, 75 home, key or port in \
     use, 77 no permission, 78 configuration error.";

/// The command, from its arguments (the program's name first) to its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    program::run::<Licensed>(arguments, |licensed, arguments| {
        let home = licensed.home.home();
        if licensed.check_config {
            return check_config(&home);
        }
        serve(Options { home, listen: licensed.listen, web_listen: licensed.web_listen }, arguments)
    })
}

fn check_config(home: &Home) -> Result<(), Failure> {
    let file = home.config_file();
    Config::load(&file).map_err(RunError::from)?;
    program::print(&format!("{}: the configuration is valid.\n", file.display()))
}

fn serve(options: Options, arguments: &Arguments) -> Result<(), Failure> {
    act_as_owner(&options.home, arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(RunError::System)?;
    let outcome = runtime.block_on(run(options));
    // A disk or a name server that hangs must not keep the process from its end.
    runtime.shutdown_background();
    Ok(outcome?)
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        failure(error.exit_code(), error)
    }
}
