//! `licensectl instances`: the emulator hosts of an AutoVE server.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use clap::{Args, Subcommand};
use ve_core::id::HostKey;
use ve_documents::files;
use ve_host::clock;
use ve_store::{HostsReadOnly, LoadError, ReadOnly, snapshots};

use super::{
    exit,
    host_rows::{self, Listed},
    program::{self, Arguments, print, print_json},
    table,
};
use crate::{
    control::{
        client::{self, AskError},
        protocol::{Done, Failure, HostReport, Instances, Request},
        reports,
    },
    home::{Home, Owner},
    words::{counted, counted_len},
};

/// The largest file that is imported, in bytes.
const MAX_IMPORT_BYTES: usize = 512 << 20;

/// The mode of a file that is exported: names and addresses are nobody else's business.
const EXPORT_MODE: u32 = 0o600;

/// What stands behind the reason of an import that was refused.
const NOTHING: &str = "; nothing was imported";

/// The longest answer to a question that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 64;

/// How many digits of a host's key the list shows; all of them are in the JSON.
const HOST_DIGITS: usize = 12;

/// What `licensectl instances` takes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print the list as CSV, as `export` writes it
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Retire a host that is gone: its instance becomes free, and it never gets one again
    Retire {
        /// The host's key, at least 8 digits of its beginning, or its name
        #[arg(value_name = "ID")]
        host: String,
        /// Don't ask; without a terminal nothing is asked
        #[arg(long)]
        yes: bool,
    },
    /// Write the list into a file: JSON if its name ends so, else CSV
    Export {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Take hosts from such a file, all of them or none
    Import {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl Options {
    /// Whether the command is about a file that is whoever started this's.
    fn file(&self) -> Option<&Path> {
        match &self.act {
            Some(Act::Export { file } | Act::Import { file }) => Some(file),
            _ => None,
        }
    }
}

/// Runs the command.
pub(super) fn run(
    home: &Home,
    options: &Options,
    json: bool,
    arguments: &Arguments,
) -> Result<(), Failure> {
    // Files that are named are read and written as who started this; the server lets root in.
    if options.file().is_none() {
        program::act_as_owner(home, arguments)?;
    }
    match &options.act {
        None if options.csv => print(&host_rows::to_csv(&all(home)?)),
        None if json => print_json(&Instances { instances: all(home)?, next: None }),
        None => print(&table::text(&lines(all(home)?))),
        Some(Act::Retire { host, yes }) => {
            let host = if *yes { host.clone() } else { confirm(home, host)? };
            tell(&client::ask(home, &Request::Retire { host })?, json)
        }
        Some(Act::Export { file }) => tell(&export(home, file)?, json),
        Some(Act::Import { file }) => tell(&import(home, file)?, json),
    }
}

/// Asks who sits at a terminal whether this host is meant, for there is no way back; the name of the
/// host that is.
fn confirm(home: &Home, named: &str) -> Result<String, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(named.to_owned());
    }
    let host: HostReport = client::ask(home, &Request::Host { host: named.to_owned() })?;
    if !host.retired {
        let count = host.emulators.unwrap_or(0) + host.emulators_at_peer.unwrap_or(0);
        let runs = match count {
            0 => format!("was seen last on {} UTC", host.last_seen),
            count => format!("runs {}", counted(u64::from(count), "emulator")),
        };
        let (name, digits) = (&host.name, digits(host.host));
        let question = format!(
            "Host {name} ({digits}) {runs}. It never gets an instance again. Retire it? [y/N] "
        );
        let mut answer = String::new();
        io::stderr().write_all(question.as_bytes())?;
        io::stdin().lock().take(MAX_ANSWER_BYTES).read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(exit::failure(exit::REFUSED, "the host was not retired"));
        }
    }
    Ok(host.host.to_string())
}

fn tell(done: &Done, json: bool) -> Result<(), Failure> {
    if json { print_json(done) } else { print(&format!("{}\n", done.message)) }
}

/// All hosts: as the server has them, else as they stand in `instances.db`.
fn all(home: &Home) -> Result<Vec<HostReport>, Failure> {
    let mut hosts = Vec::new();
    let mut after: Option<HostKey> = None;
    loop {
        match client::ask::<Instances>(home, &Request::Instances { after }) {
            Ok(part) => {
                hosts.extend(part.instances);
                match part.next {
                    Some(next) => after = Some(next),
                    None => return Ok(hosts),
                }
            }
            // It has just ended, or there was none: what it knew is in the file.
            Err(AskError::NotRunning(_)) => return stored(home),
            Err(error) => return Err(error.into()),
        }
    }
}

fn stored(home: &Home) -> Result<Vec<HostReport>, Failure> {
    if let Some(owner) = home.owner_to_act_as() {
        return stored_for_root(home, owner);
    }
    let mut entries = open_stored(home)?.entries()?;
    entries.sort_unstable_by_key(|(_, entry)| entry.host);
    Ok(entries.iter().map(|(_, entry)| reports::entry(entry)).collect())
}

