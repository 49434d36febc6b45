//! The yardstick: a bare TLS server, and one handshake with it.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use ve_core::id::HostKey;
use ve_documents::keys::SigningKey;
use ve_wire::tls::{self, Identity};

/// Set for the process that plays the server.
pub(crate) const SERVE: &str = "VE_BENCH_BARE_TLS_SERVER";

fn identity() -> Identity {
    Identity::from_pkcs8(&SigningKey::generate().pkcs8_der()).expect("a fresh key")
}

/// How the clients of a server speak TLS, and which host they are.
pub(crate) fn connector() -> (TlsConnector, HostKey) {
    let identity = identity();
    let host = identity.host_key();
    (TlsConnector::from(Arc::new(tls::client_config(identity).expect("a fresh key"))), host)
}

/// The server's process: prints its address, then answers each byte with itself.
pub(crate) fn serve() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let acceptor =
            TlsAcceptor::from(Arc::new(tls::server_config(identity()).expect("a fresh key")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("bound"));
        std::io::stdout().flush().expect("the bench reads this");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::spawn(echo(acceptor.clone(), stream));
        }
    });
}

async fn echo(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let byte = stream.read_u8().await?;
    stream.write_u8(byte).await?;
    stream.flush().await
}

/// The running yardstick.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    connector: TlsConnector,
}

impl Server {
    pub(crate) fn start() -> Self {
        let program = env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .env(SERVE, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("the server prints its address");
        let address = line.trim().parse().expect("an address");
        Self { process, address, connector: connector().0 }
    }

    /// Connects, shakes hands, and sends one byte there and back.
    pub(crate) fn handshake(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (address, connector) = (self.address, self.connector.clone());
        async move {
            let stream = TcpStream::connect(address).await.expect("the server listens");
            stream.set_nodelay(true).expect("an open socket");
            let mut stream =
                connector.connect(tls::server_name(), stream).await.expect("a handshake");
            stream.write_u8(1).await.expect("written");
            stream.flush().await.expect("written");
            assert_eq!(stream.read_u8().await.expect("the echo"), 1);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
