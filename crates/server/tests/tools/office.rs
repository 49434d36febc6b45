//! A server's home and its vendor, in a folder of their own, and the tools to be tried on them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;
use ve_server::home::Home;
use ve_testbed::{LicenseBuilder, Vendor, programs, vendor};

/// The license ID that a license has unless it is given another one.
pub(crate) const ID: &str = "01.00000001.002.044";

/// A home that trusts a vendor.
pub(crate) struct Office {
    folder: TempDir,
    pub(crate) vendor: Vendor,
}

/// How a tool ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Office {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Tools that act as another user come here, too.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let vendor = vendor(&folder.path().join("vendor"));
        vendor.trust_in(&folder.path().join("home"));
        Self { folder, vendor }
    }

    /// An office whose home has a key and this license.
    pub(crate) fn with_license(
        edit: impl FnOnce(LicenseBuilder<'_>) -> LicenseBuilder<'_>,
    ) -> Self {
        let office = Self::new();
        let path = office.file("first.v2c");
        edit(office.license()).write(&path);
        office.run("v2c", &["--filename", path.to_str().unwrap()]).expect_code(0);
        office
    }

    pub(crate) fn home(&self) -> Home {
        Home::at(self.file("home"))
    }

    /// A path beside the home.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.file(name), bytes).unwrap();
        self.file(name)
    }

    pub(crate) fn command(&self, tool: &str, arguments: &[&str]) -> Command {
        let mut command = programs::command(tool);
        self.prepare(&mut command, arguments);
        command
    }

    pub(crate) fn prepare(&self, command: &mut Command, arguments: &[&str]) {
        command.arg("--home").arg(self.home().path()).args(arguments);
        // What the service's unit of this machine hands in is not the test's.
        command.env("VE_HANDED_IN", self.file("nothing-handed-in"));
    }

    pub(crate) fn run(&self, tool: &str, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(tool, arguments))
    }

    /// Runs `v2c` on a file with these bytes.
    pub(crate) fn install(&self, bytes: impl AsRef<[u8]>) -> Outcome {
        let path = self.write("next.v2c", bytes);
        self.run("v2c", &["--filename", path.to_str().unwrap()])
    }

    /// Runs `c2v` and gives the file that it wrote.
    pub(crate) fn c2v(&self) -> PathBuf {
        let path = self.file("server.c2v");
        self.run("c2v", &["--filename", path.to_str().unwrap()]).expect_code(0);
        path
    }

    /// Begins a license for this home's server.
    pub(crate) fn license(&self) -> LicenseBuilder<'_> {
        self.vendor.license_for(&self.c2v())
    }

    /// What is installed, byte by byte.
    pub(crate) fn installed(&self) -> Vec<u8> {
        fs::read(self.home().license_file(&ID.parse().unwrap())).unwrap()
    }

    /// The first license's `Status:` line.
    pub(crate) fn status(&self) -> String {
        let shown = self.run("license_viewer", &[]).expect_code(0).stdout;
        let line = shown.lines().find_map(|line| line.strip_prefix("Status: "));
        line.unwrap_or_else(|| panic!("no status in {shown}")).to_string()
    }
}

impl Outcome {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let Output { status, stdout, stderr } = output;
        Self {
            code: status.code().unwrap_or_else(|| panic!("ended by a signal: {command:?}")),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// It failed with this code, said this, and printed no result.
    #[track_caller]
    pub(crate) fn expect_failure(self, code: i32, part: &str) {
        let outcome = self.expect_code(code);
        assert!(outcome.stderr.contains(part), "{part:?} is not in {}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
    }
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
