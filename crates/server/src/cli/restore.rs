//! `licensectl restore`: a backup becomes a home again, on the same host.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use clap::Args;
use serde::Serialize;
use ve_core::{id::ServerKey, text::sentence, time::Utc};

use super::{
    exit::{self, failure},
    program::{self, Arguments, print, print_json},
    table,
};
use crate::{
    backup::{
        apply,
        plan::{Deed, FilePlan, LicensePlan, MarkPlan, Plan, RestoreError, plan},
        stage::{self, Stage, StageError},
    },
    control::protocol::Failure,
    home::{Home, HomeLock, Owner},
};

/// What the user says.
#[derive(Debug, Args)]
pub struct Options {
    /// The backup, from `licensectl backup`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only show what would happen
    #[arg(long)]
    dry_run: bool,
    /// Read the backup from standard input: from root's process, which opened it
    #[arg(long, hide = true)]
    from_stdin: bool,
}

/// What a restore does or would do.
#[derive(Debug, Serialize)]
struct Report {
    home: PathBuf,
    made: Utc,
    version: String,
    server_key: ServerKey,
    dry_run: bool,
    files: Vec<FilePlan>,
    marks: Vec<MarkPlan>,
    licenses: Vec<LicensePlan>,
    kept_in: Option<PathBuf>,
}

/// Checks a backup, says what it will do with it, and does it.
pub fn restore(
    home: &Home,
    options: &Options,
    json: bool,
    arguments: &Arguments,
) -> Result<(), Failure> {
    if options.from_stdin {
        return restore_from(home, io::stdin().lock(), options.dry_run, json);
    }
    if program::is_within(&options.file, home.path()) {
        // Root follows nobody's links: what is in the home is read by its owner.
        program::act_as_owner(home, arguments)?;
    }
    let backup = open(&options.file)?;
    if let Some(owner) = home.owner_to_act_as() {
        return restore_by(owner, arguments, backup);
    }
    restore_from(home, backup, options.dry_run, json)
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
        let code = if is_denied { exit::REFUSED } else { exit::BAD_INPUT };
        failure(code, format!("{} can't be read: {error}", path.display()))
    })
}

/// Lets the home's owner do it. That process explains its own failures.
fn restore_by(owner: Owner, arguments: &Arguments, backup: File) -> Result<(), Failure> {
    let mut command = owner.this_program()?;
    command.args(arguments).arg("--from-stdin").stdin(Stdio::from(backup));
    match command.status().map_err(|error| owner.failed(error))?.code() {
        Some(0) => Ok(()),
        code => Err(program::ended(code)),
    }
}

fn restore_from(
    home: &Home,
    backup: impl io::Read,
    dry_run: bool,
    json: bool,
) -> Result<(), Failure> {
    let (_lock, stage) = if dry_run {
        (lock_if_there(home)?, unpack(backup, stage::folder_elsewhere())?)
    } else {
        (Some(program::take(home)?), unpack(backup, stage::folder_in(home))?)
    };
    let plan = plan(home, stage)?;
    let report = report(home, &plan, dry_run);
    if !dry_run {
        // Whoever reads no further wants it restored all the same.
        let told = if json { Ok(()) } else { print(&table::text(&lines(&report))) };
        plan.carry_out(home)?;
        told?;
    }
    if json {
        return print_json(&report);
    }
    if dry_run {
        print(&table::text(&lines(&report)))?;
        return print("\nThis was a dry run: nothing was changed.\n");
    }
    print("\nRestored. Start the server: `systemctl start licensed`.\n")
}

fn unpack(backup: impl io::Read, folder: PathBuf) -> Result<Stage, Failure> {
    Ok(stage::unpack(backup, folder).map_err(RestoreError::from)?)
}

/// A dry run makes no home; but it, too, is only for one that no server uses.
fn lock_if_there(home: &Home) -> Result<Option<HomeLock>, Failure> {
    if !home.lock_file().exists() {
        return Ok(None);
    }
    if apply::is_cut_off(home) {
        program::warn("A restore was cut off here; without --dry-run it is completed first.");
    }
    Ok(Some(home.lock()?))
}

fn report(home: &Home, plan: &Plan, dry_run: bool) -> Report {
    let manifest = plan.manifest();
    Report {
        home: home.path().to_path_buf(),
        made: manifest.made,
        version: manifest.version.clone(),
        server_key: manifest.server_key,
        dry_run,
        files: plan.files.clone(),
        marks: plan.marks.clone(),
        licenses: plan.licenses.clone(),
        kept_in: plan.aside().map(|aside| home.path().join(aside)),
    }
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![
        format!("Backup of {} UTC, for the home {}", report.made, report.home.display()),
        String::new(),
    ];
    let files = report.files.iter().map(|file| {
        let action = match file.action {
            Deed::Put => "comes from the backup",
            Deed::Replace => "is replaced",
            Deed::Same => "is the same",
            Deed::Stay => "stays",
            Deed::Merge => "takes in the backup's",
        };
        [file.name.clone(), action.to_string(), file.why.clone().unwrap_or_default()]
    });
    lines.extend(table::lines(["File", "What happens", "Why"], files));
    if !report.marks.is_empty() {
        lines.push(String::new());
        let marks = report.marks.iter().map(|mark| {
            [mark.mark.clone(), mark.backup.clone(), mark.home.clone(), mark.after.clone()]
        });
        lines.extend(table::lines(["Mark", "Backup", "Home", "Afterwards"], marks));
    }
    if !report.licenses.is_empty() {
        lines.push(String::new());
        let licenses = report.licenses.iter().map(|license| {
            [license.id.to_string(), license.version.to_string(), license.status.clone()]
        });
        lines.extend(table::lines(["License", "Version", "Status afterwards"], licenses));
    }
    if let Some(folder) = &report.kept_in {
        lines.push(String::new());
        lines.push(format!("What is replaced is kept in {}.", folder.display()));
    }
    lines
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let message = match &error {
            RestoreError::Stage(StageError::Bad(why)) => sentence(why),
            error => sentence(error),
        };
        Self { exit_code: error.exit_code(), reason: error.reason(), message }
    }
}
