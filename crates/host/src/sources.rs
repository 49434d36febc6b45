//! Where to look for the machine's identity, and on whose behalf.

use std::path::{Path, PathBuf};

/// Where to look, and on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The root of the file tree: `/`, or a folder that plays another machine.
    pub root: PathBuf,
    /// The folder where the service's unit, running as root, leaves copies of what only root may
    /// read: `product_uuid`. They stand in for files that can't be read.
    pub handed_in: Option<PathBuf>,
    /// The user ID that the server runs as, when this process is another one (root, in a tool).
    /// Then only what that user can read is read: files that all may read, or the owner's own.
    /// `None`: whatever this process can read, and so for a root process whose home is root's.
    pub as_user: Option<u32>,
}

impl Sources {
    /// This very machine, as this process sees it.
    pub fn this_machine() -> Self {
        Self { root: PathBuf::from("/"), handed_in: None, as_user: None }
    }

    /// Also takes what the service's unit left in `folder`.
    #[must_use]
    pub fn handed_in_at(mut self, folder: impl Into<PathBuf>) -> Self {
        self.handed_in = Some(folder.into());
        self
    }

    /// Reads only what the user with this ID can read as well.
    #[must_use]
    pub fn as_user(mut self, user_id: u32) -> Self {
        self.as_user = Some(user_id);
        self
    }

    /// A path of the machine; `path` is relative to the root.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Whether the machine has something at `path`, of whatever kind.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// The text of one of the machine's files; `None` when there is no such file.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, crate::file::Unreadable> {
        crate::file::text(&self.at(path), crate::file::MAX_BYTES, self.as_user)
    }

    /// The same for one of the files whose length grows with the machine.
    pub(crate) fn long_text(&self, path: &str) -> Result<Option<String>, crate::file::Unreadable> {
        crate::file::text(&self.at(path), crate::file::MAX_LONG_BYTES, self.as_user)
    }

    /// A short text that need not be there and is information only: unreadable is as good as gone.
    pub(crate) fn hint(&self, path: &str) -> Option<String> {
        let text = self.text(path).ok().flatten()?;
        let hint = text.trim();
        (!hint.is_empty()).then(|| hint.to_string())
    }

    /// Where a copy that was handed in would be.
    pub(crate) fn handed_in_file(&self, name: &str) -> Option<PathBuf> {
        self.handed_in.as_deref().map(|folder: &Path| folder.join(name))
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self::this_machine()
    }
}
