//! Private keys under a passphrase: PKCS#8 with PBES2, scrypt and AES-256-CBC, as openssl reads them.

use std::fmt;

use pkcs8::{
    EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument,
    pkcs5::{
        EncryptionScheme,
        pbes2::{self, Kdf, ScryptParams},
    },
};
use zeroize::Zeroizing;

/// scrypt's cost: 16 MiB and about 0.2 s. openssl refuses to spend more than 32 MiB.
const SCRYPT_COST: u64 = 1 << 14;
const SCRYPT_BLOCK_SIZE: u16 = 8;
const SCRYPT_PARALLELIZATION: u16 = 5;

/// The most memory that a key file may make us spend, in bytes (256 MiB).
const MAX_SCRYPT_BYTES: u64 = 1 << 28;
/// The most passes over that memory.
const MAX_SCRYPT_PARALLELIZATION: u16 = 64;
/// The most rounds of PBKDF2, which other tools use.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// The passphrase of a private key; wiped when dropped, never printed.
pub struct KeyPassphrase(Zeroizing<String>);

impl KeyPassphrase {
    /// Takes a passphrase; `None` when it is empty.
    pub fn new(secret: Zeroizing<String>) -> Option<Self> {
        if secret.is_empty() { None } else { Some(Self(secret)) }
    }
}

impl fmt::Debug for KeyPassphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPassphrase(..)")
    }
}

/// The DER of a PKCS#8 key, encrypted under `passphrase` with a new salt.
pub(crate) fn encrypt(der: &[u8], passphrase: &KeyPassphrase) -> SecretDocument {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    for random in [&mut salt, &mut iv] {
        aws_lc_rs::rand::fill(random).expect("the operating system gives random bytes");
    }
    let kdf = Kdf::Scrypt(ScryptParams {
        salt: pbes2::Salt::new(salt).expect("a salt of 16 bytes is allowed"),
        cost_parameter: SCRYPT_COST,
        block_size: SCRYPT_BLOCK_SIZE,
        parallelization: SCRYPT_PARALLELIZATION,
        key_length: None,
    });
    let parameters =
        pbes2::Parameters { kdf, encryption: pbes2::EncryptionScheme::Aes256Cbc { iv } };
    let key = PrivateKeyInfoRef::try_from(der).expect("the DER of a key is PKCS#8");
    key.encrypt_with_params(parameters, passphrase.0.as_bytes())
        .expect("these parameters are valid")
}

/// Why an encrypted key stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecryptError {
    /// The bytes are no encrypted key, or are encrypted in a way that is not supported.
    Unsupported,
    /// The passphrase is another.
    WrongPassphrase,
}

/// The DER of the PKCS#8 key inside an encrypted one.
pub(crate) fn decrypt(
    der: &[u8],
    passphrase: &KeyPassphrase,
) -> Result<SecretDocument, DecryptError> {
    let encrypted =
        EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| DecryptError::Unsupported)?;
    if !is_affordable(&encrypted.encryption_algorithm) {
        return Err(DecryptError::Unsupported);
    }
    encrypted.decrypt(passphrase.0.as_bytes()).map_err(|_| DecryptError::WrongPassphrase)
}

/// Whether a key file asks for an amount of work that an honest one could ask for.
fn is_affordable(scheme: &EncryptionScheme) -> bool {
    let EncryptionScheme::Pbes2(parameters) = scheme else { return false };
    match &parameters.kdf {
        Kdf::Scrypt(scrypt) => {
            let block_bytes = 128 * u64::from(scrypt.block_size);
            scrypt.cost_parameter.saturating_mul(block_bytes) <= MAX_SCRYPT_BYTES
                && scrypt.parallelization <= MAX_SCRYPT_PARALLELIZATION
        }
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ROUNDS,
        _ => false,
    }
}
