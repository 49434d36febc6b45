//! Exit codes, the same for every command of the system.

use ve_documents::{
    files::ReadError,
    key_files::{LoadKeyError, PassphraseError, PublicKeysError, SaveKeyError},
};

/// Everything is fine.
pub const FINE: u8 = 0;
/// Wrong usage.
pub const USAGE: u8 = 64;
/// A bad input file.
pub const BAD_INPUT: u8 = 65;
/// An internal error.
pub const INTERNAL: u8 = 70;
/// Something can't be written.
pub const CANT_WRITE: u8 = 73;
/// Refused: no permission.
pub const REFUSED: u8 = 77;

/// The code for a file that can't be read.
pub fn for_read(error: &ReadError) -> u8 {
    if error.is_permission_denied() { REFUSED } else { BAD_INPUT }
}

/// The code for a private key that can't be loaded.
pub fn for_key(error: &LoadKeyError) -> u8 {
    match error {
        LoadKeyError::Missing { .. } | LoadKeyError::NotAKey { .. } => BAD_INPUT,
        LoadKeyError::Read(error) => for_read(error),
        LoadKeyError::Permissions { .. } | LoadKeyError::WrongPassphrase { .. } => REFUSED,
        LoadKeyError::PassphraseNeeded { .. } => USAGE,
    }
}

/// The code for a passphrase that can't be read.
pub fn for_passphrase(error: &PassphraseError) -> u8 {
    match error {
        PassphraseError::Read(error) => for_read(error),
        PassphraseError::Empty { .. } => BAD_INPUT,
    }
}

/// The code for public keys that can't be loaded.
pub fn for_public_keys(error: &PublicKeysError) -> u8 {
    match error {
        PublicKeysError::Read(error) => for_read(error),
        PublicKeysError::NotKeys { .. } => BAD_INPUT,
    }
}

/// The code for a key that can't be saved.
pub fn for_save(error: &SaveKeyError) -> u8 {
    match error {
        SaveKeyError::Exists { .. } | SaveKeyError::Io { .. } => CANT_WRITE,
    }
}
