//! A machine that was copied with its key: one of the two runs, and both addresses are known.

use std::{fs, process::Command};

use ve_testbed::skip;

use super::peers::Peers;
use crate::{host::Host, vm::Vm};

/// A boot that is nobody's.
const OTHER_BOOT: &str = "00112233-4455-6677-8899-aabbccddeeff";

/// Where a process reads which boot it runs in.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What makes a command run in another boot, as far as it can see: in a mount namespace of its own.
fn in_another_boot(boot: &str) -> Vec<String> {
    let script = format!("mount --bind '{boot}' {BOOT_ID} && exec \"$@\"");
    ["unshare", "--mount", "--map-root-user", "sh", "-c", &script, "sh"].map(str::to_owned).into()
}

/// Why this machine doesn't allow that, if it doesn't.
fn refused(prefix: &[String]) -> Option<String> {
    let output = Command::new(&prefix[0]).args(&prefix[1..]).args(["cat", BOOT_ID]).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return Some(format!("unshare can't be started: {error}")),
    };
    let seen = String::from_utf8_lossy(&output.stdout);
    let fits = output.status.success() && seen.trim() == OTHER_BOOT;
    (!fits).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn copy_state(from: &Host, to: &Host) {
    let (from, to) = (from.file("state"), to.file("state"));
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "copied");
}

#[test]
fn a_clone_is_refused_while_the_first_one_lives() {
    let peers = Peers::new([2, 2]);
    let host = peers.host("host");
    let mut emulator = host.run(&peers.knows(Vm::polite("guest")));
    emulator.shows("ready");
    super::peers::receipt(&host);
    peers.registries_are_equal(1);

    let clone = peers.host("clone");
    copy_state(&host, &clone);
    let boot = clone.file("boot_id");
    fs::write(&boot, format!("{OTHER_BOOT}\n")).expect("written");
    let prefix = in_another_boot(boot.to_str().expect("a path in UTF-8"));
    if let Some(why) = refused(&prefix) {
        return skip(format_args!("another boot can't be shown to a process here: {why}"));
    }
    let guest = emulator.guest();
    // Not even another emulator of it, here or at the peer.
    for server in [&peers.one, &peers.other] {
        let vm = Vm::script("copied", "exit 0").at(&server.address());
        let ended = clone.run_after(&prefix, &vm).ends_with(77);
        let line = "ERROR VE License request was refused: duplicate-instance: ";
        assert!(ended.log.contains(line), "{}", ended.log);
    }
    assert_eq!(emulator.guest(), guest, "the first one runs on");
    assert!(!emulator.log().contains("terminated"), "{}", emulator.log());

    // With the key gone it is a machine of its own.
    fs::remove_file(clone.file("state/identity.key")).expect("removed");
    let vm = peers.knows(Vm::script("copied", "exit 0"));
    clone.run_after(&prefix, &vm).ends_with(0);
    peers.registries_are_equal(2);
}
