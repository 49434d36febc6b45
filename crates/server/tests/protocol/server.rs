//! A real `licensed` with a real license, on a port of its own.

#![allow(dead_code, reason = "every test binary uses its own part")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use ve_testbed::{LicenseBuilder, Vendor, programs};

/// Far longer than anything here takes; only a failure ever waits for it.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Makes one license out of the vendor's usual one.
pub(crate) type Edit = fn(LicenseBuilder<'_>) -> LicenseBuilder<'_>;

/// The vendor's usual license.
pub(crate) const USUAL: Edit = |license| license;

/// A running license server; it is killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) vendor: Vendor,
    folder: TempDir,
    process: Child,
    told: Arc<Told>,
}

impl Server {
    /// Starts a server with one license.
    pub(crate) fn start(license: Edit) -> Self {
        Self::start_with("", &[license])
    }

    /// Starts a server with more lines in its configuration, and with these licenses.
    pub(crate) fn start_with(config: &str, licenses: &[Edit]) -> Self {
        Self::launch(programs::command("licensed"), config, licenses)
    }

    /// The same, where the server's process may only have so many files open.
    pub(crate) fn start_with_files(files: u32, config: &str, licenses: &[Edit]) -> Self {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(limited).arg(programs::path("licensed")).env_remove("VE_HOME");
        Self::launch(shell, config, licenses)
    }

    fn launch(mut command: Command, config: &str, licenses: &[Edit]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let vendor = ve_testbed::vendor(&folder.path().join("vendor"));
        let home = folder.path().join("home");
        vendor.trust_in(&home);
        let config = format!("listen = \"127.0.0.1:0\"\n[host]\nplatform = \"kvm\"\n{config}\n");
        fs::write(home.join("config.toml"), config).expect("a configuration");
        let c2v = folder.path().join("server.c2v");
        if !licenses.is_empty() {
            run("c2v", &home, &c2v);
        }
        for edit in licenses {
            put(&home.join("licenses"), edit(vendor.license_for(&c2v)));
        }
        let mut process = command
            .arg("--home")
            .arg(&home)
            .env_remove("JOURNAL_STREAM")
            .stderr(Stdio::piped())
            .spawn()
            .expect("licensed runs");
        let told = Told::listen(process.stderr.take().expect("it is piped"));
        let listening = told.wait_for("Listening on ");
        told.wait_for("ready to serve");
        let address = listening.rsplit(' ').next().expect("an address").trim_end_matches('.');
        let address = address.parse().expect("an address");
        Self { address, vendor, folder, process, told }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Installs one more license while the server runs.
    pub(crate) fn install(&self, license: impl FnOnce(LicenseBuilder<'_>) -> LicenseBuilder<'_>) {
        let (c2v, v2c) = (self.folder.path().join("more.c2v"), self.folder.path().join("more.v2c"));
        run("c2v", &self.home(), &c2v);
        license(self.vendor.license_for(&c2v)).write(&v2c);
        run("v2c", &self.home(), &v2c);
    }

    /// What `licensectl` says as JSON.
    pub(crate) fn control(&self, arguments: &[&str]) -> serde_json::Value {
        let home = self.home();
        let output = programs::command("licensectl")
            .arg("--home")
            .arg(home)
            .arg("--json")
            .args(arguments)
            .output()
            .expect("licensectl runs");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "licensectl {arguments:?}: {complaint}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The sessions that hold a seat, as `licensectl` lists them.
    pub(crate) fn sessions(&self) -> Vec<serde_json::Value> {
        self.control(&["sessions"])["sessions"].as_array().expect("a list").clone()
    }

    /// Waits until so many sessions hold a seat.
    pub(crate) fn wait_for_sessions(&self, count: usize) {
        let since = Instant::now();
        while self.sessions().len() != count {
            assert!(since.elapsed() < LONG, "not {count}: {:?}", self.sessions());
        }
    }

    /// The server's public key, as its administrator sees it.
    pub(crate) fn key(&self) -> String {
        self.control(&["status"])["server_key"].as_str().expect("a key").to_owned()
    }

    /// The first line of the log that contains `text`, however long that takes.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        self.told.wait_for(text)
    }

    /// The memory that the server's process has now, in kB.
    pub(crate) fn memory_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), Signal::TERM).expect("the server runs");
    }

    /// Waits for the server's own end; gives all of `license.log`.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().expect("the server is our child");
        let log = fs::read_to_string(self.home().join("log/license.log"));
        (status, log.expect("a log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Puts a license where a server finds it at its start, whether it is valid there or not.
fn put(folder: &Path, license: LicenseBuilder<'_>) {
    fs::create_dir_all(folder).expect("a folder");
    let id = license.clone().build().id;
    license.write(&folder.join(format!("{id}.v2c")));
}

fn run(program: &str, home: &Path, file: &Path) {
    let output = programs::command(program)
        .arg("--home")
        .arg(home)
        .arg("--filename")
        .arg(file)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What the server has told to its standard error: the lines of its log, as they come.
#[derive(Default)]
struct Told {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Told {
    fn listen(stderr: ChildStderr) -> Arc<Self> {
        let told = Arc::new(Self::default());
        let ours = Arc::clone(&told);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                told.lines().lines.push(line);
                told.more.notify_all();
            }
            told.lines().ended = true;
            told.more.notify_all();
        });
        ours
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("nobody panics with it")
    }

    fn wait_for(&self, text: &str) -> String {
        let mut seen = 0;
        let mut lines = self.lines();
        loop {
            let found = lines.lines[seen..].iter().find(|line| line.contains(text));
            if let Some(line) = found {
                return line.clone();
            }
            seen = lines.lines.len();
            assert!(!lines.ended, "the server ended without {text:?}:\n{}", lines.lines.join("\n"));
            let waited = self.more.wait_timeout(lines, LONG).expect("nobody panics with it");
            assert!(
                !waited.1.timed_out(),
                "the log never said {text:?}:\n{}",
                waited.0.lines.join("\n")
            );
            lines = waited.0;
        }
    }
}
