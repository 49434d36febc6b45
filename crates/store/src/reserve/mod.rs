//! The reserve: a file beside the ledger that is there in its full length from the first start on, so
//! that marks can be written when the disk is full. It is also the marks' second copy.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, OFlags, fallocate};

pub(crate) mod slots;

pub(crate) use slots::Content;

use crate::place::FileId;

/// The reserve's name, beside `ledger.db`.
pub const RESERVE_NAME: &str = "marks.reserve";

/// It is the ledger's owner's alone, like the ledger.
const FILE_MODE: u32 = 0o600;

/// The reserve of a ledger. It is a help in need and never in the way: what is wrong with it is
/// kept as words, and the next write tries again.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    file: Option<File>,
    /// The number of the newest whole slot; 0: there is none.
    sequence: u64,
    /// What a file holds that couldn't be opened at first: nobody has it, and it must not be lost.
    floor: Option<Content>,
    trouble: Option<String>,
}

/// Where the reserve of the ledger at `ledger` is.
pub(crate) fn path_beside(ledger: &Path) -> PathBuf {
    ledger.with_file_name(RESERVE_NAME)
}

/// What the reserve of the ledger at `ledger` holds; `None` also for one that can't be read.
pub(crate) fn read(ledger: &Path) -> Option<Content> {
    let file = open_file(&path_beside(ledger), false).ok()?;
    slots::newest(&bytes(&file).ok()?).map(|(_, content)| content)
}

/// Whether the ledger at `ledger` has a reserve, whatever is in it: then there was a server, whose
/// ledger was durable before.
pub(crate) fn is_there(ledger: &Path) -> bool {
    fs::symlink_metadata(path_beside(ledger)).is_ok_and(|file| file.is_file())
}

/// Whether the reserve of the ledger at `ledger` has been written, and nothing in it can be read.
pub(crate) fn is_damaged(ledger: &Path) -> bool {
    let read = |file: File| bytes(&file);
    // One that was made and never written is all zeros.
    open_file(&path_beside(ledger), false)
        .and_then(read)
        .is_ok_and(|bytes| slots::newest(&bytes).is_none() && bytes.iter().any(|byte| *byte != 0))
}

impl Reserve {
    /// Opens the reserve of the ledger at `ledger`, or makes it.
    pub(crate) fn open(ledger: &Path) -> (Self, Option<Content>) {
        let path = path_beside(ledger);
        let mut reserve = Self { path, file: None, sequence: 0, floor: None, trouble: None };
        // One that can't be written may be read.
        let content = reserve.get_ready().unwrap_or_else(|_| read(ledger));
        (reserve, content)
    }

    /// Why the last try to open or write it failed; `None`: it didn't.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Makes `content` durable. Errs in words; what it held before, it still holds.
    pub(crate) fn write(&mut self, content: &Content) -> Result<(), String> {
        let written = self.try_write(content);
        self.trouble = written.as_ref().err().cloned();
        written
    }

    fn try_write(&mut self, content: &Content) -> Result<(), String> {
        if !self.is_in_place() {
            self.file = None;
            self.floor = self.get_ready()?;
        }
        let sequence = self.sequence + 1;
        let slot = match &self.floor {
            Some(floor) => slots::encode(sequence, &content.above(floor))?,
            None => slots::encode(sequence, content)?,
        };
        let file = self.file.as_ref().expect("it was just opened");
        let written =
            file.write_all_at(&slot, slots::offset_of(sequence)).and_then(|()| file.sync_data());
        written.map_err(|error| self.words(&error))?;
        self.sequence = sequence;
        Ok(())
    }

    /// Whether the open file is still the reserve: what is written to a removed one is lost.
    fn is_in_place(&self) -> bool {
        let open = self.file.as_ref().and_then(|file| file.metadata().ok());
        open.is_some_and(|open| FileId::at(&self.path) == Some(FileId::of(&open)))
    }

    fn get_ready(&mut self) -> Result<Option<Content>, String> {
        let ready = open_file(&self.path, true).and_then(|file| {
            let found = slots::newest(&bytes(&file)?);
            allocate(&file, &self.path)?;
            Ok((file, found))
        });
        match ready {
            Ok((file, found)) => {
                self.file = Some(file);
                let (sequence, content) = found.unzip();
                self.sequence = sequence.unwrap_or(0);
                self.trouble = None;
                Ok(content)
            }
            Err(error) => {
                let why = self.words(&error);
                self.trouble = Some(why.clone());
                Err(why)
            }
        }
    }

    fn words(&self, error: &io::Error) -> String {
        format!("{} can't be used: {error}", self.path.display())
    }
}

/// Follows no link and waits for no pipe: only a plain file of ours is the reserve.
fn open_file(path: &Path, write: bool) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let file = OpenOptions::new()
        .read(true)
        .write(write)
        .create(write)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(flags.cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    if write && metadata.mode() & 0o777 & !FILE_MODE != 0 {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

fn bytes(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(slots::FILE_BYTES);
    file.by_ref().take(slots::FILE_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Gives a new file its full length. The room is asked for first, so that a full disk says so before
/// anything is written, and then really written to: a later write needs no new blocks.
fn allocate(file: &File, path: &Path) -> io::Result<()> {
    let length = file.metadata()?.len();
    // The length stays, and says how much has been written.
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, slots::FILE_BYTES as u64) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    if length >= slots::FILE_BYTES as u64 {
        return Ok(());
    }
    // A file that was cut short may still hold its first slot.
    let start = usize::try_from(length).unwrap_or(slots::FILE_BYTES);
    file.write_all_at(&vec![0; slots::FILE_BYTES - start], length)?;
    file.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
