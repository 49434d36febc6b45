//! Folders that play machines, and what is expected of them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use rustix::fs::statvfs;
use tempfile::TempDir;
use ve_core::fingerprint::{Component, Machine, Reading};
use ve_host::{Sources, digest};

/// One thing in a machine's file tree, at a path below its root.
pub(crate) enum Item {
    /// A file that all may read.
    File(&'static str, &'static str),
    /// A file that only its owner may read.
    OwnersFile(&'static str, &'static str),
    /// A file with any bytes.
    Bytes(&'static str, Vec<u8>),
    /// A symbolic link and its target.
    Link(&'static str, &'static str),
    /// A folder.
    Folder(&'static str),
}

/// What is expected of one component.
#[derive(Debug)]
pub(crate) enum Expected {
    /// Exactly these values, the preferred one first; `fsid` stands for the tree's own.
    Values(&'static [&'static str]),
    /// Unreadable, with this part in its sentence.
    Unreadable(&'static str),
    /// Absent.
    Absent,
}

/// A folder that plays a machine.
pub(crate) struct FakeMachine {
    folder: TempDir,
}

impl FakeMachine {
    pub(crate) fn new<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let machine = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        items.into_iter().for_each(|item| machine.add(item));
        machine
    }

    pub(crate) fn add(&self, item: &Item) {
        match item {
            Item::File(path, text) => fs::write(self.place(path), text).expect("a file"),
            Item::Bytes(path, bytes) => fs::write(self.place(path), bytes).expect("a file"),
            Item::OwnersFile(path, text) => {
                let place = self.place(path);
                fs::write(&place, text).expect("a file");
                fs::set_permissions(&place, fs::Permissions::from_mode(0o400)).expect("its mode");
            }
            Item::Link(path, target) => symlink(target, self.place(path)).expect("a link"),
            Item::Folder(path) => fs::create_dir_all(self.place(path)).expect("a folder"),
        }
    }

    fn place(&self, path: &str) -> std::path::PathBuf {
        let place = self.folder.path().join(path);
        fs::create_dir_all(place.parent().expect("a path below the root")).expect("its folder");
        place
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The machine as its own user sees it.
    pub(crate) fn sources(&self) -> Sources {
        Sources { root: self.root().to_path_buf(), ..Sources::this_machine() }
    }

    /// The user ID that owns everything in the tree.
    pub(crate) fn owner(&self) -> u32 {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(self.root()).expect("the root's metadata").uid()
    }

    pub(crate) fn expect(&self, machine: &Machine, component: Component, expected: &Expected) {
        let reading = &machine.readings[&component];
        let matches = match (expected, reading) {
            (Expected::Values(values), Reading::Known(digests)) => values
                .iter()
                .map(|value| digest(component, &self.form(value)))
                .eq(digests.iter().copied()),
            (Expected::Unreadable(part), Reading::Unreadable(why)) => why.contains(part),
            (Expected::Absent, Reading::Absent) => true,
            _ => false,
        };
        assert!(matches, "{component}: expected {expected:?}, read {reading:?}");
    }

    fn form(&self, value: &str) -> String {
        match value {
            "fsid" => format!("fsid:{:016x}", statvfs(self.root()).expect("its filesystem").f_fsid),
            other => other.to_string(),
        }
    }
}
