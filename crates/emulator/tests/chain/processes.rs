//! What the kernel knows of running processes.

use std::{fs, path::Path};

use ve_testbed::wait;

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The children of a process that have not ended.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let is_child = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next().map(str::to_owned)
        };
        field("PPid:") == Some(parent.to_string()) && field("State:").is_some_and(|s| s != "Z")
    };
    all().filter(is_child).collect()
}

/// Waits until no process is at home in `folder`: guests and hooks are.
#[track_caller]
pub(crate) fn none_left_in(folder: &Path) {
    wait::until(format_args!("a process is left in {}", folder.display()), || {
        let mut here = all().filter(|id| lives_in(*id, folder));
        here.next().is_none().then_some(())
    });
}

/// Whether the process runs, and in `folder`.
pub(crate) fn lives_in(id: u32, folder: &Path) -> bool {
    // An ended process has no folder, even if nobody has waited for it.
    fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd == folder)
}

/// What `ps` shows of a process.
pub(crate) fn command_line(id: u32) -> String {
    wait::content(Path::new(&format!("/proc/{id}/cmdline"))).replace('\0', " ")
}

/// The environment that a process was started with.
pub(crate) fn environment(id: u32) -> String {
    wait::content(Path::new(&format!("/proc/{id}/environ"))).replace('\0', "\n")
}
