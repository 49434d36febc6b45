//! Receipts: what AutoVE servers signed for this host when it was registered. Shown at the next login,
//! they bring a registration back that all servers have lost.
//!
//! They belong to the host, so all its programs share one folder ([`files`]). One that can't be written
//! is kept in memory for as long as the program runs, and the program is told; no license depends on it.

mod files;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, task::spawn_blocking};
use ve_core::{
    grant::Grant,
    id::{HostKey, LicenseId, ServerKey},
    registry::Receipt,
    text::Name,
};
use ve_documents::{keys::VerifyingKey, receipt};
use ve_wire::{convert, limits::MAX_RECEIPTS};

use crate::folder::Readers;

/// Where a host keeps the receipts of its registration, one for each license that it was ever at home
/// with, at most 16 files of at most 2 KiB. It is made when it is first needed. Whatever else is in
/// there is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFolder(PathBuf);

impl ReceiptFolder {
    /// Receipts are kept in this folder.
    pub const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }
}

/// A receipt of this host's.
#[derive(Clone, PartialEq, Eq)]
struct Kept {
    home: LicenseId,
    customer: Name,
    jws: String,
}

/// The receipts of one host.
#[derive(Clone)]
pub(crate) struct Receipts(Arc<Shared>);

struct Shared {
    folder: Option<PathBuf>,
    host: HostKey,
    vendor_keys: Vec<VerifyingKey>,
    readers: Readers,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// The newest, unless it is in the folder.
    newest: Option<Kept>,
    /// Whether that waits to be saved.
    is_unsaved: bool,
    /// Whether somebody saves.
    is_saving: bool,
    complaints: Complaints,
}

/// What the program is told.
#[derive(Default)]
struct Complaints {
    /// What went wrong, and nobody was told yet.
    news: Option<String>,
    /// A bad receipt was told of: once is enough, whatever else a server thinks up.
    of_bad: bool,
    /// It was told that receipts can't be written, and none was since.
    of_folder: bool,
}

impl fmt::Debug for Receipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipts(..)")
    }
}

impl Receipts {
    pub(crate) fn new(
        folder: Option<ReceiptFolder>,
        host: HostKey,
        vendor_keys: Vec<VerifyingKey>,
    ) -> Self {
        Self(Arc::new(Shared {
            folder: folder.map(|ReceiptFolder(folder)| folder),
            host,
            vendor_keys,
            readers: Readers::new(),
            state: Mutex::default(),
            news: Notify::new(),
        }))
    }

    /// The license that the newest receipt of the folder calls the host's home. Waits for the disk.
    pub(crate) fn home(&self) -> Option<LicenseId> {
        let folder = self.0.folder.as_deref()?;
        files::newest(folder, self.0.host, |_| true).into_iter().next().map(|kept| kept.home)
    }

    /// What to show to a server of these customers: at most two, the newest first.
    pub(crate) async fn shown_to(&self, customers: &[Name]) -> Vec<String> {
        let newest = self.0.state().newest.clone();
        let mut shown: Vec<Kept> = newest.into_iter().collect();
        shown.retain(|kept| customers.contains(&kept.customer));
        let others = self.0.read(customers.to_vec()).await;
        let is_new = |kept: &Kept| shown.iter().all(|other| other.home != kept.home);
        let others: Vec<Kept> = others.into_iter().filter(is_new).collect();
        let all = shown.into_iter().chain(others).take(MAX_RECEIPTS);
        all.map(|kept| kept.jws).collect()
    }

    /// Keeps the receipt that stood beside `grant` in the answer of the server with this key, instead of
    /// the last one of the same home. Does not wait for the disk. Must be called inside a tokio runtime.
    pub(crate) fn take(&self, jws: &str, grant: &Grant, server_key: ServerKey) {
        let receipt = match self.0.check(jws, grant, server_key) {
            Ok(receipt) => receipt,
            Err(why) => {
                return self.0.complain(why, |told| &mut told.of_bad);
            }
        };
        let Receipt { home, customer, .. } = receipt;
        let mut state = self.0.state();
        state.newest = Some(Kept { home, customer, jws: jws.to_owned() });
        state.is_unsaved = self.0.folder.is_some();
        if state.is_unsaved && !std::mem::replace(&mut state.is_saving, true) {
            let shared = Arc::clone(&self.0);
            drop(state);
            spawn_blocking(move || shared.save());
        }
    }

    /// Why a receipt could not be kept: waits until there is something that was not told before. Cancel
    /// safe.
    pub(crate) async fn problem(&self) -> String {
        loop {
            if let Some(problem) = self.0.state().complaints.news.take() {
                return problem;
            }
            self.0.news.notified().await;
        }
    }
}

impl Shared {
    /// A panic of another thread left no half-made state behind: each change is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a receipt is this host's, of the home that the grant names, and signed by the server that
    /// has answered.
    fn check(&self, jws: &str, grant: &Grant, server_key: ServerKey) -> Result<Receipt, String> {
        convert::receipt(jws).map_err(|refusal| refusal.sentence)?;
        let receipt = receipt::verify(jws, &self.vendor_keys).map_err(|error| error.to_string())?;
        let issuer = receipt::read_unverified(jws).map_err(|error| error.to_string())?.issuer;
        let receipt = receipt.into_inner();
        for (holds, why) in [
            (receipt.host == self.host, "it is another host's"),
            (receipt.customer == grant.customer, "it is another customer's"),
            (Some(&receipt.home) == grant.home.as_ref(), "its home is not the grant's"),
            (issuer.server_key == server_key, "another server has signed it"),
        ] {
            if !holds {
                return Err(why.to_owned());
            }
        }
        Ok(receipt)
    }

    /// Somebody shall be told, but not again and again.
    fn complain(&self, problem: String, told: impl FnOnce(&mut Complaints) -> &mut bool) {
        let complaints = &mut self.state().complaints;
        if !std::mem::replace(told(complaints), true) {
            complaints.news = Some(problem);
            self.news.notify_one();
        }
    }

    /// Saves until there is nothing more to save.
    fn save(&self) {
        while let (Some(kept), Some(folder)) = (self.next_to_save(), &self.folder) {
            match files::save(folder, &kept) {
                Ok(()) => self.was_saved(&kept),
                Err(error) => {
                    self.complain(not_kept(folder, &error), |told| &mut told.of_folder);
                }
            }
        }
    }

    fn next_to_save(&self) -> Option<Kept> {
        let mut state = self.state();
        let is_unsaved = std::mem::take(&mut state.is_unsaved);
        let next = state.newest.clone().filter(|_| is_unsaved);
        state.is_saving = next.is_some();
        next
    }

    /// From now on the folder's is the one that counts: another program's may follow it.
    fn was_saved(&self, kept: &Kept) {
        let mut state = self.state();
        if state.newest.as_ref() == Some(kept) {
            state.newest = None;
        }
        state.complaints.of_folder = false;
    }

    /// The folder's for a server of these customers; nothing when the disk does not answer.
    async fn read(&self, customers: Vec<Name>) -> Vec<Kept> {
        let Some(folder) = self.folder.clone() else { return Vec::new() };
        let host = self.host;
        let wanted = move |kept: &Kept| customers.contains(&kept.customer);
        let look = move || files::newest(&folder, host, wanted);
        self.readers.read(look).await.unwrap_or_default()
    }
}

fn not_kept(folder: &Path, error: &std::io::Error) -> String {
    format!("{} can't be written: {error}", folder.display())
}
