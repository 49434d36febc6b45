//! The certificates of cloud providers, which the administrator puts into a folder.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaParameters, UnparsedPublicKey,
};
use pkcs8::{
    der::{AnyRef, Decode, Reader, Tag, pem::decode_vec},
    spki::SubjectPublicKeyInfoRef,
};
use thiserror::Error;

use crate::{
    files::{self, ReadError},
    key_files::pem_blocks,
    keys::BadSignature,
};

/// The most certificates that are taken from one folder.
pub const MAX_CERTIFICATES: usize = 64;

/// The largest file of certificates that is read, in bytes.
pub const MAX_CERTIFICATE_FILE_BYTES: usize = 64 * 1024;

/// The ending of files with certificates.
const EXTENSION: &str = "pem";

/// A provider's certificate: the RSA key in it, and nothing else.
///
/// Who issued it, for whom and until when is not judged: the administrator vouches for it by putting it
/// into the folder. Providers sign these themselves, and theirs run for decades.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The DER of an `RSAPublicKey` (RFC 8017).
    key: Vec<u8>,
}

/// Why a text is no certificate that a document can be checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// No certificate at all.
    #[error("is no part of an X.509 certificate in PEM")]
    NotACertificate,
    /// A certificate for another kind of key.
    #[error(
        "is a certificate without an RSA key of 1024 to 8192 bits; take the provider's certificate \
         for RSA signatures"
    )]
    NotRsa,
}

impl Certificate {
    /// Takes a certificate from its DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let key = public_key(der).ok_or(CertificateError::NotACertificate)?;
        let key = key.subject_public_key.as_bytes().ok_or(CertificateError::NotRsa)?;
        let bits = RsaParameters::public_modulus_len(key).map_err(|_| CertificateError::NotRsa)?;
        // The bounds of the check below, told at the start rather than at a host's login.
        if !(1_024..=8_192).contains(&bits) {
            return Err(CertificateError::NotRsa);
        }
        Ok(Self { key: key.to_vec() })
    }

    /// Checks an RSA signature (PKCS #1 v1.5 with SHA-256). Keys from 1024 bits are taken, for that is
    /// what Amazon publishes for some regions.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &self.key)
            .verify(message, signature)
            .map_err(|_| BadSignature)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

/// The key in a certificate (RFC 5280, section 4.1). Version 1 is taken as well: a provider's old
/// certificate may be of that version.
fn public_key(certificate: &[u8]) -> Option<SubjectPublicKeyInfoRef<'_>> {
    let certificate = AnyRef::from_der(certificate).ok()?;
    certificate
        .sequence(|outer| {
            let key = outer.sequence(|to_be_signed| {
                if Tag::peek(to_be_signed)?.is_context_specific() {
                    to_be_signed.tlv_bytes()?; // version
                }
                for _field in ["serial number", "algorithm", "issuer", "validity", "subject"] {
                    to_be_signed.tlv_bytes()?;
                }
                let key = to_be_signed.decode()?;
                while !to_be_signed.is_finished() {
                    to_be_signed.tlv_bytes()?; // unique identifiers, extensions
                }
                Ok::<_, pkcs8::der::Error>(key)
            })?;
            outer.tlv_bytes()?; // algorithm
            outer.tlv_bytes()?; // signature
            Ok::<_, pkcs8::der::Error>(key)
        })
        .ok()
}

/// Why the certificates of a folder could not be loaded; each names the file.
#[derive(Debug, Error)]
pub enum CertificatesError {
    /// The folder can't be listed.
    #[error("the folder {} can't be read: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file holds something else.
    #[error("{}: what begins in line {line} {problem}", path.display())]
    NotCertificates {
        /// The file.
        path: PathBuf,
        /// Where the wrong part begins, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: CertificateError,
    },
    /// A file without any.
    #[error("{} holds no certificate (PEM, CERTIFICATE)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// More than [`MAX_CERTIFICATES`] in all files.
    #[error(
        "with {} there are more than {MAX_CERTIFICATES} certificates; keep those of the regions \
         where emulator hosts run", path.display()
    )]
    TooMany {
        /// The file with the first that is too many.
        path: PathBuf,
    },
}

/// Loads the certificates of all `*.pem` files in a folder, in the order of their names; none if there
/// is no such folder.
pub fn load_certificates(folder: &Path) -> Result<Vec<Certificate>, CertificatesError> {
    let mut certificates = Vec::new();
    for path in pem_files(folder)? {
        let text = files::read_text(&path, MAX_CERTIFICATE_FILE_BYTES)?;
        let before = certificates.len();
        for (line, block) in pem_blocks(&text) {
            let certificate = parse_block(&block).map_err(|problem| {
                CertificatesError::NotCertificates { path: path.clone(), line, problem }
            })?;
            if certificates.len() == MAX_CERTIFICATES {
                return Err(CertificatesError::TooMany { path });
            }
            certificates.push(certificate);
        }
        if certificates.len() == before {
            return Err(CertificatesError::Empty { path });
        }
    }
    Ok(certificates)
}

/// The regular files among `*.pem`; a pipe or a device could block the reader for ever.
fn pem_files(folder: &Path) -> Result<Vec<PathBuf>, CertificatesError> {
    let failed = |source| CertificatesError::Folder { path: folder.to_path_buf(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) && path.is_file() {
            files.push(path);
            if files.len() > MAX_CERTIFICATES {
                return Err(CertificatesError::TooMany { path: files.swap_remove(0) });
            }
        }
    }
    files.sort();
    Ok(files)
}

fn parse_block(block: &str) -> Result<Certificate, CertificateError> {
    let not_one = CertificateError::NotACertificate;
    if !block.starts_with("-----BEGIN") {
        return Err(not_one);
    }
    let (label, der) = decode_vec(block.as_bytes()).map_err(|_| not_one)?;
    if label == "CERTIFICATE" { Certificate::from_der(&der) } else { Err(not_one) }
}
