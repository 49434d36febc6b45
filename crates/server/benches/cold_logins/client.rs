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
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use ve_core::id::{HostKey, Nonce};
use ve_documents::keys;
use ve_wire::{
    frame::{self, FrameReader},
    limits::{MAX_SERVER_MESSAGE_BYTES, VERSIONS},
    proto::{
        ClientHello, ClientMessage, Login, Logout, ServerMessage, client_message::Kind as Ask,
        server_message::Kind, statement::Content,
    },
    random_bytes,
    statement::{self, Believed, Bond},
    tls,
};

use super::yardstick::connector;

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
    let stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("an open socket");
    let stream = connector.connect(tls::server_name(), stream).await.expect("a handshake");
    let mut reader = FrameReader::new(stream, MAX_SERVER_MESSAGE_BYTES);
    let hello =
        ClientHello { versions: VERSIONS.to_vec(), nonce: fresh(), software: "bench".to_owned() };
    say(&mut reader, Ask::Hello(hello)).await;
    assert!(matches!(hear(&mut reader).await, Kind::Hello(_)));
    let nonce = fresh();
    let login = Login {
        request_id: 1,
        nonce: nonce.clone(),
        product: "Charon-SSP".to_owned(),
        version: "5.1.0".to_owned(),
        virtual_hardware: "Charon-SSP/4M".to_owned(),
        cpus: 1,
        memory_mb: 64,
        emulator,
        run: random_bytes::<16>().to_vec(),
        ..Login::default()
    };
    say(&mut reader, Ask::Login(login)).await;
    let granted = answer(&mut reader, host, &nonce).await;
    assert!(matches!(granted.content, Content::Grant(_)), "{granted:?}");
    let session = granted.session.expect("a grant names its session").0.to_vec();
    let nonce = fresh();
    say(&mut reader, Ask::Logout(Logout { request_id: 2, nonce: nonce.clone(), session })).await;
    assert!(matches!(answer(&mut reader, host, &nonce).await.content, Content::LoggedOut(_)));
}

fn fresh() -> Vec<u8> {
    random_bytes::<32>().to_vec()
}

type Reader = FrameReader<TlsStream<TcpStream>>;

async fn say(reader: &mut Reader, kind: Ask) {
    frame::write(reader.stream_mut(), &ClientMessage { kind: Some(kind) }).await.expect("written");
}

async fn hear(reader: &mut Reader) -> Kind {
    let message =
        reader.next::<ServerMessage>().await.expect("a message").expect("an open connection");
    message.kind.expect("a known kind")
}

/// The next answer, with everything checked that a client must check.
async fn answer(reader: &mut Reader, host: HostKey, nonce: &[u8]) -> Believed {
    let Kind::Answer(answer) = hear(reader).await else { panic!("no answer") };
    let server_key =
        tls::server_key(reader.stream().get_ref().1.peer_certificates()).expect("an Ed25519 key");
    let nonce = Nonce(nonce.try_into().expect("32 bytes"));
    let verify =
        |message: &[u8], signature: &[u8]| keys::verify(&server_key, message, signature).is_ok();
    let bond = Bond { nonce, server_key, host };
    statement::open(answer.signed.as_ref(), bond, verify).expect("a signed answer")
}
