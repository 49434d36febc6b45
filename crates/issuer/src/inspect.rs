//! `inspect`: what a C2V or V2C says, and whether its signature holds.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
};

use thiserror::Error;
use ve_core::text::printable;
use ve_documents::{
    c2v::{self, C2v, C2vError},
    files::{self, MAX_DOCUMENT_BYTES, ReadError},
    jws::{self, DocumentType, JwsError},
    key_files::{self, PublicKeysError},
    keys::{KeyId, VerifyingKey},
    v2c::{self, Passphrases, UnverifiedV2c, V2cError},
};

use crate::{cli::Failure, exit, show};

/// What `inspect` is asked for.
#[derive(Debug)]
pub struct Inspect {
    /// The document.
    pub file: PathBuf,
    /// The vendor's public keys; `None`: `vendor.pub` beside the document, in the current folder, or
    /// in a license server's home, if there is one.
    pub vendor_key: Option<PathBuf>,
    /// As JSON.
    pub json: bool,
    /// With passphrases in full.
    pub show_passphrase: bool,
}

/// A document and what is known of its signature.
#[derive(Debug)]
pub struct Inspection {
    /// What it says.
    pub document: Document,
    /// The key that is said to have signed it: the vendor's, or the server's own.
    pub kid: KeyId,
    /// Whether the signature holds.
    pub signature: Signature,
}

/// What a document says; believed only as far as its signature goes.
#[derive(Debug)]
pub enum Document {
    /// A license.
    V2c(Box<UnverifiedV2c>),
    /// A fingerprint file.
    C2v(Box<C2v>),
}

/// What is known of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// It holds, and the signer is known.
    Valid,
    /// There is no public key to check it with.
    Unchecked,
    /// It was not made with any of the given keys.
    UnknownSigner,
    /// It does not hold, or holds for something that no tool of ours would sign.
    Invalid {
        /// Why, in a sentence without its full stop.
        reason: String,
    },
}

impl Signature {
    /// `valid`, `unchecked`, `unknown-signer` or `invalid`.
    pub const fn state(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unchecked => "unchecked",
            Self::UnknownSigner => "unknown-signer",
            Self::Invalid { .. } => "invalid",
        }
    }
}

/// Why a file can't be shown: it can't be read, or it is no document of ours.
#[derive(Debug, Error)]
pub enum InspectError {
    /// The document can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The vendor's public keys can't be loaded.
    #[error(transparent)]
    VendorKey(#[from] PublicKeysError),
    /// It is no signed document.
    #[error("{}: {problem}", path.display())]
    NotADocument {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: JwsError,
    },
    /// A V2C that can't be shown.
    #[error("{}: {problem}", path.display())]
    V2c {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: V2cError,
    },
    /// A C2V that can't be shown.
    #[error("{}: {problem}", path.display())]
    C2v {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: C2vError,
    },
}

impl InspectError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Read(error) => exit::for_read(error),
            Self::VendorKey(error) => exit::for_public_keys(error),
            Self::NotADocument { .. } | Self::V2c { .. } | Self::C2v { .. } => exit::BAD_INPUT,
        }
    }
}

pub(crate) fn command(inspect: &Inspect, stdout: &mut dyn Write) -> Result<(), Failure> {
    let inspection = look(inspect)
        .map_err(|error| Failure { code: error.exit_code(), message: error.to_string() })?;
    let passphrases =
        if inspect.show_passphrase { Passphrases::Revealed } else { Passphrases::Masked };
    let text = if inspect.json {
        show::json(&inspection, passphrases)
    } else {
        show::text(&inspection, passphrases)
    };
    stdout.write_all(text.as_bytes())?;
    let file = printable(&inspect.file.display().to_string(), 200);
    let refused = |what: &str| {
        Err(Failure { code: exit::BAD_INPUT, message: format!("{file}: {what}; do not trust it") })
    };
    match &inspection.signature {
        Signature::Valid | Signature::Unchecked => Ok(()),
        Signature::UnknownSigner => refused("it is not signed with any of the given vendor keys"),
        Signature::Invalid { reason } => refused(reason),
    }
}

/// Reads a document and checks its signature as far as that is possible.
pub fn look(inspect: &Inspect) -> Result<Inspection, InspectError> {
    let path = || inspect.file.clone();
    let text = files::read_document(&inspect.file)?;
    let kind = jws::document_type(&text, MAX_DOCUMENT_BYTES)
        .map_err(|problem| InspectError::NotADocument { path: path(), problem })?;
    match kind {
        DocumentType::C2v => {
            look_at_c2v(&text).map_err(|problem| InspectError::C2v { path: path(), problem })
        }
        // A credential alone is no license, and neither is a receipt; the V2C reader says so.
        DocumentType::V2c | DocumentType::Credential | DocumentType::Receipt => {
            let keys = vendor_keys(inspect)?;
            look_at_v2c(&text, keys.as_deref())
                .map_err(|problem| InspectError::V2c { path: path(), problem })
        }
    }
}

fn look_at_c2v(text: &str) -> Result<Inspection, C2vError> {
    let c2v = c2v::read_unverified(text)?;
    let signature = match c2v::verify(text) {
        Ok(_) => Signature::Valid,
        Err(error) => Signature::Invalid { reason: error.to_string() },
    };
    let kid = KeyId::of(&c2v.server_key);
    Ok(Inspection { document: Document::C2v(Box::new(c2v)), kid, signature })
}

fn look_at_v2c(text: &str, keys: Option<&[VerifyingKey]>) -> Result<Inspection, V2cError> {
    let claimed = v2c::read_unverified(text)?;
    let signature = match keys.map(|keys| v2c::verify(text, keys)) {
        None => Signature::Unchecked,
        Some(Ok(_)) => Signature::Valid,
        Some(Err(V2cError::UntrustedSigner { .. })) => Signature::UnknownSigner,
        Some(Err(error)) => Signature::Invalid { reason: error.to_string() },
    };
    let kid = claimed.kid.clone();
    Ok(Inspection { document: Document::V2c(Box::new(claimed)), kid, signature })
}

/// The keys that are named, else those in the first `vendor.pub` that is found, else none.
fn vendor_keys(inspect: &Inspect) -> Result<Option<Vec<VerifyingKey>>, PublicKeysError> {
    if let Some(path) = &inspect.vendor_key {
        return key_files::load_public(path).map(Some);
    }
    let found = likely_keys(&inspect.file).into_iter().find(|path| path.is_file());
    found.map(|path| key_files::load_public(&path)).transpose()
}

/// Where a `vendor.pub` may be: beside the document, here, or in a license server's home.
fn likely_keys(document: &Path) -> Vec<PathBuf> {
    let home = env::var_os("VE_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let folders = [
        Some(document.parent().unwrap_or(Path::new("")).to_owned()),
        Some(PathBuf::new()),
        home,
        Some(PathBuf::from("/opt/license-server")),
    ];
    folders.into_iter().flatten().map(|folder| folder.join("vendor.pub")).collect()
}
