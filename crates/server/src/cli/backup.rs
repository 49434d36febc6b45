//! `licensectl backup`: a home in one file.

use std::{
    fs::File,
    io::{self, Seek},
    os::fd::AsFd,
    path::PathBuf,
    process::Stdio,
};

use clap::Args;
use serde::Serialize;
use ve_core::{
    id::ServerKey,
    time::{Utc, spoken_hours},
};

use super::{
    exit::{self, failure},
    program::{self, Arguments, print, print_json},
    table,
};
use crate::{
    backup::{
        archive,
        goal::{Goal, GoalError, hidden_beside},
        make::{BackupError, make},
        manifest::{self, Manifest},
    },
    control::protocol::Failure,
    home::{Home, Owner},
};

/// What the user says.
#[derive(Debug, Args)]
pub struct Options {
    /// The backup to write; it holds the server's key, so keep it in a safe place
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
    /// Write to standard output: for root's process, which has the file
    #[arg(long, hide = true)]
    to_stdout: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    bytes: u64,
    made: Utc,
    server_key: ServerKey,
    version: String,
    files: Vec<manifest::File>,
    marks: ve_store::HighWater,
}

/// Makes a backup, checks it, and says what it holds.
pub fn back_up(
    home: &Home,
    options: &Options,
    json: bool,
    arguments: &Arguments,
) -> Result<(), Failure> {
    if options.to_stdout {
        home.create()?;
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        make(home, home.backup_scratch(), out)?;
        return Ok(());
    }
    if program::is_within(&options.file, home.path()) {
        // Root follows nobody's links: what is in the home is written by its owner.
        program::act_as_owner(home, arguments)?;
    }
    let goal = Goal::begin(&options.file, options.force)?;
    match home.owner_to_act_as() {
        Some(owner) => made_by(owner, arguments, goal.file())?,
        None => {
            make(home, hidden_beside(&options.file, "ledger")?, goal.file())?;
        }
    }
    goal.file().sync_all()?;
    let (manifest, bytes) = read_back(goal.file())?;
    goal.finish()?;
    let Manifest { made, server_key, version, files, marks, .. } = manifest;
    let file = options.file.clone();
    let report = Report { file, bytes, made, server_key, version, files, marks };
    if json {
        return print_json(&report);
    }
    print(&table::text(&lines(&report)))
}

/// Lets the home's owner make it. That process explains its own failures.
fn made_by(owner: Owner, arguments: &Arguments, out: &File) -> Result<(), Failure> {
    let out = out.try_clone()?;
    let mut command = owner.this_program()?;
    command.args(arguments).arg("--to-stdout").stdin(Stdio::null()).stdout(out);
    match command.status().map_err(|error| owner.failed(error))?.code() {
        Some(0) => Ok(()),
        code => Err(program::ended(code)),
    }
}

/// Reads what was written, every byte of it, before it gets its name.
fn read_back(mut file: &File) -> Result<(Manifest, u64), Failure> {
    file.rewind()?;
    let manifest = archive::read(file, |_, _| Ok(io::sink())).map_err(|error| {
        failure(exit::CANT_WRITE, format!("the backup was written, but can't be read: {error}"))
    })?;
    Ok((manifest, file.metadata()?.len()))
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![
        format!("Backup: {} ({} bytes, checked)", report.file.display(), report.bytes),
        format!("Server key: {}", report.server_key),
        format!("Made: {} UTC", report.made),
        String::new(),
    ];
    let files = report.files.iter().map(|file| [file.name.clone(), file.bytes.to_string()]);
    lines.extend(table::lines(["File", "Bytes"], files));
    let versions = report.marks.versions.iter();
    let versions =
        versions.map(|(id, version)| [id.to_string(), format!("version {version} seen")]);
    let hours = report.marks.meters.iter().map(|((id, version), meter)| {
        let hours = spoken_hours(meter.used_ms);
        [id.to_string(), format!("{hours} hour(s) of version {version} used")]
    });
    let marks = table::lines(["License", "Mark"], versions.chain(hours));
    if marks.len() > 1 {
        lines.push(String::new());
        lines.extend(marks);
    }
    lines.push(String::new());
    lines.push(
        "It holds the server's private key and all passphrases: keep it in a safe place.".into(),
    );
    lines
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let code = match &error {
            BackupError::Key(error) => return key_failure(error, &error.to_string()),
            BackupError::Read(error) if error.is_permission_denied() => exit::REFUSED,
            BackupError::Read(_) | BackupError::Folder { .. } => exit::CONFIG,
            BackupError::Ledger(_) | BackupError::Registry(_) => exit::INTERNAL,
            BackupError::Goal(GoalError::Busy(_))
            | BackupError::Busy
            | BackupError::HalfRestored => exit::TEMPORARY,
            BackupError::Copy(_) | BackupError::Write(_) | BackupError::Goal(_) => exit::CANT_WRITE,
        };
        failure(code, error)
    }
}

fn key_failure(error: &ve_documents::key_files::LoadKeyError, why: &str) -> Failure {
    use ve_documents::key_files::LoadKeyError;
    let is_denied = matches!(error, LoadKeyError::Read(read) if read.is_permission_denied());
    let code = if is_denied { exit::REFUSED } else { exit::CONFIG };
    failure(code, format!("there is nothing to back up without the server's key: {why}"))
}

impl From<GoalError> for Failure {
    fn from(error: GoalError) -> Self {
        let is_busy = matches!(error, GoalError::Busy(_));
        failure(if is_busy { exit::TEMPORARY } else { exit::CANT_WRITE }, error)
    }
}
