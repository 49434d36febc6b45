//! `licensectl`: looks at a license server and acts on it.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use ve_core::{
    id::{LicenseId, SessionNumber},
    time::{SECOND_MS, spoken_hours},
};

use super::{
    backup, instances, inventory, logs, peers,
    program::{self, Arguments, HomeOption, print, print_json},
    restore, table,
};
use crate::{
    control::{
        client::{self, AskError},
        protocol::{
            DenialReport, Denials, Done, Failure, LicenseReport, Licenses, ProductReport, Request,
            SessionReport, Sessions, Status,
        },
    },
    home::Home,
    install, ledger,
};

/// Looks at a license server and acts on it, over its control socket.
#[derive(Debug, Parser)]
#[command(name = "licensectl", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    home: HomeOption,
    /// Print JSON; times are seconds since 1970
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 64 wrong usage, 65 no such license or session, bad backup, \
                          69 no server runs, 70 internal error, 73 can't write, 75 home in use or server \
                          busy, 77 refused or no permission, 78 configuration error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// How the server is
    Status,
    /// The installed licenses and their seats; works without a running server, too
    Licenses {
        #[command(subcommand)]
        act: Option<OnLicenses>,
    },
    /// Who holds a seat
    Sessions {
        #[command(subcommand)]
        act: Option<OnSessions>,
    },
    /// Who was refused since the server's start, and by which rule
    Denials,
    /// The registered emulator hosts (AutoVE); works without a running server, too
    Instances(instances::Options),
    /// The other server of an AutoVE pair
    Peers,
    /// The server's log
    Logs(logs::Options),
    /// Write the whole home into one file, whether a server runs or not
    Backup(backup::Options),
    /// Bring a backup back, on the host that it is of; no server may run in the home
    Restore(restore::Options),
}

#[derive(Debug, Subcommand)]
enum OnLicenses {
    /// Remove an installed license; its file is kept under the name of its version
    Remove {
        /// The license's ID, such as 01.00000001.002.044
        #[arg(value_name = "ID")]
        id: LicenseId,
    },
}

#[derive(Debug, Subcommand)]
enum OnSessions {
    /// Take a session's seat back; its emulator is refused until it is started anew
    Release {
        /// The session's number, from `licensectl sessions`
        #[arg(value_name = "ID")]
        id: u64,
    },
}

/// Runs `licensectl` with its arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    program::run(arguments, control)
}

#[allow(clippy::needless_pass_by_value, reason = "the command is the caller's last word")]
fn control(cli: Cli, arguments: &Arguments) -> Result<(), Failure> {
    let home = cli.home.home();
    // These have to do with a file that is whoever started this's.
    match &cli.command {
        Command::Backup(options) => return backup::back_up(&home, options, cli.json, arguments),
        Command::Restore(options) => return restore::restore(&home, options, cli.json, arguments),
        Command::Instances(options) => return instances::run(&home, options, cli.json, arguments),
        _ => program::act_as_owner(&home, arguments)?,
    }
    match cli.command {
        Command::Backup(_) | Command::Restore(_) | Command::Instances(_) => Ok(()),
        Command::Status => {
            let mut report: Status = client::ask(&home, &Request::Status)?;
            report.attention.extend(ledger::attention(&home));
            show(&report, cli.json, status)
        }
        Command::Licenses { act: None } => {
            let reports = inventory::take(&home)?.reports;
            show(&Licenses { licenses: reports }, cli.json, |report| licenses(&report.licenses))
        }
        Command::Licenses { act: Some(OnLicenses::Remove { id }) } => {
            show(&remove(&home, &id)?, cli.json, done)
        }
        Command::Sessions { act: None } => {
            show(&client::ask(&home, &Request::Sessions)?, cli.json, sessions)
        }
        Command::Sessions { act: Some(OnSessions::Release { id }) } => {
            let request = Request::Release { number: SessionNumber(id) };
            show(&client::ask(&home, &request)?, cli.json, done)
        }
        Command::Peers => show(&client::ask(&home, &Request::Peers)?, cli.json, peers::lines),
        Command::Denials => show(&client::ask(&home, &Request::Denials)?, cli.json, denials),
        Command::Logs(options) => logs::show(&home, &options, cli.json),
    }
}

fn show<T: serde::Serialize>(
    report: &T,
    json: bool,
    lines: impl Fn(&T) -> Vec<String>,
) -> Result<(), Failure> {
    if json {
        return print_json(report);
    }
    print(&table::text(&lines(report)))
}

/// Removes a license, through the server that runs, else in the home that no one uses.
fn remove(home: &Home, id: &LicenseId) -> Result<Done, Failure> {
    match client::ask(home, &Request::Remove { id: id.clone() }) {
        Err(AskError::NotRunning(_)) => {}
        answered => return Ok(answered?),
    }
    let _lock = program::take(home)?;
    install::remove(home, id)?;
    Ok(Done { message: format!("License {id} is removed; its hours and versions stay known.") })
}

