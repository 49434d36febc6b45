//! Whether the server runs in a container: information for people, no license depends on it.

use ve_core::text::printable;

use crate::{Sources, mounts};

/// A container, as far as it can be seen from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// What runs it, such as `docker` or `systemd-nspawn`; `unknown` when nothing tells.
    pub runtime: String,
    /// The sign that gave it away, such as a file's path.
    pub evidence: &'static str,
}

/// How much of a name is shown, in characters.
const SHOWN_CHARACTERS: usize = 32;

/// Files that a runtime leaves in every container of its own.
const MARKERS: [(&str, &str, &str); 2] = [
    (".dockerenv", "docker", "/.dockerenv"),
    ("run/.containerenv", "podman", "/run/.containerenv"),
];

/// Parts of control group names, and who gives such names.
const CONTROL_GROUPS: [(&str, &str); 6] = [
    ("kubepods", "kubernetes"),
    ("docker", "docker"),
    ("libpod", "podman"),
    ("lxc", "lxc"),
    ("crio", "cri-o"),
    ("containerd", "containerd"),
];

/// The container that this process runs in, if it shows.
///
/// With control groups of version 2 a container mostly sees itself as `/`, so the groups alone
/// don't tell; an overlay as root filesystem does (and a live system looks the same).
pub fn container(sources: &Sources) -> Option<Container> {
    named_by_systemd(sources)
        .or_else(|| marked(sources))
        .or_else(|| grouped(sources))
        .or_else(|| on_overlay(sources))
}

fn found(runtime: &str, evidence: &'static str) -> Container {
    Container { runtime: printable(runtime, SHOWN_CHARACTERS), evidence }
}

fn named_by_systemd(sources: &Sources) -> Option<Container> {
    let name = sources.hint("run/systemd/container")?;
    Some(found(&name, "/run/systemd/container"))
}

fn marked(sources: &Sources) -> Option<Container> {
    let marker = MARKERS.iter().find(|(path, ..)| sources.has(path));
    marker.map(|(_, runtime, evidence)| found(runtime, evidence))
}

fn grouped(sources: &Sources) -> Option<Container> {
    let groups = sources.hint("proc/1/cgroup")?;
    let of_runtime = CONTROL_GROUPS.iter().find(|(part, _)| groups.contains(part));
    of_runtime.map(|(_, runtime)| found(runtime, "/proc/1/cgroup"))
}

fn on_overlay(sources: &Sources) -> Option<Container> {
    let root = mounts::root_mount(sources).ok().flatten()?;
    (root.kind == "overlay").then(|| found("unknown", "the root filesystem is an overlay"))
}
