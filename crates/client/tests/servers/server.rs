//! A server that says whatever a test wants it to say.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use ve_core::{
    grant::{Grant, Marks},
    id::{HostKey, LicenseId, Nonce, SessionId},
    license::{Credential, Mode},
    reason::{ReasonCode, Refusal},
    time::HOUR_MS,
};
use ve_documents::{credential, keys::SigningKey};
use ve_wire::{
    convert,
    frame::{self, FrameReader},
    limits::MAX_CLIENT_MESSAGE_BYTES,
    proto::{
        self, ClientMessage, ServerMessage, client_message::Kind as Asked,
        server_message::Kind as Said, statement::Content,
    },
    statement::{self, Bond},
    tls::{self, Identity},
};

/// A heartbeat time-out that no test waits for: no slow machine is taken for a silent server.
pub(crate) const LONG_MS: u32 = 60_000;

pub(crate) const CUSTOMER: &str = "Stromasys/Testing";

/// A vendor, a server's key, and everything that the server was told.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) vendor: Arc<SigningKey>,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) license_id: LicenseId,
    mode: Mode,
    heard: Arc<Mutex<Vec<Asked>>>,
}

/// One connection, as the server sees it.
pub(crate) struct Talk {
    pub(crate) server: Server,
    /// Which connection it is, counted from 1.
    pub(crate) number: usize,
    reader: FrameReader<TlsStream<TcpStream>>,
    /// Of the client's hello.
    pub(crate) nonce: Nonce,
    /// Of the client's certificate.
    pub(crate) host: HostKey,
    /// How often the client has said that it lives.
    pub(crate) heartbeats: usize,
    /// Whether the client's heartbeats are answered.
    pub(crate) is_lively: bool,
}

/// What a server says when its client asks for nothing special.
pub(crate) fn grant(session: u8) -> Grant {
    Grant {
        home: None,
        receipt: None,
        session: SessionId([session; 16]),
        license_id: "01.00000001.002.044".parse().unwrap(),
        customer: CUSTOMER.parse().unwrap(),
        product_code: "Charon-SSP/ALL".parse().unwrap(),
        virtual_hardware: "Charon-SSP/4M".parse().unwrap(),
        instances: 4,
        max_cpu: 4,
        max_memory_mb: 512,
        major: 4,
        minor: 2,
        expires: None,
        remaining_ms: None,
        grace_ms: HOUR_MS,
        check_interval_ms: HOUR_MS,
        lease_ms: HOUR_MS,
        marks: Marks::default(),
    }
}

pub(crate) fn refusal() -> Refusal {
    Refusal::new(ReasonCode::InstanceLimit, "all 4 instances are in use.")
}

impl Server {
    pub(crate) fn new() -> Self {
        let key = || Arc::new(SigningKey::generate());
        Self {
            vendor: key(),
            key: key(),
            license_id: "01.00000001.002.044".parse().unwrap(),
            mode: Mode::General,
            heard: Arc::default(),
        }
    }

    /// The same server with a license that counts hosts.
    pub(crate) fn that_counts_hosts(self, license_id: &str) -> Self {
        Self { license_id: license_id.parse().unwrap(), mode: Mode::AutoVe, ..self }
    }

    /// Another server of the same vendor.
    pub(crate) fn sibling(&self) -> Self {
        Self { vendor: self.vendor.clone(), ..Self::new() }
    }

    /// The same server, as another vendor would know it.
    pub(crate) fn of_another_vendor(&self) -> Self {
        Self { key: self.key.clone(), ..Self::new() }
    }

    /// The credential for this server's key.
    pub(crate) fn credential(&self) -> String {
        self.credential_of(CUSTOMER)
    }

    pub(crate) fn credential_of(&self, customer: &str) -> String {
        let credential = Credential {
            customer: customer.parse().unwrap(),
            license_id: self.license_id.clone(),
            mode: self.mode,
            server_key: self.key.public(),
        };
        credential::sign(&credential, &self.vendor)
    }

    /// Everything that clients have said, but for heartbeats.
    pub(crate) fn heard(&self) -> Vec<Asked> {
        self.heard.lock().unwrap().clone()
    }

    /// The sessions that clients wanted to come back to, one for each login.
    pub(crate) fn logins(&self) -> Vec<Vec<u8>> {
        let login = |asked| match asked {
            Asked::Login(login) => Some(login.session),
            _ => None,
        };
        self.heard().into_iter().filter_map(login).collect()
    }

    /// Serves every connection by `script`, on the port that is returned, until the test ends.
    pub(crate) async fn serve<F>(&self, script: impl Fn(Talk) -> F + Send + 'static) -> u16
    where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let identity = Identity::from_pkcs8(&self.key.pkcs8_der()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(identity).unwrap()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        tokio::spawn(async move {
            for number in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = acceptor.accept(stream).await.unwrap();
                let host = tls::host_key(stream.get_ref().1.peer_certificates()).unwrap();
                let reader = FrameReader::new(stream, MAX_CLIENT_MESSAGE_BYTES);
                let (server, nonce) = (server.clone(), Nonce([0; 32]));
                let talk =
                    Talk { server, number, reader, nonce, host, heartbeats: 0, is_lively: false };
                tokio::spawn(script(talk));
            }
        });
        port
    }
}

