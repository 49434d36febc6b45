//! `ve-emulator check`: would it run? Asks every configured server, takes no seat.

use std::{io::Write, net::SocketAddr, path::Path};

use ve_client::{
    config::Server,
    probe::{ProbeError, addresses, probe},
};
use ve_core::{client::io::ConnectError, grant::Grant, text::Name, time::spoken_hours};

use crate::{
    engine,
    exit::ExitStatus,
    run::{RunError, config},
    state::StateFolder,
    vm_file::VmFile,
};

/// Asks, and writes what every server says to `out`.
pub(crate) async fn check(
    vm_file: &Path,
    state_dir: Option<&Path>,
    out: &mut dyn Write,
) -> Result<ExitStatus, RunError> {
    let vm = VmFile::read(vm_file)?;
    engine::check(&vm)?;
    let state = StateFolder::open(state_dir)?;
    let (config, identity_trouble) = config(&vm, &state)?;
    let mut counts_hosts = false;
    let mut status = ExitStatus::NO_SERVER;
    let mut customers: Vec<Name> = Vec::new();
    let mut refusals: Vec<Option<String>> = Vec::new();
    for server in &config.servers {
        let (verdict, line) = match probe(&config, server).await {
            Ok(grant) => {
                let line = granted(&grant);
                counts_hosts |= grant.home.is_some();
                customers.push(grant.customer);
                refusals.push(None);
                (ExitStatus::FINE, line)
            }
            Err(error) => {
                refusals.push(Some(error.to_string()));
                (status_of(&error), format!("would not run: {error}"))
            }
        };
        status = better(status, verdict);
        print(out, &format!("{}:{}: {line}", server.host, server.port));
    }
    if let Some(warning) = nothing_stands_in(&refusals) {
        warn(out, &warning);
    }
    if let Some(trouble) = identity_trouble.filter(|_| counts_hosts) {
        warn(out, &format!("there is no identity document of this machine: {trouble}"));
    }
    if let [primary, backup] = customers.as_slice()
        && primary != backup
    {
        warn(
            out,
            &format!(
                "the servers belong to different customers ({primary}, {backup}); one will not stand in for the other"
            ),
        );
    }
    if let Some(address) = common_address(&config.servers).await {
        warn(
            out,
            &format!(
                "primary and backup are one server ({address}); when it is gone, nothing stands in for it"
            ),
        );
    }
    if !engine::shutdown_is_heard(&vm) {
        let architecture = vm.architecture.as_str();
        warn(
            out,
            &format!(
                "guests of {architecture} machines see no power button; without `shutdown = [\"command\", …]` in [engine] this guest can't be shut down cleanly when the license ends"
            ),
        );
    }
    Ok(status)
}

/// What to say when only one of two servers would grant; each says why it would not, or nothing.
fn nothing_stands_in(refusals: &[Option<String>]) -> Option<String> {
    let (granting, other, why) = match refusals {
        [None, Some(why)] => ("primary", "backup", why),
        [Some(why), None] => ("backup", "primary", why),
        _ => return None,
    };
    Some(format!(
        "only the {granting} server would let it run; nothing stands in for it, for the {other} server would not: {why}"
    ))
}

/// An address that both servers' names stand for.
async fn common_address(servers: &[Server]) -> Option<SocketAddr> {
    let [primary, backup] = servers else { return None };
    // What a server's name can't be found for is said where the server is asked.
    let (primary, backup) = (addresses(primary).await.ok()?, addresses(backup).await.ok()?);
    primary.into_iter().find(|address| backup.contains(address))
}

fn granted(grant: &Grant) -> String {
    let until = match (grant.remaining_ms, grant.expires) {
        (Some(left_ms), _) => format!("{} hour(s) left", spoken_hours(left_ms)),
        (None, Some(end)) => format!("until {end} UTC"),
        (None, None) => "without end".to_owned(),
    };
    format!("would run: {} of license {}, {until}", grant.product_code, grant.license_id)
}

/// A refusal says more than an unreachable server, and a grant more than either.
fn better(one: ExitStatus, other: ExitStatus) -> ExitStatus {
    let rank = |status| match status {
        ExitStatus::FINE => 2,
        ExitStatus::REFUSED => 1,
        _ => 0,
    };
    if rank(other) > rank(one) { other } else { one }
}

fn status_of(error: &ProbeError) -> ExitStatus {
    match error {
        ProbeError::Refused(_)
        | ProbeError::Connect(
            ConnectError::ProtocolVersion(_) | ConnectError::Unverified { refusal: Some(_), .. },
        ) => ExitStatus::REFUSED,
        ProbeError::Connect(
            ConnectError::Unreachable(_) | ConnectError::Unverified { refusal: None, .. },
        )
        | ProbeError::Lost(_) => ExitStatus::NO_SERVER,
    }
}

fn warn(out: &mut dyn Write, what: &str) {
    print(out, &format!("warning: {what}"));
}

fn print(out: &mut dyn Write, line: &str) {
    // A closed pipe is no reason to fail.
    let _ = writeln!(out, "{line}");
}
