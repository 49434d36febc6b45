//! Key files: `identity.key`, `vendor.key` and `vendor.pub`, all PEM.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use pkcs8::{
    LineEnding, SecretDocument,
    der::pem::{decode_vec, encode_string},
};
use thiserror::Error;
use zeroize::Zeroizing;

pub use crate::key_encryption::KeyPassphrase;
use crate::{
    files::{self, ReadError},
    key_encryption::{self, DecryptError},
    keys::{SigningKey, VerifyingKey},
};

/// The most public keys of one `vendor.pub`.
pub const MAX_VENDOR_KEYS: usize = 16;

/// The largest key file that is read, in bytes.
const MAX_KEY_FILE_BYTES: usize = 64 * 1024;

const PRIVATE_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";

/// Why a private key could not be loaded.
#[derive(Debug, Error)]
pub enum LoadKeyError {
    /// There is no such file.
    #[error("there is no key file {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Others could have read the key, so it is no secret any more.
    #[error(
        "the private key {} can be read or changed by other users (mode {mode:04o}); if none of \
         them is likely to have a copy, run: chmod 600 {}", path.display(), path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no such key.
    #[error("{} is not an Ed25519 private key in PEM (PKCS#8)", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted, and no passphrase was given.
    #[error("the private key {} is encrypted; give its passphrase with --passphrase-file", path.display())]
    PassphraseNeeded {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is another.
    #[error("the passphrase does not open the private key {}", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
}

/// Loads a private key, with its passphrase when it is encrypted. A file that other users can read
/// or change is refused.
pub fn load(path: &Path, passphrase: Option<&KeyPassphrase>) -> Result<SigningKey, LoadKeyError> {
    let pem = read_private(path)?;
    let named = || path.to_path_buf();
    let not_a_key = || LoadKeyError::NotAKey { path: named() };
    let (label, document) = SecretDocument::from_pem(&pem).map_err(|_| not_a_key())?;
    let document = match (label, passphrase) {
        (PRIVATE_LABEL, _) => document,
        (ENCRYPTED_LABEL, None) => return Err(LoadKeyError::PassphraseNeeded { path: named() }),
        (ENCRYPTED_LABEL, Some(passphrase)) => key_encryption::decrypt(
            document.as_bytes(),
            passphrase,
        )
        .map_err(|error| match error {
            DecryptError::Unsupported => not_a_key(),
            DecryptError::WrongPassphrase => LoadKeyError::WrongPassphrase { path: named() },
        })?,
        _ => return Err(not_a_key()),
    };
    SigningKey::from_pkcs8_der(document.as_bytes()).map_err(|_| not_a_key())
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, LoadKeyError> {
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LoadKeyError::Missing { path: path.to_path_buf() },
        _ => ReadError::Io { path: path.to_path_buf(), source }.into(),
    })?;
    let mode = files::permission_bits(&file)
        .map_err(|source| ReadError::Io { path: path.to_path_buf(), source })?;
    if mode & 0o077 != 0 {
        return Err(LoadKeyError::Permissions { path: path.to_path_buf(), mode });
    }
    let bytes = files::read_open_file(&file, path, MAX_KEY_FILE_BYTES)?;
    into_secret_text(bytes).ok_or_else(|| LoadKeyError::NotAKey { path: path.to_path_buf() })
}

/// The bytes as text that is wiped when dropped; bytes that are no text are wiped at once.
fn into_secret_text(bytes: Vec<u8>) -> Option<Zeroizing<String>> {
    match String::from_utf8(bytes) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            None
        }
    }
}

/// Reads a passphrase from a file: its text without one newline at the end.
pub fn read_passphrase(path: &Path) -> Result<KeyPassphrase, PassphraseError> {
    let bytes = files::read_limited(path, MAX_PASSPHRASE_BYTES)?;
    let mut text =
        into_secret_text(bytes).ok_or_else(|| ReadError::NotText { path: path.to_path_buf() })?;
    for newline in ['\n', '\r'] {
        if text.ends_with(newline) {
            text.pop();
        }
    }
    KeyPassphrase::new(text).ok_or_else(|| PassphraseError::Empty { path: path.to_path_buf() })
}

/// The longest passphrase file, in bytes.
const MAX_PASSPHRASE_BYTES: usize = 4096;

