//! The last grants of every server, as it signed them: shown at the next login, they tell a server
//! that was set back to an old state how far it had come.
//!
//! This program's own are kept in memory. A folder, if there is one, is shared with the host's other
//! programs and outlives them: [`files`]. Nothing waits for a disk but a login, and that not for long.

mod files;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::spawn_blocking;
use ve_core::{
    id::{HostKey, LicenseId, ServerKey},
    text::Name,
};
use ve_wire::{
    limits::{MAX_WITNESS_BYTES, MAX_WITNESSES},
    proto::Signed,
};

use crate::folder::Readers;

/// The most grants that are kept in memory: far more than a program with two servers meets.
const MAX_KEPT: usize = 16;

/// Where a host keeps the last grants of its servers, at most 64 files of a few hundred bytes. It is
/// made when it is first needed. Whatever else is in there is passed over.
///
/// A grant names a session, which is a secret: the folder and its files are their owner's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantFolder(PathBuf);

impl GrantFolder {
    /// Grants are kept in this folder.
    pub const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }
}

/// A grant, as its server signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    server_key: ServerKey,
    license_id: LicenseId,
    signed: Signed,
}

impl Kept {
    fn is_of(&self, server_key: ServerKey, license_id: &LicenseId) -> bool {
        self.server_key == server_key && self.license_id == *license_id
    }
}

/// The last grants.
#[derive(Debug, Clone)]
pub(crate) struct Grants(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: Option<PathBuf>,
    host: HostKey,
    /// Whose grants are kept: the program's emulator.
    emulator: Name,
    readers: Readers,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// This program's own, the newest first.
    own: Vec<Kept>,
    /// What is not in the folder yet, the newest of each license.
    unsaved: Vec<Kept>,
    /// Whether somebody saves.
    is_saving: bool,
}

impl Grants {
    pub(crate) fn new(folder: Option<GrantFolder>, host: HostKey, emulator: Name) -> Self {
        Self(Arc::new(Shared {
            folder: folder.map(|GrantFolder(folder)| folder),
            host,
            emulator,
            readers: Readers::new(),
            state: Mutex::default(),
        }))
    }

    /// Keeps a grant instead of the last one of the same license. Does not wait for the disk; one
    /// that can't be written is kept in memory only. Must be called inside a tokio runtime.
    pub(crate) fn keep(&self, server_key: ServerKey, license_id: &LicenseId, signed: &Signed) {
        if signed.statement.len() > MAX_WITNESS_BYTES {
            return;
        }
        let kept = Kept { server_key, license_id: license_id.clone(), signed: signed.clone() };
        let mut state = self.0.state();
        put_first(&mut state.own, kept.clone());
        if self.0.folder.is_none() {
            return;
        }
        put_first(&mut state.unsaved, kept);
        if !std::mem::replace(&mut state.is_saving, true) {
            let shared = Arc::clone(&self.0);
            drop(state);
            spawn_blocking(move || shared.save());
        }
    }

    /// What to show to a server with this key: the emulator's own grants, then the latest others of
    /// the host.
    pub(crate) async fn shown_to(&self, server_key: ServerKey) -> Vec<Signed> {
        let own: Vec<Kept> = {
            let state = self.0.state();
            let of_server = |kept: &&Kept| kept.server_key == server_key;
            state.own.iter().filter(of_server).cloned().collect()
        };
        let newer = own.iter().map(|kept| kept.license_id.clone()).collect();
        let mut shown: Vec<Signed> = own.into_iter().map(|kept| kept.signed).collect();
        shown.extend(self.0.read(server_key, newer).await);
        shown.truncate(MAX_WITNESSES);
        shown
    }
}

fn put_first(list: &mut Vec<Kept>, kept: Kept) {
    list.retain(|other| !other.is_of(kept.server_key, &kept.license_id));
    list.insert(0, kept);
    list.truncate(MAX_KEPT);
}

impl Shared {
    /// A panic of another thread left no half-made state behind: each change is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Saves until there is nothing more to save.
    fn save(&self) {
        while let Some(kept) = self.next_to_save() {
            if let Some(folder) = &self.folder {
                // Nothing depends on it now, and the next grant is a new attempt.
                let _ = files::save(folder, &kept, &self.emulator);
            }
        }
    }

    fn next_to_save(&self) -> Option<Kept> {
        let mut state = self.state();
        let next = state.unsaved.pop();
        state.is_saving = next.is_some();
        next
    }

    /// The folder's latest for this server, without the emulator's own of the licenses in `newer`;
    /// nothing when the disk does not answer.
    async fn read(&self, server_key: ServerKey, newer: Vec<LicenseId>) -> Vec<Signed> {
        let Some(folder) = self.folder.clone() else { return Vec::new() };
        let (host, emulator) = (self.host, self.emulator.clone());
        let look = move || files::latest(&folder, server_key, host, &emulator, &newer);
        self.readers.read(look).await.unwrap_or_default()
    }
}
