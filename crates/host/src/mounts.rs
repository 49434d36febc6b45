//! The mount of the root filesystem, from `/proc/self/mountinfo`.

use crate::{Sources, file::Unreadable};

/// What is mounted at `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootMount {
    /// Its device as `major:minor`; major 0 when the filesystem has no block device of its own.
    pub(crate) device: String,
    /// The filesystem's type, such as `ext4`.
    pub(crate) kind: String,
    /// What was mounted, such as `/dev/sda2`.
    pub(crate) source: String,
}

/// The mount at `/`; `None` when there is none to be seen (without `/proc`, or in a chroot).
pub(crate) fn root_mount(sources: &Sources) -> Result<Option<RootMount>, Unreadable> {
    let mounts = sources.long_text("proc/self/mountinfo")?.unwrap_or_default();
    // The early root of the start-up may lie below: the last one is on top.
    Ok(mounts.lines().filter_map(parse_root).next_back())
}

/// `27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw` (manual page `proc_pid_mountinfo`).
fn parse_root(line: &str) -> Option<RootMount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ');
    let device = mount.nth(2)?;
    let mount_point = mount.nth(1)?;
    let mut filesystem = filesystem.split(' ');
    let (kind, source) = (filesystem.next()?, filesystem.next()?);
    (mount_point == "/" && is_device(device)).then(|| RootMount {
        device: device.to_string(),
        kind: kind.to_string(),
        source: source.to_string(),
    })
}

/// Whether the text is `major:minor`, so that it is safe as part of a path.
pub(crate) fn is_device(text: &str) -> bool {
    let is_number = |part: &str| part.parse::<u32>().is_ok();
    text.split_once(':').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_about_the_root_counts() {
        let parsed = |line| parse_root(line).map(|mount| (mount.device, mount.kind, mount.source));
        let ext4 = Some(("8:1".to_string(), "ext4".to_string(), "/dev/sda1".to_string()));
        assert_eq!(parsed("27 1 8:1 / / rw shared:1 master:2 - ext4 /dev/sda1 rw"), ext4);
        assert_eq!(parsed("27 1 8:1 / / rw - ext4 /dev/sda1 rw"), ext4);
        for other in [
            "",
            " - ",
            "27 1 8:1 / /home rw - ext4 /dev/sda1 rw",
            "27 1 8:1 / / rw ext4 /dev/sda1 rw",
            "27 1 8:1 / / rw - ext4",
            "27 1 ../../etc:1 / / rw - ext4 /dev/sda1 rw",
        ] {
            assert_eq!(parsed(other), None, "{other:?}");
        }
    }
}