/// Why a passphrase could not be read.
#[derive(Debug, Error)]
pub enum PassphraseError {
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An empty passphrase protects nothing.
    #[error("the passphrase file {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Why a key file could not be written.
#[derive(Debug, Error)]
pub enum SaveKeyError {
    /// A key is never replaced.
    #[error("{} exists already and is left as it is; a key is never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} can't be written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Writes a private key as a new file that only its owner can read (0600), durably; encrypted when
/// there is a passphrase. An existing file is left as it is.
pub fn save(
    path: &Path,
    key: &SigningKey,
    passphrase: Option<&KeyPassphrase>,
) -> Result<(), SaveKeyError> {
    let der = key.pkcs8_der();
    let (label, document) = match passphrase {
        Some(passphrase) => (ENCRYPTED_LABEL, key_encryption::encrypt(&der, passphrase)),
        None => (PRIVATE_LABEL, plain_document(&der)),
    };
    let pem = document.to_pem(label, LineEnding::LF).expect("a key fits into PEM");
    write_key_file(path, pem.as_bytes(), 0o600)
}

fn plain_document(der: &[u8]) -> SecretDocument {
    let key = pkcs8::PrivateKeyInfoRef::try_from(der).expect("the DER of a key is PKCS#8");
    SecretDocument::encode_msg(&key).expect("what was decoded can be encoded")
}

/// Writes public keys as a new PEM file, durably. An existing file is left as it is.
pub fn save_public(path: &Path, keys: &[VerifyingKey]) -> Result<(), SaveKeyError> {
    write_key_file(path, public_pem(keys).as_bytes(), 0o644)
}

/// Public keys as PEM, one after the other.
pub fn public_pem(keys: &[VerifyingKey]) -> String {
    let pem = |key: &VerifyingKey| {
        encode_string(PUBLIC_LABEL, LineEnding::LF, &key.spki_der()).expect("a key fits into PEM")
    };
    keys.iter().map(pem).collect()
}

fn write_key_file(path: &Path, pem: &[u8], mode: u32) -> Result<(), SaveKeyError> {
    files::write_new(path, pem, mode).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => SaveKeyError::Exists { path: path.to_path_buf() },
        _ => SaveKeyError::Io { path: path.to_path_buf(), source },
    })
}

/// Why a host's own key could neither be loaded nor made.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// There is a key, but it can't be used.
    #[error(transparent)]
    Load(#[from] LoadKeyError),
    /// There is no key, and none could be written.
    #[error(transparent)]
    Save(#[from] SaveKeyError),
}

/// Loads a host's own key, or makes one when there is none. Of several that start at once one makes
/// the key and all get it.
pub fn load_or_create(path: &Path) -> Result<SigningKey, IdentityError> {
    match load(path, None) {
        Err(LoadKeyError::Missing { .. }) => {}
        loaded => return Ok(loaded?),
    }
    let key = SigningKey::generate();
    match save(path, &key, None) {
        Ok(()) => Ok(key),
        Err(SaveKeyError::Exists { .. }) => Ok(load(path, None)?),
        Err(error) => Err(error.into()),
    }
}

/// Why a file of vendor keys could not be loaded.
#[derive(Debug, Error)]
pub enum PublicKeysError {
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It holds something else.
    #[error("{}: {problem}", path.display())]
    NotKeys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: PublicPemError,
    },
}

/// What is wrong with a PEM text of public keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PublicPemError {
    /// No PEM block of a public key.
    #[error("holds no public key (PEM, PUBLIC KEY)")]
    Empty,
    /// More than [`MAX_VENDOR_KEYS`].
    #[error("holds more than {MAX_VENDOR_KEYS} public keys")]
    TooMany,
    /// Something that is no Ed25519 public key in PEM.
    #[error("line {line} is no part of an Ed25519 public key in PEM")]
    Line {
        /// The line where the wrong part begins, counted from 1.
        line: usize,
    },
    /// One key twice.
    #[error("the key that begins in line {line} is given twice")]
    Twice {
        /// The line where the second begins.
        line: usize,
    },
}

/// Loads the public keys of a file such as `vendor.pub`: 1 to [`MAX_VENDOR_KEYS`].
pub fn load_public(path: &Path) -> Result<Vec<VerifyingKey>, PublicKeysError> {
    let text = files::read_text(path, MAX_KEY_FILE_BYTES)?;
    parse_public(&text)
        .map_err(|problem| PublicKeysError::NotKeys { path: path.to_path_buf(), problem })
}

/// Parses public keys, PEM, one after the other. Blank lines and lines that begin with `#` may stand
/// between them.
pub fn parse_public(text: &str) -> Result<Vec<VerifyingKey>, PublicPemError> {
    let mut keys: Vec<VerifyingKey> = Vec::new();
    for (line, block) in pem_blocks(text) {
        let key = parse_public_block(&block).ok_or(PublicPemError::Line { line })?;
        if keys.contains(&key) {
            return Err(PublicPemError::Twice { line });
        }
        if keys.len() == MAX_VENDOR_KEYS {
            return Err(PublicPemError::TooMany);
        }
        keys.push(key);
    }
    if keys.is_empty() { Err(PublicPemError::Empty) } else { Ok(keys) }
}

/// The blocks of a PEM text, each with the line where it begins, counted from 1. What stands between
/// two blocks and is neither blank nor begins with `#` comes out as a block that is no PEM.
pub(crate) fn pem_blocks(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let is_idle = |line: &str| line.trim().is_empty() || line.starts_with('#');
        let (at, first) = lines.by_ref().find(|(_, line)| !is_idle(line))?;
        let mut block = format!("{}\n", first.trim_end());
        for (_, line) in lines.by_ref() {
            block.push_str(line.trim_end());
            block.push('\n');
            if line.starts_with("-----END") {
                break;
            }
        }
        Some((at + 1, block))
    })
}

fn parse_public_block(block: &str) -> Option<VerifyingKey> {
    if !block.starts_with("-----BEGIN") {
        return None;
    }
    let (label, der) = decode_vec(block.as_bytes()).ok()?;
    (label == PUBLIC_LABEL).then(|| VerifyingKey::from_spki_der(&der).ok()).flatten()
}
