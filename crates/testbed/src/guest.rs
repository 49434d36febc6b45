//! A guest with a real operating system: Debian's kernel, and one process that powers off when the
//! machine's power button is pressed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::programs;

/// What the guest prints when it would notice the power button.
pub const READY: &str = "guest: ready";

/// What the guest prints when the power button was pressed and it shuts down.
pub const SHUTS_DOWN: &str = "guest: powering off cleanly";

/// The folder with the kernel `vmlinuz` and the root file system `initramfs.gz` of the guest, made
/// when it is missing.
pub fn linux() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    programs::output_of(&mut Command::new(workspace.join("scripts/make-test-guest.sh")));
    fs::canonicalize(workspace.join("target/guest")).expect("the test guest's folder")
}
