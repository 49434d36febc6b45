//! Gathers a home, running or not, into a backup.

use std::{
    fs, io,
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;
use ve_documents::{
    files::{self, ReadError},
    key_files::{self, LoadKeyError},
};
use ve_host::clock;
use ve_store::{CopyError, HighWater, HostsReadOnly, LoadError, ReadOnly, check_copy};

use super::{
    apply::is_cut_off,
    archive,
    goal::{GoalError, Scratch},
    manifest::{FORMAT, File, Manifest, Part, is_license_name},
    place,
};
use crate::{config::MAX_CONFIG_BYTES, home::Home};

/// How often gathering begins anew because a license was installed or removed meanwhile.
const TRIES: usize = 10;

/// The most that all license files together may take, in bytes.
const MAX_LICENSES_BYTES: usize = 1 << 30;

/// The longest key file, in bytes.
const MAX_KEY_BYTES: usize = 64 << 10;

/// Why there is no backup.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The server's key can't be read.
    #[error("there is nothing to back up without the server's key: {0}")]
    Key(#[from] LoadKeyError),
    /// A file of the home can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The licenses' folder can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ledger is not sound.
    #[error("the ledger can't be backed up: {0}")]
    Ledger(#[from] LoadError),
    /// The registry is not sound.
    #[error("the registry of hosts can't be backed up: {0}")]
    Registry(LoadError),
    /// The ledger or the registry can't be copied.
    #[error("{0}")]
    Copy(#[from] CopyError),
    /// The backup can't be written.
    #[error("the backup can't be written: {0}")]
    Write(io::Error),
    /// A file for it can't be made.
    #[error(transparent)]
    Goal(#[from] GoalError),
    /// A restore is under way, or was cut off.
    #[error(
        "a restore goes on in this home, or was cut off; the server's next start completes it, and \
         so does `licensectl restore` with the same backup"
    )]
    HalfRestored,
    /// The files never stood still.
    #[error("licenses are being changed all the time; try again")]
    Busy,
}

/// What a home holds beside its databases: small files, held in memory so that they are of one moment.
struct Files(Vec<(String, Vec<u8>)>);

/// Copies of the home's databases; a file is empty where the home has none.
struct Copies {
    ledger: Scratch,
    registry: Scratch,
}

/// Writes a backup of `home` to `out`. The ledger's copy is made at `scratch` meanwhile, and the
/// registry's beside it, which takes as much room as those have; they are gone afterwards.
pub fn make(home: &Home, scratch: PathBuf, out: impl Write) -> Result<Manifest, BackupError> {
    let key = key_files::load(&home.identity_key(), None)?;
    let registry = Scratch::make(scratch.with_extension("instances"))?;
    let copies = Copies { ledger: Scratch::make(scratch)?, registry };
    let (files, marks) = gather(home, &copies)?;
    let mut list = Vec::new();
    for (name, bytes) in &files.0 {
        list.push(archive::describe(name, &**bytes).map_err(BackupError::Write)?);
    }
    for (name, copy) in [("ledger.db", &copies.ledger), ("instances.db", &copies.registry)] {
        list.extend(copied(name, copy)?);
    }
    let manifest = Manifest {
        format: FORMAT,
        made: clock::now().wall,
        server_key: key.public(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        files: list,
        marks,
    };
    let content = |file: &File| content(file, &files, &copies);
    archive::write(out, &manifest, content).map_err(BackupError::Write)?;
    Ok(manifest)
}

/// The databases' copies and the files beside them, as they were at one moment: when the licenses are
/// the same before and after the copy, they are those that the copy knows. The registry comes second:
/// the ledger never counts a host that is not in it.
fn gather(
    home: &Home,
    Copies { ledger: copy, registry }: &Copies,
) -> Result<(Files, HighWater), BackupError> {
    for _ in 0..TRIES {
        let files = Files::read(home)?;
        copy.file().set_len(0).map_err(BackupError::Write)?;
        let mut ledger = ReadOnly::open(&home.ledger())?;
        // The reserve's as well, which may be ahead.
        let mut marks = HighWater::of(&ledger.remember()?);
        if ledger.copy_to(copy.path())? {
            marks.join(&HighWater::of(&check_copy(copy.path())?));
        }
        copy_registry(home, registry)?;
        if is_cut_off(home) {
            return Err(BackupError::HalfRestored);
        }
        if Files::read(home)?.0 == files.0 {
            return Ok((files, marks));
        }
    }
    Err(BackupError::Busy)
}

fn copy_registry(home: &Home, copy: &Scratch) -> Result<(), BackupError> {
    copy.file().set_len(0).map_err(BackupError::Write)?;
    let mut registry = HostsReadOnly::open(&home.instances()).map_err(BackupError::Registry)?;
    if registry.copy_to(copy.path())? {
        HostsReadOnly::open_checked(copy.path()).map_err(BackupError::Registry)?;
    }
    Ok(())
}

fn copied(name: &str, copy: &Scratch) -> Result<Option<File>, BackupError> {
    let file = fs::File::open(copy.path()).map_err(BackupError::Write)?;
    if file.metadata().map_err(BackupError::Write)?.len() == 0 {
        return Ok(None);
    }
    archive::describe(name, file).map(Some).map_err(BackupError::Write)
}

fn content(file: &File, files: &Files, copies: &Copies) -> io::Result<Box<dyn Read>> {
    let copy = match Part::of(&file.name) {
        Some(Part::Ledger) => Some(&copies.ledger),
        Some(Part::Registry) => Some(&copies.registry),
        _ => None,
    };
    if let Some(copy) = copy {
        return Ok(Box::new(fs::File::open(copy.path())?));
    }
    let found = files.0.iter().find(|(name, _)| *name == file.name);
    let bytes = found.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
    Ok(Box::new(Cursor::new(bytes)))
}

impl Files {
    fn read(home: &Home) -> Result<Self, BackupError> {
        let mut files = Vec::new();
        for (name, limit) in [
            ("identity.key", MAX_KEY_BYTES),
            ("vendor.pub", MAX_KEY_BYTES),
            ("config.toml", MAX_CONFIG_BYTES),
        ] {
            if let Some(bytes) = read(&place(home.path(), name), limit)? {
                files.push((name.to_string(), bytes));
            }
        }
        let mut room = MAX_LICENSES_BYTES;
        for name in license_names(&home.licenses())? {
            let path = home.licenses().join(&name);
            // A file that is gone again was a moment's: the next look finds another list.
            if let Some(bytes) = read(&path, files::MAX_DOCUMENT_BYTES.min(room))? {
                room -= bytes.len();
                files.push((format!("licenses/{name}"), bytes));
            }
        }
        Ok(Self(files))
    }
}

fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, BackupError> {
    match files::read_limited(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The licenses and their earlier versions, in order. Other files are not the server's.
fn license_names(folder: &Path) -> Result<Vec<String>, BackupError> {
    let failed = |source| BackupError::Folder { path: folder.to_path_buf(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().filter(|name| is_license_name(name)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
