//! A license server as an administrator runs it: a home, a vendor's license for it, `licensed`.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{self, Child, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use serde_json::Value;

use crate::{
    network::Host,
    programs,
    vendor::{LicenseBuilder, Vendor},
    wait,
};

/// Installs a license of `vendor` in a server's home with the administrator's own tools, whether a
/// server runs there or not. `edit` changes the license; see [`Vendor::license`] for what it says
/// otherwise.
#[track_caller]
pub fn install(
    vendor: &Vendor,
    home: &Path,
    edit: impl for<'a> FnOnce(LicenseBuilder<'a>) -> LicenseBuilder<'a>,
) {
    vendor.trust_in(home);
    let (c2v, v2c) = (home.join("server.c2v"), home.join("server.v2c"));
    tool("c2v", home, &["--filename", path_text(&c2v)]);
    edit(vendor.license_for(&c2v)).write(&v2c);
    tool("v2c", home, &["--filename", path_text(&v2c)]);
}

/// A running license server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    home: PathBuf,
    listen: SocketAddr,
    starts: u32,
    /// Where it runs, if not on the tester's own host.
    host: Option<Host>,
    process: Option<Child>,
}

impl Server {
    /// Starts `licensed` in `home` on a free port; returns when it is ready to serve.
    #[track_caller]
    pub fn start(home: &Path) -> Self {
        Self::start_at(home, own_address(), None)
    }

    /// The same on another host.
    #[track_caller]
    pub fn start_on(host: &Host, home: &Path) -> Self {
        Self::start_at(home, host.address(), Some(host.clone()))
    }

    #[track_caller]
    fn start_at(home: &Path, address: Ipv4Addr, host: Option<Host>) -> Self {
        fs::create_dir_all(home).expect("a home");
        let listen = SocketAddr::new(address.into(), 0);
        let mut server = Self { home: home.to_owned(), listen, starts: 0, host, process: None };
        server.launch();
        server
    }

    /// Starts it, on the port that it had if it ran before, and waits until it is ready to serve.
    #[track_caller]
    fn launch(&mut self) {
        self.starts += 1;
        let output = self.home.join(format!("licensed-{}.out", self.starts));
        let file = File::create(&output).expect("a file for the server's output");
        let mut command = match &self.host {
            Some(host) => host.command(&programs::path("licensed")),
            None => programs::command("licensed"),
        };
        let child = command
            .args(["--home", path_text(&self.home)])
            .args(["--listen", &self.listen.to_string()])
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("the license server starts");
        let child = self.process.insert(child);
        let mut ended = false;
        let told = wait::until("the license server is ready", || {
            // Looked at before the output is read: what an ended server said is all there.
            ended = child.try_wait().expect("a process").is_some();
            let told = wait::content(&output);
            (ended || told.contains("License server is ready to serve.")).then_some(told)
        });
        assert!(!ended, "the license server has ended:\n{told}");
        self.listen = listening_on(&told);
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            // Fails only when it has ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Starts it again after [`Self::kill`], on the same port.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the server still runs");
        self.launch();
    }

    /// Its process.
    ///
    /// # Panics
    ///
    /// While it is killed.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("a running server").id()
    }

    /// Where it listens, `address:port`.
    ///
    /// The address is a loopback address of this server's own. So no other program can take the
    /// port while the server is down, and whoever tries to connect meanwhile can't meet itself, as
    /// it may on `127.0.0.1`.
    pub fn address(&self) -> String {
        self.listen.to_string()
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What its current log says.
    pub fn log(&self) -> String {
        wait::content(&self.log_file())
    }

    /// Its log.
    pub fn log_file(&self) -> PathBuf {
        self.home.join("log/license.log")
    }

    /// Runs `licensectl` with these arguments; what it prints.
    #[track_caller]
    pub fn licensectl(&self, arguments: &[&str]) -> String {
        tool("licensectl", &self.home, arguments)
    }

    /// A report of `licensectl --json`, such as `sessions` or `denials`: the list of that name.
    #[track_caller]
    pub fn list(&self, report: &str) -> Vec<Value> {
        let text = self.licensectl(&[report, "--json"]);
        let mut object: Value = serde_json::from_str(&text).expect("JSON");
        match object[report].take() {
            Value::Array(list) => list,
            other => panic!("{report} is no list but {other}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a tool on a home; panics with what it says when it fails.
#[track_caller]
fn tool(name: &str, home: &Path, arguments: &[&str]) -> String {
    let home = ["--home", path_text(home)];
    programs::output_of(programs::command(name).args(home).args(arguments))
}

/// The address in the line that tells of it.
fn listening_on(told: &str) -> SocketAddr {
    let line = told.lines().find_map(|line| line.split_once("Listening on "));
    let address = line.and_then(|(_, address)| address.trim_end_matches('.').parse().ok());
    address.unwrap_or_else(|| panic!("no address in:\n{told}"))
}

/// A loopback address that nobody else uses: of this process, and of this call.
fn own_address() -> Ipv4Addr {
    static CALLS: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = process::id().to_be_bytes();
    // 127.0.0.1 and 127.0.0.0 are everybody's.
    let call = 2 + CALLS.fetch_add(1, Ordering::Relaxed) % 250;
    Ipv4Addr::new(127, high, low, call)
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
