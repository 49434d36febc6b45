//! `keygen`: a vendor's new key pair.

use std::{
    fs::{self, DirBuilder},
    io,
    io::Write,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use thiserror::Error;
use ve_documents::{
    key_files::{self, PassphraseError, SaveKeyError},
    keys::{KeyId, SigningKey},
};

use crate::{cli::Failure, exit};

/// What `keygen` is asked for.
#[derive(Debug)]
pub struct Keygen {
    /// The folder for both files; made, for its owner only, if it does not exist.
    pub out: PathBuf,
    /// Where the passphrase stands, if the private key is to be encrypted.
    pub passphrase_file: Option<PathBuf>,
}

impl Keygen {
    fn private_path(&self) -> PathBuf {
        self.out.join("vendor.key")
    }

    fn public_path(&self) -> PathBuf {
        self.out.join("vendor.pub")
    }
}

/// Why no key was made; what was there before is untouched.
#[derive(Debug, Error)]
pub enum KeygenError {
    /// The passphrase can't be read.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The folder can't be made.
    #[error("the folder {} can't be made: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A key file can't be written, or exists.
    #[error(transparent)]
    Save(#[from] SaveKeyError),
}

impl KeygenError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Passphrase(error) => exit::for_passphrase(error),
            Self::Folder { .. } => exit::CANT_WRITE,
            Self::Save(error) => exit::for_save(error),
        }
    }
}

pub(crate) fn command(keygen: &Keygen, stdout: &mut dyn Write) -> Result<(), Failure> {
    let kid = make(keygen)
        .map_err(|error| Failure { code: error.exit_code(), message: error.to_string() })?;
    writeln!(stdout, "Vendor key ID: {kid}")?;
    let private = keygen.private_path();
    writeln!(stdout, "Private key:   {} (keep it secret, and keep a copy)", private.display())?;
    let public = keygen.public_path();
    writeln!(stdout, "Public key:    {} (give it to every customer)", public.display())?;
    Ok(())
}

/// Makes a key pair and writes `vendor.key` (0600) and `vendor.pub`; gives the key's ID. Neither file
/// may exist.
pub fn make(keygen: &Keygen) -> Result<KeyId, KeygenError> {
    let passphrase =
        keygen.passphrase_file.as_deref().map(key_files::read_passphrase).transpose()?;
    let folder = |source| KeygenError::Folder { path: keygen.out.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&keygen.out).map_err(folder)?;
    // Looked at before either is written, so that no half of a pair is left beside an old half.
    for path in [keygen.private_path(), keygen.public_path()] {
        if exists(&path) {
            return Err(SaveKeyError::Exists { path }.into());
        }
    }
    let key = SigningKey::generate();
    key_files::save(&keygen.private_path(), &key, passphrase.as_ref())?;
    let public = key.verifying_key();
    key_files::save_public(&keygen.public_path(), std::slice::from_ref(&public))?;
    Ok(public.kid().clone())
}

/// Whether there is anything at `path`, a dangling link included.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
