//! A backup in a folder of its own, laid out like a home, checked whole before anything is done with it.

use std::{
    env,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

use thiserror::Error;
use ve_core::{
    license::{License, Verified},
    node::event::Remembered,
};
use ve_documents::{
    files::{self, MAX_DOCUMENT_BYTES},
    key_files,
    keys::VerifyingKey,
    v2c,
};
use ve_store::{HighWater, HostsReadOnly, LoadError, check_copy};

use super::{
    archive::{self, ReadBackupError},
    manifest::{Manifest, license_of},
    place,
};
use crate::home::{Home, HomeError, not_writable};

/// The mode of files and folders: there are secrets in them.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Why a backup can't be taken up. Nothing was changed.
#[derive(Debug, Error)]
pub enum StageError {
    /// It is none, or not what it was.
    #[error("{0}")]
    Bad(String),
    /// There is no place for it.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// A backup that is unpacked and sound.
#[derive(Debug)]
pub struct Stage {
    /// Where it is; removed when this is dropped, unless it was moved.
    pub folder: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// What its ledger remembers; `None`: it has none.
    pub remembered: Option<Remembered>,
    /// How many entries its registry has; `None`: it has none.
    pub hosts: Option<usize>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left of it is removed by the next one.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder for a backup that shall only be looked at.
pub fn folder_elsewhere() -> PathBuf {
    env::temp_dir().join(format!("licensectl-restore-{}", process::id()))
}

/// Unpacks a backup into `folder`, which may hold what a killed process left, and checks all of it.
pub fn unpack(backup: impl Read, folder: PathBuf) -> Result<Stage, StageError> {
    let failed = |path: &Path, error| StageError::Home(not_writable(path, error));
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&folder, error));
        }
        _ => {}
    }
    let make = |path: &Path| DirBuilder::new().mode(FOLDER_MODE).create(path);
    make(&folder).map_err(|error| failed(&folder, error))?;
    // From here on it is removed, whatever happens.
    let mut stage = Stage { folder, manifest: nothing(), remembered: None, hosts: None };
    make(&stage.folder.join("licenses")).map_err(|error| failed(&stage.folder, error))?;
    let sink = |_: &Manifest, file: &super::manifest::File| {
        Synced::make(&place(&stage.folder, &file.name))
    };
    stage.manifest = archive::read(backup, sink).map_err(|error| match error {
        ReadBackupError::Bad(why) => {
            StageError::Bad(format!("{why}; it is damaged, or no backup of a license server"))
        }
        ReadBackupError::Sink(error) => failed(&stage.folder, error),
    })?;
    stage.check()?;
    Ok(stage)
}

/// Until the list was read.
fn nothing() -> Manifest {
    Manifest {
        format: 0,
        made: ve_core::time::Utc(0),
        server_key: ve_core::id::ServerKey([0; 32]),
        version: String::new(),
        files: Vec::new(),
        marks: HighWater::default(),
    }
}

/// A file that is durable when it is dropped; one that can't be made so fails the flush.
struct Synced(fs::File);

impl Synced {
    fn make(path: &Path) -> io::Result<Self> {
        OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).map(Self)
    }
}

impl Write for Synced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl Stage {
    fn check(&mut self) -> Result<(), StageError> {
        let bad = |why: String| StageError::Bad(format!("the backup is no good: {why}"));
        let key = key_files::load(&place(&self.folder, "identity.key"), None)
            .map_err(|error| bad(error.to_string()))?;
        if key.public() != self.manifest.server_key {
            return Err(bad("its key is not that of the server that it names".into()));
        }
        let unusable = |what: &str, error| match error {
            LoadError::Newer { found, known, .. } => bad(format!(
                "its {what} has format {found}, and this version knows formats up to {known}"
            )),
            error => bad(format!("its {what}: {error}")),
        };
        if self.manifest.file("ledger.db").is_some() {
            let remembered = check_copy(&place(&self.folder, "ledger.db"));
            self.remembered = Some(remembered.map_err(|error| unusable("ledger", error))?);
        }
        if self.manifest.file("instances.db").is_some() {
            let entries = HostsReadOnly::open_checked(&place(&self.folder, "instances.db"))
                .and_then(|mut registry| registry.entries());
            self.hosts = Some(entries.map_err(|error| unusable("registry", error))?.len());
        }
        Ok(())
    }

    /// The marks of the backup: those of its list, and those of its ledger.
    pub fn marks(&self) -> HighWater {
        let ledger = self.remembered.as_ref().map(HighWater::of).unwrap_or_default();
        self.manifest.marks.clone().joined(&ledger)
    }

    /// The vendor keys that the backup trusts; none when that can't be read.
    pub fn vendor_keys(&self) -> Vec<VerifyingKey> {
        key_files::load_public(&place(&self.folder, "vendor.pub")).unwrap_or_default()
    }

    /// The installed licenses of the backup that one of `keys` signed, with their names in it.
    pub fn licenses(&self, keys: &[VerifyingKey]) -> Vec<(String, Verified<License>)> {
        let names = self.manifest.files.iter().map(|file| &file.name);
        names
            .filter_map(|name| {
                license_of(name)?;
                Some((name.clone(), read_license(&place(&self.folder, name), keys)?))
            })
            .collect()
    }
}

/// The license in a file, if one of `keys` signed it.
pub fn read_license(path: &Path, keys: &[VerifyingKey]) -> Option<Verified<License>> {
    let text = files::read_text(path, MAX_DOCUMENT_BYTES).ok()?;
    v2c::verify(&text, keys).ok().map(|v2c| v2c.license)
}

/// Where a backup is unpacked that is to be restored: in the home, so that renaming is enough.
pub fn folder_in(home: &Home) -> PathBuf {
    home.path().join("restoring.tmp")
}