/// The registry in the home. One that must have been there and is gone is no empty list.
fn open_stored(home: &Home) -> Result<HostsReadOnly, Failure> {
    let what = match HostsReadOnly::open(&home.instances()) {
        Ok(found) if found.has_registry() || !must_have_hosts(home) => return Ok(found),
        Ok(_) => "is missing, and there must have been one",
        Err(LoadError::NoRegistry(_)) if must_have_hosts(home) => "is damaged",
        Err(error) => return Err(error.into()),
    };
    let message = format!(
        "{} {what}; start the server: it goes on from a snapshot, its peer or the hosts' receipts",
        home.instances().display()
    );
    Err(exit::failure(exit::INTERNAL, message))
}

/// Whether ledger or snapshots know of hosts. What can't be read shows nothing.
fn must_have_hosts(home: &Home) -> bool {
    let ledger = ReadOnly::open(&home.ledger()).and_then(|mut ledger| ledger.remember());
    let knows = ledger.is_ok_and(|known| {
        known.homed.values().any(|count| *count > 0) || !known.retired_hosts.is_empty()
    });
    knows || snapshots(&home.snapshots()).is_ok_and(|found| !found.is_empty())
}

/// Reading a database may leave files beside it, and root's would be in the server's way.
fn stored_for_root(home: &Home, owner: Owner) -> Result<Vec<HostReport>, Failure> {
    let mut command = owner.this_program()?;
    command.arg("--home").arg(home.path()).args(["instances", "--csv"]).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| owner.failed(error))?;
    if !output.status.success() {
        return Err(program::ended(output.status.code()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let entries = host_rows::from_csv(&text, clock::now().wall)
        .map_err(|why| exit::failure(exit::INTERNAL, why))?;
    Ok(entries.entries.iter().map(reports::entry).collect())
}

fn export(home: &Home, file: &Path) -> Result<Done, Failure> {
    let hosts = all(home)?;
    let text = if is_json(file) {
        host_rows::to_json(&hosts).map_err(|error| exit::failure(exit::INTERNAL, error))?
    } else {
        host_rows::to_csv(&hosts)
    };
    files::write_replacing(file, text.as_bytes(), EXPORT_MODE).map_err(|error| {
        exit::failure(exit::CANT_WRITE, format!("{} can't be written: {error}", file.display()))
    })?;
    let were = if hosts.len() == 1 { "was" } else { "were" };
    let hosts = counted_len(hosts.len(), "host");
    Ok(Done { message: format!("{hosts} {were} written to {}.", file.display()) })
}

fn import(home: &Home, file: &Path) -> Result<Done, Failure> {
    let listed = read(file)?;
    client::import(home, &listed.entries).map_err(|error| match error {
        AskError::Failed(failure) => explained(failure, file, &listed),
        error @ AskError::NotRunning(_) => error.into(),
    })
}

/// A refusal of the server, with the place in the file that it is about.
fn explained(failure: Failure, file: &Path, listed: &Listed) -> Failure {
    let Some(code) = failure.reason else { return failure };
    let message = failure.message.trim_end_matches('.');
    let message = message.strip_prefix(&format!("{code}: ")).unwrap_or(message);
    let mut words = message.split(|c: char| !c.is_ascii_alphanumeric());
    let place = words.find_map(|word| listed.place(word.parse().ok()?));
    let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
    let nothing = if message.contains(NOTHING) { "" } else { NOTHING };
    Failure { message: format!("{}: {place}{message}{nothing}", file.display()), ..failure }
}

fn read(file: &Path) -> Result<Listed, Failure> {
    let text = files::read_text(file, MAX_IMPORT_BYTES)?;
    let entries = if is_json(file) {
        host_rows::from_json(&text)
    } else {
        host_rows::from_csv(&text, clock::now().wall)
    };
    entries.map_err(|why| {
        let message = format!("{}: {why}{NOTHING}", file.display());
        exit::failure(exit::BAD_INPUT, message)
    })
}

fn is_json(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn lines(mut hosts: Vec<HostReport>) -> Vec<String> {
    if hosts.is_empty() {
        return vec!["No host is registered.".into()];
    }
    hosts.sort_by(|one, other| {
        (&one.home, &one.name, one.host).cmp(&(&other.home, &other.name, other.host))
    });
    let row = |host: &HostReport| {
        [
            digits(host.host),
            host.name.to_string(),
            host.home.to_string(),
            host.standing.clone(),
            emulators(host),
            host.platform.map_or_else(|| "-".into(), |platform| platform.to_string()),
            host.address.to_string(),
            host.last_seen.to_string(),
        ]
    };
    let header =
        ["Host", "Name", "Home", "State", "Emulators", "Platform", "Address", "Last seen (UTC)"];
    table::lines(header, hosts.iter().map(row))
}

fn digits(host: HostKey) -> String {
    let mut digits = host.to_string();
    digits.truncate(HOST_DIGITS);
    digits
}

/// Here, and at the peer.
fn emulators(host: &HostReport) -> String {
    match (host.emulators, host.emulators_at_peer) {
        (None, _) => "-".into(),
        (Some(here), None | Some(0)) => here.to_string(),
        (Some(here), Some(there)) => format!("{here}+{there}"),
    }
}
