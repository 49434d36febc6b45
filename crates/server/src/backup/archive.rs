//! The file: a plain tar, so that anyone can look into it with any tar, years from now.
//!
//! It is read as if a stranger had made it. Only plain files with the very names, lengths and digests
//! of the list at its beginning are taken; nothing else that a tar can hold (links, devices, long
//! names, holes) has a meaning here.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use tar::{Archive, Builder, Entry, EntryType, Header};
use thiserror::Error;
use ve_core::{text::printable, time::Utc};

use super::manifest::{File, MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest, Part};

/// The mode of every file: there are secrets among them.
const FILE_MODE: u32 = 0o600;

/// How many bytes of padding may stand at the end.
const MAX_PADDING_BYTES: u64 = 1 << 20;

/// The longest part of what a backup says of itself that a message repeats, in characters.
const MAX_QUOTED: usize = 100;

/// Why a backup can't be read.
#[derive(Debug, Error)]
pub enum ReadBackupError {
    /// It is none, or not what it was.
    #[error("{0}; it is damaged, or no backup of a license server")]
    Bad(String),
    /// What was read can't be put down.
    #[error("{0}")]
    Sink(io::Error),
}

fn bad(why: impl Into<String>) -> ReadBackupError {
    ReadBackupError::Bad(why.into())
}

/// The SHA-256 of what is read or written through it, and its length.
pub struct Digesting<T> {
    inner: T,
    context: Context,
    bytes: u64,
}

impl<T> Digesting<T> {
    /// Begins.
    pub fn new(inner: T) -> Self {
        Self { inner, context: Context::new(&SHA256), bytes: 0 }
    }

    /// The length in bytes, and the digest in hexadecimal.
    pub fn finish(self) -> (u64, String) {
        (self.bytes, HEXLOWER.encode(self.context.finish().as_ref()))
    }

    fn take(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<T: Read> Read for Digesting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.take(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// The line of the list for a file with this content.
pub fn describe(name: &str, content: impl Read) -> io::Result<File> {
    let mut content = Digesting::new(content);
    io::copy(&mut content, &mut io::sink())?;
    let (bytes, sha256) = content.finish();
    Ok(File { name: name.to_string(), bytes, sha256 })
}

/// Writes a backup: the list, and then the content of each of its files.
pub fn write<R: Read>(
    out: impl Write,
    manifest: &Manifest,
    mut content: impl FnMut(&File) -> io::Result<R>,
) -> io::Result<()> {
    let mut builder = Builder::new(out);
    let list = serde_json::to_vec_pretty(manifest)?;
    builder.append(&header(MANIFEST_NAME, list.len() as u64, manifest.made)?, &*list)?;
    for file in &manifest.files {
        let header = header(&file.name, file.bytes, manifest.made)?;
        builder.append(&header, content(file)?)?;
    }
    builder.into_inner()?.flush()
}

fn header(name: &str, bytes: u64, made: Utc) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(FILE_MODE);
    header.set_mtime(u64::try_from(made.0).unwrap_or(0));
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

/// Reads a backup to its end, handing each file's content to the writer that `sink` gives for it. Only
/// when this has succeeded was it a backup; until then what the sinks got proves nothing.
pub fn read<W: Write>(
    backup: impl Read,
    mut sink: impl FnMut(&Manifest, &File) -> io::Result<W>,
) -> Result<Manifest, ReadBackupError> {
    let mut archive = Archive::new(backup);
    let entries = archive.entries().map_err(unreadable)?;
    // Raw: extensions, such as names of any length, are entries like others, and refused like others.
    let mut entries = entries.raw(true);
    let mut next = |expected: &str| -> Result<_, ReadBackupError> {
        let entry = entries.next().ok_or_else(|| bad(format!("{expected} is missing")))?;
        plain(entry.map_err(unreadable)?, expected)
    };
    let manifest = read_manifest(next(MANIFEST_NAME)?)?;
    for file in &manifest.files {
        let entry = next(&file.name)?;
        let mut out = sink(&manifest, file).map_err(ReadBackupError::Sink)?;
        take(entry, file, &mut out)?;
    }
    if entries.next().is_some() {
        return Err(bad("more follows than its list names"));
    }
    let mut rest = archive.into_inner().take(MAX_PADDING_BYTES);
    let mut padding = Vec::new();
    rest.read_to_end(&mut padding).map_err(unreadable)?;
    if padding.len() as u64 == MAX_PADDING_BYTES || padding.iter().any(|byte| *byte != 0) {
        return Err(bad("something follows its end"));
    }
    Ok(manifest)
}

#[allow(clippy::needless_pass_by_value, reason = "an error ends here")]
fn unreadable(error: io::Error) -> ReadBackupError {
    bad(format!("it can't be read ({})", printable(&error.to_string(), MAX_QUOTED)))
}

/// A plain file with the expected name, or none at all.
fn plain<'a, R: Read>(
    entry: Entry<'a, R>,
    expected: &str,
) -> Result<Entry<'a, R>, ReadBackupError> {
    let name = entry.path_bytes();
    if name.as_ref() != expected.as_bytes() {
        let name = printable(&String::from_utf8_lossy(&name), MAX_QUOTED);
        return Err(bad(format!("it holds \"{name}\" where {expected} should be")));
    }
    if entry.header().entry_type() != EntryType::Regular {
        return Err(bad(format!("its {expected} is no plain file")));
    }
    Ok(entry)
}

fn read_manifest(entry: impl Read) -> Result<Manifest, ReadBackupError> {
    let mut text = Vec::new();
    entry.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(bad("its list is too long"));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| {
        bad(format!("its list makes no sense ({})", printable(&error.to_string(), MAX_QUOTED)))
    })?;
    manifest.check().map_err(bad)?;
    Ok(manifest)
}

fn take(entry: impl Read, file: &File, out: &mut impl Write) -> Result<(), ReadBackupError> {
    let limit = Part::of(&file.name).map_or(0, Part::limit_bytes);
    let mut content = Digesting::new(entry.take(limit.min(file.bytes) + 1));
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = content.read(&mut buffer).map_err(unreadable)?;
        let read = buffer.get(..count).unwrap_or_default();
        if read.is_empty() {
            break;
        }
        out.write_all(read).map_err(ReadBackupError::Sink)?;
    }
    out.flush().map_err(ReadBackupError::Sink)?;
    if content.finish() != (file.bytes, file.sha256.clone()) {
        return Err(bad(format!("its {} is not what the list says", file.name)));
    }
    Ok(())
}
