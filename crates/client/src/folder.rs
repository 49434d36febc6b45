//! Folders in which a host keeps what servers gave it: shared with the host's other programs, and
//! nothing waits for them for long.

use std::{
    fs::{self, DirBuilder, DirEntry, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::fs::OFlags;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use ve_wire::random_bytes;

/// How long a login waits for a folder.
const READ_PATIENCE: Duration = Duration::from_millis(500);

/// How many may look into a folder at the same time: a disk that hangs must not collect threads.
const MAX_READERS: usize = 4;

/// How many entries of a folder are looked at: whoever fills it with others may lose his own time
/// only.
const MAX_ENTRIES: usize = 4_096;

/// How a file begins that is not whole yet.
pub(crate) const UNFINISHED: &str = ".new-";

/// Reads beside what must not wait for a disk.
#[derive(Debug, Clone)]
pub(crate) struct Readers(Arc<Semaphore>);

impl Readers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_READERS)))
    }

    /// What `look` finds; `None` when the disk does not answer in time.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        let found = spawn_blocking(move || {
            let found = look();
            drop(permit);
            found
        });
        timeout(READ_PATIENCE, found).await.ok()?.ok()
    }
}

/// Writes a file over the last one of that name: there is always one whole file. Makes the folder
/// when it is missing; both are their owner's alone.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let number = u64::from_le_bytes(random_bytes());
    let unfinished = folder.join(format!("{UNFINISHED}{number:016x}"));
    let written = write_new(&unfinished, bytes);
    let written = written.and_then(|()| fs::rename(&unfinished, folder.join(name)));
    if written.is_err() {
        // Perhaps it was never made.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    // Without this the name could survive a power cut, and what it names not.
    file.sync_data()
}

/// Removes all but the newest `most` of the files that `is_ours`; an unfinished one is somebody's who
/// was killed.
pub(crate) fn remove_oldest(folder: &Path, most: usize, is_ours: impl Fn(&str) -> bool) {
    let is_ours = |name: &str| name.starts_with(UNFINISHED) || is_ours(name);
    for (_, entry) in newest_first(folder, is_ours).into_iter().skip(most) {
        // Somebody else may have removed it.
        let _ = fs::remove_file(entry.path());
    }
}

/// The files whose names are wanted.
pub(crate) fn newest_first(
    folder: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Vec<(SystemTime, DirEntry)> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(MAX_ENTRIES).flatten();
    let wanted = entries.filter(|entry| entry.file_name().to_str().is_some_and(&wanted));
    let dated = |entry: DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry));
    let mut files: Vec<_> = wanted.filter_map(dated).collect();
    files.sort_by_key(|(modified, entry)| std::cmp::Reverse((*modified, entry.file_name())));
    files
}

/// A file's first `limit` bytes, and one more if there is more. `None` when there is no plain file.
pub(crate) fn read(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits();
    // A pipe of that name must not hold anybody up.
    let open = OpenOptions::new().read(true).custom_flags(flags.try_into().ok()?).open(path);
    let file: File = open.ok().filter(|file| file.metadata().is_ok_and(|data| data.is_file()))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
