//! `issue`: from a C2V and a license file to a signed V2C.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use thiserror::Error;
use ve_core::{license::License, time::Utc};
use ve_documents::{
    c2v::{self, C2v, C2vError},
    files::{self, ReadError},
    key_files::{self, LoadKeyError, PassphraseError},
    keys::{KeyId, SigningKey},
    v2c::{self, SignError},
};

use crate::{
    cli::Failure,
    exit,
    license_file::{LicenseFile, LicenseFileError},
    warnings::warnings,
};

/// What `issue` is asked for.
#[derive(Debug)]
pub struct Issue {
    /// The vendor's private key.
    pub key: PathBuf,
    /// Where its passphrase stands, if it has one.
    pub passphrase_file: Option<PathBuf>,
    /// The customer's fingerprint file.
    pub c2v: PathBuf,
    /// What to license.
    pub license: PathBuf,
    /// The V2C to write.
    pub out: PathBuf,
}

/// A license that was signed and written.
#[derive(Debug)]
pub struct Issued {
    /// The license.
    pub license: License,
    /// The key that signed it.
    pub kid: KeyId,
    /// What the vendor should look at twice.
    pub warnings: Vec<String>,
}

/// Why no license was written; an existing file is untouched.
#[derive(Debug, Error)]
pub enum IssueError {
    /// The output would replace one of the inputs.
    #[error("--out names the same file as an input ({}); nothing was written", path.display())]
    OutIsInput {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase can't be read.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The vendor's key can't be loaded.
    #[error(transparent)]
    Key(#[from] LoadKeyError),
    /// The C2V can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The C2V is not accepted: it was damaged, or is none.
    #[error("{}: {problem}", path.display())]
    C2v {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: C2vError,
    },
    /// The license file is wrong.
    #[error("{}: {problem}", path.display())]
    LicenseFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: LicenseFileError,
    },
    /// The license can't be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The V2C can't be written.
    #[error("{} can't be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl IssueError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::OutIsInput { .. } => exit::USAGE,
            Self::Passphrase(error) => exit::for_passphrase(error),
            Self::Key(error) => exit::for_key(error),
            Self::Read(error)
            | Self::LicenseFile { problem: LicenseFileError::Read(error), .. } => {
                exit::for_read(error)
            }
            Self::Sign(SignError::Fingerprint) => exit::INTERNAL,
            Self::C2v { .. } | Self::LicenseFile { .. } | Self::Sign(_) => exit::BAD_INPUT,
            Self::Write { .. } => exit::CANT_WRITE,
        }
    }
}

pub(crate) fn command(
    issue: &Issue,
    now: Utc,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<(), Failure> {
    let issued = sign(issue, now)
        .map_err(|error| Failure { code: error.exit_code(), message: error.to_string() })?;
    for warning in &issued.warnings {
        writeln!(stderr, "license_issuer: warning: {warning}")?;
    }
    let License { id, version, customer, .. } = &issued.license;
    writeln!(stdout, "License {id}, version {version}, for {customer}: {}", issue.out.display())?;
    writeln!(stdout, "Signed with vendor key {}", issued.kid)?;
    Ok(())
}

/// Signs the license that is asked for, as released at `now`, and writes it, all or nothing.
pub fn sign(issue: &Issue, now: Utc) -> Result<Issued, IssueError> {
    refuse_input_as_output(issue)?;
    let key = load_key(issue)?;
    let c2v = load_c2v(&issue.c2v)?;
    let license =
        LicenseFile::load(&issue.license)
            .and_then(|file| file.into_license(&c2v, now))
            .map_err(|problem| IssueError::LicenseFile { path: issue.license.clone(), problem })?;
    let text = v2c::sign(&license, &key)? + "\n";
    files::write_replacing(&issue.out, text.as_bytes(), 0o644)
        .map_err(|source| IssueError::Write { path: issue.out.clone(), source })?;
    let kid = key.verifying_key().kid().clone();
    let warnings = warnings(&license, &c2v, &kid);
    Ok(Issued { license, kid, warnings })
}

fn load_key(issue: &Issue) -> Result<SigningKey, IssueError> {
    let passphrase =
        issue.passphrase_file.as_deref().map(key_files::read_passphrase).transpose()?;
    Ok(key_files::load(&issue.key, passphrase.as_ref())?)
}

fn load_c2v(path: &Path) -> Result<C2v, IssueError> {
    let text = files::read_document(path)?;
    c2v::verify(&text).map_err(|problem| IssueError::C2v { path: path.to_path_buf(), problem })
}

/// A slip such as `--out vendor.key` must not destroy the only copy of a key.
fn refuse_input_as_output(issue: &Issue) -> Result<(), IssueError> {
    let identity = |path: &Path| {
        fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|file| (file.dev(), file.ino()))
    };
    let Some(out) = identity(&issue.out) else { return Ok(()) };
    let inputs =
        [Some(&issue.key), issue.passphrase_file.as_ref(), Some(&issue.c2v), Some(&issue.license)];
    match inputs.into_iter().flatten().find(|path| identity(path) == Some(out)) {
        Some(path) => Err(IssueError::OutIsInput { path: path.clone() }),
        None => Ok(()),
    }
}
