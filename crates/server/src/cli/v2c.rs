//! `v2c`: checks a license file, shows what it changes, and installs it.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use clap::Parser;
use ve_core::{
    license::License,
    node::event::{Event, Record},
};
use ve_documents::files::{self, MAX_DOCUMENT_BYTES};
use ve_host::clock;
use ve_store::{Embedded, ReadOnly, Store};

use super::{
    exit::{self, failure},
    inventory,
    program::{self, Arguments, HomeOption, print, warn},
    table,
};
use crate::{
    control::{
        client::{self, AskError},
        protocol::{Failure, Installation, Request},
    },
    home::{Home, Owner},
    install::{self, Plan},
    installed::has_had_licenses,
};

/// Checks a license file (V2C) from the vendor, shows the difference to what is installed, and
/// installs it; a running server takes it up at once.
///
/// Sessions that the new license covers notice nothing. The replaced file is kept.
#[derive(Debug, Parser)]
#[command(name = "v2c", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    home: HomeOption,
    /// The license file to install
    #[arg(long, value_name = "FILE")]
    filename: PathBuf,
    /// Only show what would happen
    #[arg(long)]
    dry_run: bool,
    /// Read the file's text from standard input: from root's process, which read the file
    #[arg(long, hide = true)]
    read_document: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 64 wrong usage, 65 bad license file, 70 internal error, \
                          73 can't write, 75 home in use, 77 refused by a rule or no permission, 78 \
                          configuration error.";

/// Runs `v2c` with its arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    program::run(arguments, install)
}

#[allow(clippy::needless_pass_by_value, reason = "the command is the caller's last word")]
fn install(cli: Cli, arguments: &Arguments) -> Result<(), Failure> {
    let home = cli.home.home();
    let text = if cli.read_document { read_stdin()? } else { read_file(&cli.filename)? };
    if let Some(owner) = home.owner_to_act_as() {
        return install_by(owner, arguments, &text);
    }
    let request = Request::Install { v2c: text.clone(), dry_run: cli.dry_run };
    let installation = match client::ask(&home, &request) {
        Ok(installation) => installation,
        Err(AskError::NotRunning(_)) => without_server(&home, &text, cli.dry_run)?,
        Err(AskError::Failed(failure)) => return Err(failure),
    };
    print(&describe(&installation, cli.dry_run))
}

fn read_file(path: &Path) -> Result<String, Failure> {
    Ok(files::read_document(path)?)
}

fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_string(&mut text);
    match read {
        Ok(_) if text.len() <= MAX_DOCUMENT_BYTES => Ok(text),
        Ok(_) => Err(failure(exit::BAD_INPUT, "the license file is too large")),
        Err(error) => Err(failure(exit::BAD_INPUT, error)),
    }
}

/// Lets the home's owner install it. That process explains its own failures.
fn install_by(owner: Owner, arguments: &Arguments, text: &str) -> Result<(), Failure> {
    let mut command = owner.this_program()?;
    let child = command.args(arguments).arg("--read-document").stdin(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| owner.failed(error))?;
    // A child that fails early reads nothing, and says why itself.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    match child.wait().map_err(|error| owner.failed(error))?.code() {
        Some(0) => Ok(()),
        code => Err(program::ended(code)),
    }
}

/// Installs into a home that no server serves; its next start takes the license up.
fn without_server(home: &Home, text: &str, dry_run: bool) -> Result<Installation, Failure> {
    if dry_run {
        return Ok(plan(home, text)?.report(None, false));
    }
    // A bad file is refused before anything is made or waited for.
    plan(home, text)?;
    let _lock = program::take(home)?;
    let plan = plan(home, text)?;
    let ledger = open_ledger(home);
    plan.write(home)?;
    if let Err(why) = ledger.and_then(|ledger| mark_seen(ledger, plan.license())) {
        warn(&format!("The next start of the server notes the license's version; now {why}."));
    }
    Ok(plan.report(None, true))
}

