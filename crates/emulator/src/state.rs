//! What all emulators of a host share: what the host says of itself, and the state folder with its
//! key, the last grants and receipts of its license servers, and a lock for each emulator name that runs.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use ve_client::{
    GrantFolder, ReceiptFolder,
    config::{HostDocument, HostFacts},
};
use ve_host::facts::IdentityDocument;

use crate::vm_file::VmName;

/// Where the state is when nobody says and it can be written.
const SYSTEM_STATE: &str = "/var/lib/ve-emulator";

/// The state folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is nowhere to put it.
    #[error(
        "no folder for the host's key: {SYSTEM_STATE} can't be written and neither XDG_STATE_HOME nor HOME is set; give one with --state-dir"
    )]
    Nowhere,
    /// It can't be made or written.
    #[error("the state folder {} can't be used: {source}; give another one with --state-dir", folder.display())]
    Unusable {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An emulator of this name runs.
    #[error(
        "an emulator named {name} already runs on this host (process {pid}); its name must be unique"
    )]
    NameInUse {
        /// The name.
        name: VmName,
        /// Who holds it.
        pid: String,
    },
}

/// The folder with the host's key.
#[derive(Debug)]
pub(crate) struct StateFolder(PathBuf);

impl StateFolder {
    /// `given` (`--state-dir`), else `$VE_STATE_DIR`, else the system's folder where that can be
    /// written, else the user's.
    pub(crate) fn open(given: Option<&Path>) -> Result<Self, StateError> {
        let named = given.map(Path::to_owned).or_else(|| folder_in("VE_STATE_DIR"));
        if let Some(folder) = named {
            return usable(&folder)
                .map_err(|source| StateError::Unusable { folder: folder.clone(), source })
                .map(|()| Self(folder));
        }
        if usable(Path::new(SYSTEM_STATE)).is_ok() {
            return Ok(Self(SYSTEM_STATE.into()));
        }
        let own = folder_in("XDG_STATE_HOME");
        let own = own.or_else(|| Some(folder_in("HOME")?.join(".local/state")));
        let folder = own.ok_or(StateError::Nowhere)?.join("ve-emulator");
        usable(&folder)
            .map_err(|source| StateError::Unusable { folder: folder.clone(), source })?;
        Ok(Self(folder))
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The folder with the last grants of the license servers, made when it is first needed.
    pub(crate) fn grants(&self) -> GrantFolder {
        GrantFolder::new(self.0.join("grants"))
    }

    /// The folder with the receipts of the host's registrations (AutoVE), made when it is first needed.
    pub(crate) fn receipts(&self) -> ReceiptFolder {
        ReceiptFolder::new(self.0.join("receipts"))
    }

    /// Takes an emulator's name for as long as the lock lives. The kernel gives it back with the
    /// process, whatever ends that.
    pub(crate) fn lock_name(&self, name: &VmName) -> Result<NameLock, StateError> {
        let unusable = |source| StateError::Unusable { folder: self.0.clone(), source };
        let path = self.0.join(format!("{}.lock", name.as_str()));
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let mut file = open.map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // Only for the message.
                let _ = (&file).take(20).read_to_string(&mut pid);
                let pid = pid.trim().to_owned();
                return Err(StateError::NameInUse { name: name.clone(), pid });
            }
            Err(errno) => return Err(unusable(errno.into())),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(unusable)?;
        Ok(NameLock { _file: file })
    }
}

/// The folder that a variable of the environment names; an empty one names none.
fn folder_in(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// An emulator's name, taken.
#[derive(Debug)]
pub(crate) struct NameLock {
    _file: File,
}

/// Makes the folder if it is missing, and finds out whether it can be written.
fn usable(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let trial = folder.join(format!(".trial-{}", std::process::id()));
    File::options().write(true).create_new(true).open(&trial)?;
    fs::remove_file(&trial)
}

/// What this host says of itself to servers whose license counts hosts, and why its provider's document
/// is missing there, if it should not be. On a cloud whose machines have signed documents this may take
/// a second.
pub(crate) fn host_facts() -> (HostFacts, Option<String>) {
    let facts = ve_host::facts::read(None);
    let document = |identity: IdentityDocument| HostDocument {
        platform: identity.platform,
        document: identity.document,
        signature: identity.signature,
    };
    let told = HostFacts {
        name: facts.name,
        platform: facts.platform,
        boot: facts.boot,
        identity: facts.identity.map(document),
    };
    (told, facts.trouble.map(|trouble| trouble.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_runs_once_and_the_second_is_told_who_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::open(Some(folder.path())).expect("usable");
        let name: VmName = "ss5".parse().expect("a name");
        let held = state.lock_name(&name).expect("free");
        let error = state.lock_name(&name).expect_err("taken").to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(held);
        state.lock_name(&name).expect("free again");
    }

    #[test]
    fn a_folder_that_can_not_be_made_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let blocked = folder.path().join("file");
        fs::write(&blocked, b"").expect("written");
        let error =
            StateFolder::open(Some(&blocked.join("state"))).expect_err("not a folder").to_string();
        assert!(error.contains("file/state") && error.contains("--state-dir"), "{error}");
    }
}
