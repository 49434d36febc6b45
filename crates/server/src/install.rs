//! Installing a license and removing one: planned first, then written so that a crash at any step
//! leaves either the old license or the new one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
};

use thiserror::Error;
use ve_core::{
    fingerprint::Machine,
    id::{LicenseId, ServerKey},
    license::License,
    node::{Preview, event::Remembered},
    reason::{ReasonCode, Refusal},
    text::sentence,
    update::{self, Change, Site, Step, UpdateError},
};
use ve_documents::{
    files::{self, ReadError},
    v2c::{self, V2c, V2cError},
};
use ve_host::clock;

use crate::{
    control::protocol::{self, Failure, Installation, RevokedSession},
    home::{Home, HomeError, not_writable},
    installed::{self, VendorKeysError},
    judge,
};

/// The mode of license files: they hold passphrases.
const LICENSE_MODE: u32 = 0o600;

/// Why a license can't be installed or removed. Nothing was changed.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The file is no license, or not one that a trusted vendor signed.
    #[error(transparent)]
    File(#[from] V2cError),
    /// No vendor is trusted here yet.
    #[error(transparent)]
    VendorKeys(#[from] VendorKeysError),
    /// A rule forbids it.
    #[error(transparent)]
    Rule(#[from] UpdateError),
    /// The home can't be written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// There is nothing to remove.
    #[error("license {0} is not installed; `licensectl licenses` lists those that are")]
    NotInstalled(LicenseId),
}

impl InstallError {
    /// The exit code for a tool that fails with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::File(V2cError::UntrustedSigner { .. }) | Self::Rule(_) => 77,
            Self::File(_) | Self::NotInstalled(_) => 65,
            Self::VendorKeys(_) => 78,
            Self::Home(_) => 73,
        }
    }

    /// The reason code, where a rule refused that has one.
    pub fn reason(&self) -> Option<ReasonCode> {
        match self {
            Self::File(V2cError::UntrustedSigner { .. }) => Some(ReasonCode::LicenseNotAvailable),
            Self::Rule(error) => error.reason(),
            _ => None,
        }
    }
}

impl From<&InstallError> for Failure {
    fn from(error: &InstallError) -> Self {
        let reason = error.reason();
        let message = match reason {
            Some(code) if !error.to_string().starts_with(code.as_str()) => {
                sentence(format!("{code}: {error}"))
            }
            Some(_) => error.to_string(),
            None => sentence(error),
        };
        Self { exit_code: error.exit_code(), reason, message }
    }
}

/// A license that may be installed, and what that would change. It holds the file's text, passphrases
/// included, so it has no `Debug`.
pub struct Plan {
    v2c: V2c,
    step: Step,
    changes: Vec<Change>,
    standing: Result<(), Refusal>,
}

/// Checks a license file against the home's vendor keys, the rules for updates and this machine.
/// `seen` is the highest version of each license that the ledger knows of. Changes nothing.
pub fn plan(
    home: &Home,
    text: &str,
    seen: &BTreeMap<LicenseId, u32>,
    machine: &Machine,
    server_key: ServerKey,
) -> Result<Plan, InstallError> {
    let v2c = v2c::verify(text, &installed::load_vendor_keys(home)?)?;
    let remembered = Remembered { versions: seen.clone(), ..Remembered::default() };
    let standing = judge::standing(&v2c.license, server_key, machine, remembered, clock::now());
    let loaded = installed::load(home);
    let installed: Vec<&License> = loaded.trusted.iter().map(|license| &**license).collect();
    let site = Site {
        installed: &installed,
        seen_version: seen.get(&v2c.license.id).copied(),
        standing: &standing,
    };
    let step = update::check(&v2c.license, &site)?;
    let before = installed.iter().find(|license| license.id == v2c.license.id);
    let changes = update::changes(before.copied(), &v2c.license);
    Ok(Plan { v2c, step, changes, standing })
}

impl Plan {
    /// The license.
    pub fn license(&self) -> &License {
        &self.v2c.license
    }

    /// Whether the very same license is installed, so that there is nothing to do.
    pub fn is_installed_already(&self) -> bool {
        self.step == Step::Nothing
    }

    /// Installs the license, durably. What was there before is kept as `<ID>.v2c.<version>`; the new
    /// file takes its place in one step, the last one.
    pub fn write(&self, home: &Home) -> Result<(), InstallError> {
        if self.is_installed_already() {
            return Ok(());
        }
        home.create()?;
        keep(home, &self.license().id)?;
        let path = home.license_file(&self.license().id);
        let text = format!("{}\n", self.v2c.text);
        files::write_replacing(&path, text.as_bytes(), LICENSE_MODE)
            .map_err(|error| not_writable(&path, error).into())
    }

    /// What installing does or would do, for the administrator. `preview` is what becomes of the
    /// sessions, where a server runs.
    pub fn report(&self, preview: Option<Preview>, installed: bool) -> Installation {
        let (kept, revoked) = preview.map(|preview| (preview.kept, preview.revoked)).unzip();
        let revoked = revoked.unwrap_or_default().into_iter();
        Installation {
            id: self.license().id.clone(),
            from_version: match self.step {
                Step::New => None,
                Step::Update { from_version } => Some(from_version),
                Step::Nothing => Some(self.license().version),
            },
            to_version: self.license().version,
            installed: installed && !self.is_installed_already(),
            changes: self.changes.iter().map(protocol_change).collect(),
            status: match &self.standing {
                Ok(()) => "valid".to_string(),
                Err(refusal) => refusal.to_string(),
            },
            hosts_served: None,
            hosts_kept: None,
            sessions_kept: kept,
            sessions_revoked: revoked.map(|(id, refusal)| RevokedSession { id, refusal }).collect(),
        }
    }
}

fn protocol_change(change: &Change) -> protocol::Change {
    let Change { field, before, after } = change.clone();
    protocol::Change { field, before, after }
}

/// Removes an installed license: its file is kept as `<ID>.v2c.<version>`, its marks stay in the
/// ledger.
pub fn remove(home: &Home, id: &LicenseId) -> Result<(), InstallError> {
    let path = home.license_file(id);
    if !keep(home, id)? {
        return Err(InstallError::NotInstalled(id.clone()));
    }
    let removed = fs::remove_file(&path).and_then(|()| File::open(home.licenses())?.sync_all());
    removed.map_err(|error| not_writable(&path, error).into())
}

/// Keeps a copy of an installed license under the name of its version, whatever it is worth; says
/// whether there was one.
fn keep(home: &Home, id: &LicenseId) -> Result<bool, InstallError> {
    let path = home.license_file(id);
    let failed = |error| not_writable(&path, error);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(failed)?,
    };
    let bytes = match files::read_limited(&path, files::MAX_DOCUMENT_BYTES) {
        Ok(bytes) => bytes,
        Err(ReadError::Io { source, .. }) => return Err(failed(source).into()),
        // More than a document's length is none, and not worth keeping.
        Err(_) => return Ok(true),
    };
    let version = std::str::from_utf8(&bytes).ok().and_then(|text| v2c::read_unverified(text).ok());
    let earlier = match version {
        Some(v2c) => home.earlier_license_file(id, v2c.license.version),
        None => home.licenses().join(format!("{id}.v2c.unreadable")),
    };
    files::write_replacing(&earlier, &bytes, LICENSE_MODE).map_err(failed)?;
    Ok(true)
}