fn done(done: &Done) -> Vec<String> {
    vec![done.message.clone()]
}

fn status(status: &Status) -> Vec<String> {
    let mut lines = vec![
        format!("State: {}", status.state),
        format!("Version: {}", status.version),
        format!("Process: {}", status.pid),
        format!("Listening on: {}", status.listen),
        format!("Running since: {} UTC", status.since),
        format!("Server key: {}", status.server_key),
        format!("Connections: {}", status.links),
        format!("Sessions: {}", status.sessions),
    ];
    lines.extend(peers::status(status.autove.as_ref(), status.peer.as_ref()));
    lines.extend(status.attention.iter().map(|sentence| format!("Attention: {sentence}")));
    lines.push(String::new());
    lines.extend(licenses(&status.licenses));
    lines
}

fn licenses(reports: &[LicenseReport]) -> Vec<String> {
    if reports.is_empty() {
        return vec!["No license is installed.".into()];
    }
    let rows = reports.iter().map(|report| {
        let version = if report.version == 0 { "-".into() } else { report.version.to_string() };
        [report.id.clone(), version, ends(report), report.status.clone()]
    });
    let mut lines = table::lines(["License", "Version", "Ends (UTC)", "Status"], rows);
    // Licenses that count hosts have a table of their own: there, what is in use is no emulators.
    let counts_hosts = |report: &&LicenseReport| report.mode.as_deref() == Some("autove");
    let seats = reports
        .iter()
        .filter(|report| !counts_hosts(report))
        .flat_map(|report| report.products.iter().map(|product| seats_of(report, product)));
    let hosts = reports.iter().filter(counts_hosts).flat_map(|report| {
        report.products.iter().map(|product| {
            let [id, code, in_use, instances, hardware] = seats_of(report, product);
            [id, code, in_use, instances, or_dash(product.emulators), hardware]
        })
    });
    let seats =
        table::lines(["License", "Product", "In use", "Instances", "Virtual hardware"], seats);
    let hosts = table::lines(
        ["License", "Product", "Hosts in use", "Instances", "Emulators", "Virtual hardware"],
        hosts,
    );
    for products in [seats, hosts].into_iter().filter(|products| products.len() > 1) {
        lines.push(String::new());
        lines.extend(products);
    }
    lines
}

/// License, product, what is in use, instances, models.
fn seats_of(report: &LicenseReport, product: &ProductReport) -> [String; 5] {
    [
        report.id.clone(),
        product.code.clone(),
        or_dash(product.in_use),
        product.instances.to_string(),
        product.virtual_hardware.join(","),
    ]
}

fn or_dash(count: Option<usize>) -> String {
    count.map_or_else(|| "-".into(), |count| count.to_string())
}

fn ends(report: &LicenseReport) -> String {
    match (report.remaining_seconds, report.expires) {
        (Some(left), _) => {
            format!("{} hour(s) left", spoken_hours(left.saturating_mul(SECOND_MS)))
        }
        (None, Some(end)) => end.to_string(),
        (None, None) if report.version == 0 => "-".into(),
        (None, None) => "never".into(),
    }
}

fn sessions(report: &Sessions) -> Vec<String> {
    if report.sessions.is_empty() {
        return vec!["No seat is in use.".into()];
    }
    let row = |session: &SessionReport| {
        let state = match session.reserved_seconds {
            Some(seconds) => format!("{} ({seconds} s)", session.state),
            None => session.state.clone(),
        };
        [
            session.id.to_string(),
            session.emulator.clone(),
            session.virtual_hardware.clone(),
            session.version.clone(),
            session.address.clone(),
            session.since.to_string(),
            session.product.clone(),
            session.host.clone(),
            state,
        ]
    };
    let header = [
        "ID",
        "Emulator",
        "Hardware",
        "Version",
        "Address",
        "Since (UTC)",
        "Product",
        "Host",
        "State",
    ];
    table::lines(header, report.sessions.iter().map(row))
}

fn denials(report: &Denials) -> Vec<String> {
    if report.denials.is_empty() {
        return vec!["Nobody was refused since the server's start.".into()];
    }
    let row = |denial: &DenialReport| {
        [
            denial.at.to_string(),
            denial.emulator.clone(),
            denial.virtual_hardware.clone(),
            denial.address.clone(),
            format!("{}: {}", denial.reason, denial.message),
        ]
    };
    let header = ["When (UTC)", "Emulator", "Hardware", "Address", "Reason"];
    table::lines(header, report.denials.iter().map(row))
}