/// Everything here is `None` when the client is gone: then a script ends.
impl Talk {
    /// The next thing that the client says, but for heartbeats.
    pub(crate) async fn hear(&mut self) -> Option<Asked> {
        loop {
            let message = self.reader.next::<ClientMessage>().await.ok()??;
            match message.kind.unwrap() {
                Asked::Heartbeat(_) => {
                    self.heartbeats += 1;
                    if self.is_lively {
                        self.say(Said::Heartbeat(proto::Heartbeat {})).await?;
                    }
                }
                asked => {
                    self.server.heard.lock().unwrap().push(asked.clone());
                    return Some(asked);
                }
            }
        }
    }

    pub(crate) async fn say(&mut self, said: Said) -> Option<()> {
        let message = ServerMessage { kind: Some(said) };
        frame::write(self.reader.stream_mut(), &message).await.ok()
    }

    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        use tokio::io::AsyncWriteExt;
        self.reader.stream_mut().write_all(bytes).await.ok()
    }

    /// Says nothing, until the client goes.
    pub(crate) async fn listen(&mut self) -> Option<()> {
        while self.hear().await.is_some() {}
        None
    }

    pub(crate) async fn hear_hello(&mut self) -> Option<()> {
        let Asked::Hello(hello) = self.hear().await? else { panic!("no hello") };
        self.nonce = convert::nonce(&hello.nonce).unwrap();
        Some(())
    }

    /// Both hellos, with these credentials and heartbeats.
    pub(crate) async fn greet_with(
        &mut self,
        credentials: Vec<String>,
        timeout_ms: u32,
    ) -> Option<()> {
        self.hear_hello().await?;
        self.say(Said::Hello(hello(credentials, timeout_ms))).await
    }

    /// Both hellos, as they should be.
    pub(crate) async fn greet(&mut self) -> Option<()> {
        self.greet_with(vec![self.server.credential()], LONG_MS).await
    }

    /// The login that must come now.
    pub(crate) async fn hear_login(&mut self) -> Option<proto::Login> {
        match self.hear().await? {
            Asked::Login(login) => Some(login),
            other => panic!("{other:?} instead of a login"),
        }
    }

    /// What its words must be bound to.
    pub(crate) fn bond(&self, nonce: Nonce) -> Bond {
        Bond { nonce, server_key: self.server.key.public(), host: self.host }
    }

    /// What the server signs, as it should be.
    pub(crate) fn seal(
        &self,
        nonce: Nonce,
        session: Option<u8>,
        content: Content,
    ) -> proto::Signed {
        let key = &self.server.key;
        let session = session.map(|session| SessionId([session; 16]));
        statement::seal(self.bond(nonce), session, content, |message| key.sign(message))
    }

    /// Answers a request.
    pub(crate) async fn answer(
        &mut self,
        request_id: u64,
        nonce: &[u8],
        session: Option<u8>,
        content: Content,
    ) -> Option<()> {
        let nonce = convert::nonce(nonce).unwrap();
        let signed = Some(self.seal(nonce, session, content));
        self.say(Said::Answer(proto::Answer { receipt: String::new(), request_id, signed })).await
    }

    /// Hears a login and grants it.
    pub(crate) async fn grant(&mut self, grant: &Grant) -> Option<()> {
        let login = self.hear_login().await?;
        let content = Content::Grant(convert::grant_message(grant));
        self.answer(login.request_id, &login.nonce, Some(grant.session.0[0]), content).await
    }

    /// Grants a login, with this beside it.
    pub(crate) async fn answer_with(
        &mut self,
        login: &proto::Login,
        grant: &Grant,
        receipt: String,
    ) -> Option<()> {
        let nonce = convert::nonce(&login.nonce).unwrap();
        let content = Content::Grant(convert::grant_message(grant));
        let signed = Some(self.seal(nonce, Some(grant.session.0[0]), content));
        let request_id = login.request_id;
        self.say(Said::Answer(proto::Answer { receipt, request_id, signed })).await
    }

    /// Takes a session back.
    pub(crate) async fn revoke(&mut self, session: u8) -> Option<()> {
        let content = Content::Revoked(convert::refusal_message(&refusal()));
        let signed = Some(self.seal(self.nonce, Some(session), content));
        self.say(Said::Revoked(proto::Revoked { signed })).await
    }
}

pub(crate) fn hello(credentials: Vec<String>, timeout_ms: u32) -> proto::ServerHello {
    proto::ServerHello {
        version: 1,
        versions: vec![1],
        credentials,
        software: "made by hand".into(),
        heartbeat_interval_ms: 100,
        heartbeat_timeout_ms: timeout_ms,
    }
}

pub(crate) fn goodbye(refusal: &Refusal) -> Said {
    Said::Goodbye(proto::Goodbye { refusal: Some(convert::refusal_message(refusal)) })
}
