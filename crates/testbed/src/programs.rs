//! The programs of this workspace, as they were built for the tests.

use std::{
    env,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Another user, for tests that root runs: `nobody` on every system.
pub const NOBODY: u32 = 65_534;

/// The path of a program, such as `licensed`. Cargo builds a crate's own programs for its tests;
/// those of other crates come from `cargo build --workspace`.
pub fn path(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let program = folder.join(name);
    assert!(program.exists(), "{name} is not built: run cargo build --workspace --bins first");
    program
}

/// A command that runs a program, without what the tester's environment says of homes.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(path(name));
    clean(&mut command);
    command
}

/// The same as the user `nobody`, where the test runs as root; `None` where it doesn't.
pub fn command_as_nobody(name: &str) -> Option<Command> {
    let program = path(name);
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root || !is_reachable(&program) {
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
    command.args(["--clear-groups", "--"]).arg(program);
    clean(&mut command);
    Some(command)
}

/// Runs a command that must succeed; what it prints.
#[track_caller]
pub fn output_of(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("a program that can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, complaints) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{printed}{complaints}", output.status);
    printed
}

/// Whether every user may run a program: all folders on its way are open.
fn is_reachable(program: &Path) -> bool {
    program.ancestors().all(|part| {
        part.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

pub(crate) fn clean(command: &mut Command) {
    for variable in ["VE_HOME", "VE_STATE_DIR", "VE_HANDED_IN"] {
        command.env_remove(variable);
    }
}
