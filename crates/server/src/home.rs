//! A server's home: the one folder that holds all it has.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf, absolute},
};

use rustix::{
    fs::{Access, access},
    process::geteuid,
};
use thiserror::Error;
use ve_core::id::LicenseId;

mod lock;
mod owner;

pub use lock::{HomeLock, HomeLockError, HostLock, HostLockError, host_lock};
pub use owner::{ActAsOwnerError, Owner, user_name};

/// Where a server lives when nobody says otherwise.
pub const DEFAULT_HOME: &str = "/opt/license-server";

/// The environment variable that names the home.
pub const HOME_VARIABLE: &str = "VE_HOME";

/// The folders of a home and their modes. Licenses hold passphrases, so they are the owner's alone.
const FOLDERS: [(&str, u32); 3] = [("licenses", 0o700), ("log", 0o750), ("run", 0o750)];

/// The mode of a home that is made here.
const HOME_MODE: u32 = 0o750;

/// A server's home. Nothing is read or made until it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    folder: PathBuf,
}

/// Why a home can't be used.
#[derive(Debug, Error)]
pub enum HomeError {
    /// Something of it can't be made or written by this user.
    #[error(
        "{} can't be written by user {user}{}: {source}. Run this as the home's owner or as root, \
         or name another home with --home", path.display(),
        owner.as_ref().map(|owner| format!(" (it belongs to {owner})")).unwrap_or_default()
    )]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// Who owns it, where that is known.
        owner: Option<String>,
        /// Who tried.
        user: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something of it can't be made or written, and another user could do no better.
    #[error("{} can't be written: {source}", path.display())]
    Failed {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Home {
    /// The home at `folder`.
    pub fn at(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        Self { folder: absolute(folder).unwrap_or_else(|_| folder.to_path_buf()) }
    }

    /// The home that was `named` (`--home`), else `$VE_HOME`, else [`DEFAULT_HOME`].
    pub fn locate(named: Option<&Path>) -> Self {
        let variable = || env::var_os(HOME_VARIABLE).filter(|folder| !folder.is_empty());
        match named {
            Some(folder) => Self::at(folder),
            None => Self::at(variable().map_or_else(|| DEFAULT_HOME.into(), PathBuf::from)),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// `config.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// `vendor.pub`: the vendor keys that are trusted here.
    pub fn vendor_keys(&self) -> PathBuf {
        self.folder.join("vendor.pub")
    }

    /// `identity.key`: the server's own key.
    pub fn identity_key(&self) -> PathBuf {
        self.folder.join("identity.key")
    }

    /// The folder of the installed licenses.
    pub fn licenses(&self) -> PathBuf {
        self.folder.join("licenses")
    }

    /// The file of an installed license.
    pub fn license_file(&self, id: &LicenseId) -> PathBuf {
        self.licenses().join(format!("{id}.v2c"))
    }

    /// The file that keeps a version of a license that was replaced or removed.
    pub fn earlier_license_file(&self, id: &LicenseId, version: u32) -> PathBuf {
        self.licenses().join(format!("{id}.v2c.{version}"))
    }

    /// `ledger.db`: sessions, hours and high-water marks.
    pub fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.db")
    }

    /// `instances.db`: the emulator hosts that AutoVE licenses cover.
    pub fn instances(&self) -> PathBuf {
        self.folder.join("instances.db")
    }

    /// The folder of the snapshots of `instances.db`.
    pub fn snapshots(&self) -> PathBuf {
        self.folder.join("snapshots")
    }

    /// The folder of cloud providers' certificates, which the administrator puts there.
    pub fn providers(&self) -> PathBuf {
        self.folder.join("providers")
    }

    /// `marks.reserve`: the marks once more, and where hours are written when the disk is full.
    pub fn marks_reserve(&self) -> PathBuf {
        self.folder.join(ve_store::RESERVE_NAME)
    }

    /// Where the copy of the ledger is made for a backup that is written elsewhere.
    pub fn backup_scratch(&self) -> PathBuf {
        self.folder.join("run").join("backup.ledger")
    }

    /// The folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// `license.log`.
    pub fn license_log(&self) -> PathBuf {
        self.logs().join("license.log")
    }

    /// `webserver.log`.
    pub fn webserver_log(&self) -> PathBuf {
        self.logs().join("webserver.log")
    }

    /// The control socket of a running server.
    pub fn control_socket(&self) -> PathBuf {
        self.folder.join("run").join("licensed.sock")
    }

    /// The file that whoever uses the home holds locked.
    pub fn lock_file(&self) -> PathBuf {
        self.folder.join("run").join("licensed.lock")
    }

    /// Makes what is missing of the home's folders, and finds out whether they can be written.
    /// What exists keeps its mode and owner.
    pub fn create(&self) -> Result<(), HomeError> {
        make_folder(&self.folder, HOME_MODE)?;
        FOLDERS.iter().try_for_each(|(name, mode)| make_folder(&self.folder.join(name), *mode))
    }

    /// Takes the home for this process alone, until the lock is dropped. [`Self::create`] comes first.
    pub fn lock(&self) -> Result<HomeLock, HomeLockError> {
        HomeLock::take(self)
    }

    /// The home's owner, when this process is root's and the owner isn't root: whom to act as.
    pub fn owner_to_act_as(&self) -> Option<Owner> {
        Owner::to_act_as(&self.folder)
    }
}

fn make_folder(path: &Path, mode: u32) -> Result<(), HomeError> {
    let result = fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    result
        .and_then(|()| Ok(access(path, Access::WRITE_OK | Access::EXEC_OK)?))
        .map_err(|source| not_writable(path, source))
}

/// The error for something below a home that can't be written. Where rights are missing, it names
/// the nearest part of the path that exists, because that is where they are missing.
pub fn not_writable(path: &Path, source: io::Error) -> HomeError {
    if source.kind() != io::ErrorKind::PermissionDenied {
        return HomeError::Failed { path: path.to_path_buf(), source };
    }
    let existing = path.ancestors().find(|part| part.exists()).unwrap_or(path);
    let owner = fs::metadata(existing).ok().map(|metadata| user_name(metadata.uid()));
    let user = user_name(geteuid().as_raw());
    HomeError::NotWritable { path: existing.to_path_buf(), owner, user, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_home_is_made_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("a/home"));
        home.create().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        for path in [home.path().to_path_buf(), home.licenses(), home.logs()] {
            assert_eq!(mode(&path) & 0o027, 0, "{}", path.display());
        }
        fs::set_permissions(home.licenses(), fs::Permissions::from_mode(0o711)).unwrap();
        home.create().unwrap();
        assert_eq!(mode(&home.licenses()), 0o711);
    }

    #[test]
    fn a_file_in_the_place_of_a_home_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Home::at(file.join("home")).create().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}/home can't be written: ", file.display())),
            "{error}"
        );
    }
}
