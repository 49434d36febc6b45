//! What is measured: one login with a real `licensed`, from TCP to the confirmed logout.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::sleep,
    time::Duration,
};

use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use ve_core::id::HostKey;
use ve_wire::proto::{Logout, client_message::Kind as Ask, statement::Content};

use super::{
    talk::{self, answer, fresh, say},
    yardstick::connector,
};

/// The running server.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    connector: TlsConnector,
    /// The host that all clients are.
    host: HostKey,
    /// Makes every emulator's name its own.
    logins: Arc<AtomicU64>,
    _folder: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        install_license(folder.path(), &home);
        let process = ve_testbed::programs::command("licensed")
            .args(["--listen", "127.0.0.1:0", "--home"])
            .arg(&home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("licensed runs");
        let address = address_of(&home);
        let (connector, host) = connector();
        Self { process, address, connector, host, logins: Arc::default(), _folder: folder }
    }

    /// Logs in, checks the signed grant, and logs out.
    pub(crate) fn login(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (address, connector, host) = (self.address, self.connector.clone(), self.host);
        let name = format!("emulator-{}", self.logins.fetch_add(1, Ordering::Relaxed));
        async move { log_in_and_out(address, connector, host, name).await }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn install_license(folder: &Path, home: &Path) {
    let vendor = ve_testbed::vendor(&folder.join("vendor"));
    vendor.trust_in(home);
    let (c2v, v2c) = (folder.join("server.c2v"), folder.join("server.v2c"));
    run("c2v", home, &c2v);
    vendor.license_for(&c2v).instances(100_000).write(&v2c);
    run("v2c", home, &v2c);
}

fn run(program: &str, home: &Path, file: &Path) {
    let status = ve_testbed::programs::command(program)
        .arg("--home")
        .arg(home)
        .arg("--filename")
        .arg(file)
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("it runs").success(), "{program} failed");
}

/// The address in the log of a server that is ready.
fn address_of(home: &Path) -> SocketAddr {
    for _ in 0..600 {
        let log = fs::read_to_string(home.join("log/license.log")).unwrap_or_default();
        let address = log.lines().find_map(|line| {
            line.split("Listening on ").nth(1)?.trim_end_matches('.').parse().ok()
        });
        if let (Some(address), true) = (address, log.contains("ready to serve")) {
            return address;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("licensed is not ready after 30 seconds");
}

async fn log_in_and_out(
    address: SocketAddr,
    connector: TlsConnector,
    host: HostKey,
    emulator: String,
) {
    let mut reader = talk::connect(address, connector).await;
    let nonce = fresh();
    let login = talk::login(emulator, nonce.clone());
    say(&mut reader, Ask::Login(login)).await;
    let granted = answer(&mut reader, host, &nonce).await;
    assert!(matches!(granted.content, Content::Grant(_)), "{granted:?}");
    let session = granted.session.expect("a grant names its session").0.to_vec();
    let nonce = fresh();
    say(&mut reader, Ask::Logout(Logout { request_id: 2, nonce: nonce.clone(), session })).await;
    assert!(matches!(answer(&mut reader, host, &nonce).await.content, Content::LoggedOut(_)));
}
