//! A place for a license server: a home in a temporary folder, and a vendor who signs for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::process::Command;
use ve_testbed::{LicenseBuilder, Vendor, programs, vendor};

use super::server::Server;

/// A home that trusts a vendor.
pub(crate) struct Site {
    folder: TempDir,
    vendor: Vendor,
    home: PathBuf,
}

/// What a tool said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// A success, and what was printed.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// A failure with this exit code, and its message.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.err
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Site {
    /// A home without a license.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        Self::with_home(folder, home)
    }

    /// The same with a home somewhere else.
    pub(crate) fn at(home: &Path) -> Self {
        Self::with_home(tempfile::tempdir().expect("a folder"), home.to_path_buf())
    }

    fn with_home(folder: TempDir, home: PathBuf) -> Self {
        let vendor = vendor(&folder.path().join("vendor"));
        vendor.trust_in(&home);
        Self { folder, vendor, home }
    }

    /// A home with one license, installed before any server runs.
    pub(crate) async fn licensed(
        edit: impl FnOnce(LicenseBuilder<'_>) -> LicenseBuilder<'_>,
    ) -> Self {
        let site = Self::new();
        site.install(edit).await.fine();
        site
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn vendor(&self) -> &Vendor {
        &self.vendor
    }

    /// A path beside the home.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The fingerprint file of this home's server, fresh.
    pub(crate) async fn c2v(&self) -> PathBuf {
        let file = self.beside("server.c2v");
        self.tool("c2v", &["--filename", path(&file)]).await.fine();
        file
    }

    /// Writes a license file for this server: the vendor's default license, as `edit` changes it.
    pub(crate) async fn v2c(
        &self,
        edit: impl FnOnce(LicenseBuilder<'_>) -> LicenseBuilder<'_>,
    ) -> PathBuf {
        let c2v = self.c2v().await;
        let file = self.beside("license.v2c");
        edit(self.vendor.license_for(&c2v)).write(&file);
        file
    }

    /// Makes a license and installs it with `v2c`.
    pub(crate) async fn install(
        &self,
        edit: impl FnOnce(LicenseBuilder<'_>) -> LicenseBuilder<'_>,
    ) -> Said {
        let file = self.v2c(edit).await;
        self.tool("v2c", &["--filename", path(&file)]).await
    }

    /// Runs one of the administrator's tools.
    pub(crate) async fn tool(&self, name: &str, arguments: &[&str]) -> Said {
        let mut command = Command::from(programs::command(name));
        command.arg("--home").arg(&self.home).args(arguments);
        command.output().await.expect("a tool that runs").into()
    }

    /// What `licensectl … --json` reports.
    pub(crate) async fn report(&self, subject: &str) -> Json {
        let said = self.tool("licensectl", &[subject, "--json"]).await.fine();
        serde_json::from_str(&said).expect("JSON")
    }

    /// The sessions that the server lists.
    pub(crate) async fn sessions(&self) -> Vec<Json> {
        let report = self.report("sessions").await;
        report["sessions"].as_array().expect("a list").clone()
    }

    /// How `licensed` is started here, on any port.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::from(programs::command("licensed"));
        command.arg("--home").arg(&self.home).args(["--listen", "127.0.0.1:0"]);
        command
    }

    /// Starts the server and waits until it serves.
    pub(crate) async fn start(&self) -> Server {
        Server::start(self.command()).await
    }

    /// Starts the server where it can't run: what it said.
    pub(crate) async fn start_in_vain(&self) -> Said {
        let output = super::awaited("the end of a start in vain", self.command().output()).await;
        output.expect("a server that starts").into()
    }

    /// `license.log` as it is in the file.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.home.join("log/license.log")
    }

    /// The text of `license.log`.
    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(self.log_file()).expect("license.log")
    }

    /// Puts a license file into the home by hand.
    pub(crate) fn put_license(&self, id: &str, v2c: &Path) {
        let licenses = self.home.join("licenses");
        fs::create_dir_all(&licenses).expect("a folder");
        fs::copy(v2c, licenses.join(format!("{id}.v2c"))).expect("a license file");
    }
}

/// A path as an argument.
pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