/// The ledger; made before the first license, so that one which is missing beside a license has been
/// lost. That is for the server to find and to say: here it would be forgotten.
fn open_ledger(home: &Home) -> Result<Embedded, String> {
    let path = home.ledger();
    let has_ledger = ReadOnly::open(&path).map_err(|error| error.to_string())?.has_ledger();
    if !has_ledger && has_had_licenses(home)? {
        return Err(format!(
            "{} is missing, though there have been licenses: to keep their hours and versions, \
             restore a backup before that",
            path.display()
        ));
    }
    Embedded::open(&path).map_err(|error| error.to_string())
}

/// Notes the version in the ledger, as a server does: no lower one counts from now on.
fn mark_seen(mut ledger: Embedded, license: &License) -> Result<(), String> {
    let remembered = ledger.remember().map_err(|error| error.to_string())?;
    let seen = remembered.versions.get(&license.id).copied();
    if seen.is_none_or(|seen| seen < license.version) {
        let (license_id, version) = (license.id.clone(), license.version);
        let event = Event::LicenseSeen { license_id, version };
        let record = Record { position: remembered.position + 1, at: clock::now().wall, event };
        let failed = |error| format!("the ledger can't be written: {error}");
        ledger.append(&[&[record]]).map_err(failed)?;
    }
    ledger.close().map_err(|error| error.to_string())
}

fn plan(home: &Home, text: &str) -> Result<Plan, Failure> {
    let Some(key) = inventory::identity(home)? else {
        let message = format!(
            "there is no {}, so no license can be bound to this server; make it with c2v, and send \
             the fingerprint file to your vendor",
            home.identity_key().display()
        );
        return Err(failure(exit::CONFIG, message));
    };
    let machine = inventory::configured_machine(home)?;
    let remembered = ReadOnly::open(&home.ledger())?.remember()?;
    Ok(install::plan(home, text, &remembered.versions, &machine, key.public())?)
}

/// What happened or would happen, for a person.
fn describe(installation: &Installation, dry_run: bool) -> String {
    let Installation { id, to_version, .. } = installation;
    if installation.changes.is_empty() {
        return format!(
            "License {id} version {to_version} is installed already; nothing changes.\n\
             Status: {}\n",
            installation.status
        );
    }
    let mut lines = vec![match installation.from_version {
        Some(before) => format!("License {id}: version {before} → {to_version}"),
        None => format!("License {id} version {to_version} is new here."),
    }];
    lines.push(String::new());
    lines.extend(changes(installation));
    lines.push(String::new());
    lines.extend(sessions(installation));
    lines.push(format!("Status: {}", installation.status));
    lines.push(if dry_run {
        "This was a dry run: nothing was changed.".into()
    } else {
        "Installed.".into()
    });
    table::text(&lines)
}

/// The difference, as a table; a license that is new here has no past to compare with.
fn changes(installation: &Installation) -> Vec<String> {
    let value = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_string());
    let changes = installation.changes.iter();
    if installation.from_version.is_none() {
        return table::lines(
            ["Field", "Value"],
            changes.map(|change| [change.field.clone(), value(&change.after)]),
        );
    }
    table::lines(
        ["Field", "Before", "After"],
        changes.map(|change| [change.field.clone(), value(&change.before), value(&change.after)]),
    )
}

/// What becomes of the sessions.
fn sessions(installation: &Installation) -> Vec<String> {
    let Some(kept) = installation.sessions_kept else {
        return vec!["No server runs here; the next start takes the license up.".into()];
    };
    let revoked = &installation.sessions_revoked;
    let hosts = installation.hosts_served.zip(installation.hosts_kept);
    let hosts = hosts.map(|(served, kept)| match served.saturating_sub(kept) {
        0 => format!("Hosts that keep an instance: {kept}; that lose it: 0"),
        lost => {
            format!("Hosts that keep an instance: {kept}; that lose it: {lost}")
        }
    });
    let mut lines: Vec<String> = hosts.into_iter().collect();
    lines.push(format!("Sessions that go on: {kept}; that are revoked: {}", revoked.len()));
    lines.extend(revoked.iter().map(|session| format!("  {}: {}", session.id, session.refusal)));
    lines
}
