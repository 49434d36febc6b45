//! The identity of the root filesystem.
//!
//! It has several forms, because no single source is open to everyone: a hardened service has no
//! `/dev/disk` (systemd's `PrivateDevices`), a machine may run without udev, and only root may read
//! the superblock. Any form will do for a license, see [`ve_core::fingerprint::Reading::Known`].

use rustix::fs::statvfs;
use ve_core::fingerprint::{Component, Reading};

use crate::{
    Sources, digest,
    mounts::{self, RootMount},
};

/// The filesystems whose ID in statvfs(2) is their UUID, folded to 64 bits. Elsewhere it is made
/// from a device number (XFS) or a subvolume (Btrfs), which may change.
const ID_FROM_UUID: [&str; 3] = ["ext2", "ext3", "ext4"];

/// The most entries that are looked at in one folder.
const MAX_ENTRIES: usize = 4096;

/// The root filesystem's identity. Absent where it has no block device (a container's overlay, a
/// network filesystem); unreadable where it has one and no source names its UUID.
pub(crate) fn read(sources: &Sources) -> Reading {
    let unreadable = |why: &str| {
        Reading::Unreadable(format!("The root filesystem's identity is not known: {why}."))
    };
    let mount = match mounts::root_mount(sources) {
        Ok(Some(mount)) => mount,
        Ok(None) => return unreadable("/proc/self/mountinfo names no root filesystem"),
        Err(why) => return unreadable(&why.to_string()),
    };
    if !has_block_device(&mount) {
        return Reading::Absent;
    }
    let forms: Vec<String> =
        [file_system_id(sources, &mount), uuid(sources, &mount)].into_iter().flatten().collect();
    if forms.is_empty() {
        return unreadable("neither /run/udev/data nor /dev/disk/by-uuid names its UUID");
    }
    Reading::Known(forms.iter().map(|form| digest(Component::RootFilesystem, form)).collect())
}

/// Btrfs has a device number of its own (major 0), so its source tells.
fn has_block_device(mount: &RootMount) -> bool {
    !mount.device.starts_with("0:") || mount.source.starts_with("/dev/")
}

/// The form that every process gets in every environment, and therefore the preferred one: a
/// license that is bound to it can't be lost by hardening the service or removing udev.
fn file_system_id(sources: &Sources, mount: &RootMount) -> Option<String> {
    if !ID_FROM_UUID.contains(&mount.kind.as_str()) {
        return None;
    }
    let id = statvfs(&sources.root).ok()?.f_fsid;
    (id != 0).then(|| format!("fsid:{id:016x}"))
}

/// The filesystem's UUID, from the first source that has it; all of them hold the same.
fn uuid(sources: &Sources, mount: &RootMount) -> Option<String> {
    let device = BlockDevice::of(sources, mount)?;
    uuid_in_udev_data(sources, &device)
        .or_else(|| uuid_of_btrfs(sources, &device))
        .or_else(|| uuid_by_link(sources, &device))
}

/// udev's record of the device: readable for all, and inside a hardened service as well.
fn uuid_in_udev_data(sources: &Sources, device: &BlockDevice) -> Option<String> {
    let record = sources.hint(&format!("run/udev/data/b{}", device.number))?;
    let uuid = record.lines().find_map(|line| line.strip_prefix("E:ID_FS_UUID="))?;
    (!uuid.is_empty()).then(|| uuid.to_string())
}

/// The kernel names every mounted Btrfs by its UUID, and its devices below.
fn uuid_of_btrfs(sources: &Sources, device: &BlockDevice) -> Option<String> {
    let name = device.name.as_deref()?;
    names_in(sources, "sys/fs/btrfs")
        .into_iter()
        .find(|uuid| sources.has(&format!("sys/fs/btrfs/{uuid}/devices/{name}")))
}

/// The links that udev makes: `/dev/disk/by-uuid/<UUID>` leads to `../../sda2`.
fn uuid_by_link(sources: &Sources, device: &BlockDevice) -> Option<String> {
    let name = device.name.as_deref()?;
    let folder = "dev/disk/by-uuid";
    let leads_here = |uuid: &String| {
        let target = sources.at(&format!("{folder}/{uuid}")).read_link().ok();
        target.is_some_and(|target| target.file_name().is_some_and(|last| last == name))
    };
    names_in(sources, folder).into_iter().find(leads_here)
}

/// The device that the root filesystem is on.
struct BlockDevice {
    /// `major:minor`.
    number: String,
    /// The kernel's name for it, such as `sda2` or `dm-0`.
    name: Option<String>,
}

impl BlockDevice {
    fn of(sources: &Sources, mount: &RootMount) -> Option<Self> {
        if mount.device.starts_with("0:") {
            return Self::named(sources, mount.source.strip_prefix("/dev/")?);
        }
        let number = mount.device.clone();
        let properties = sources.hint(&format!("sys/dev/block/{number}/uevent"));
        let name = properties.as_deref().and_then(|properties| {
            properties.lines().find_map(|line| line.strip_prefix("DEVNAME="))
        });
        Some(Self { number, name: name.map(ToString::to_string) })
    }

    /// Finds a device by its path below `/dev`: `sda2`, or `mapper/root`, which is only a link to
    /// `dm-0` and missing in a hardened service; the kernel knows the mapping as well.
    fn named(sources: &Sources, path: &str) -> Option<Self> {
        let name = match path.strip_prefix("mapper/") {
            None => path.to_string(),
            Some(mapped) => names_in(sources, "sys/class/block").into_iter().find(|device| {
                let name = sources.hint(&format!("sys/class/block/{device}/dm/name"));
                name.as_deref() == Some(mapped)
            })?,
        };
        if name.contains('/') || name.starts_with('.') {
            return None;
        }
        let number = sources.hint(&format!("sys/class/block/{name}/dev"))?;
        mounts::is_device(&number).then_some(Self { number, name: Some(name) })
    }
}

/// The names in a folder, in order, so that the same machine always gives the same answer; empty
/// when it can't be listed.
fn names_in(sources: &Sources, folder: &str) -> Vec<String> {
    let Ok(entries) = sources.at(folder).read_dir() else { return Vec::new() };
    let entries = entries.take(MAX_ENTRIES).filter_map(Result::ok);
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Installed licenses hold a digest of this number, so a library that puts its halves together
    /// in another order must not pass unseen. stat(1) prints the kernel's first half first; the
    /// UUID's folding puts it last.
    #[test]
    fn the_file_system_id_has_its_halves_in_one_order_for_ever() {
        let output = std::process::Command::new("stat").args(["-f", "-c", "%i", "/"]).output();
        let printed = String::from_utf8(output.expect("stat runs").stdout).expect("text");
        let id = u64::from_str_radix(printed.trim(), 16).expect("a number").rotate_left(32);
        assert_eq!(statvfs("/").expect("the root filesystem").f_fsid, id);
    }
}
