//! An emulator host as the server sees it: a key, links, and sessions on them.
//!
//! It does what it is told and nothing by itself but heartbeats, so that a test can do things in an
//! order that the real client avoids. Every answer is checked as the real one checks it.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;
use ve_core::{
    grant::Grant,
    id::{HostKey, Nonce, SessionId},
    reason::{ReasonCode, Refusal},
};
use ve_documents::keys::SigningKey;
use ve_wire::{
    convert,
    frame::FrameReader,
    limits::{MAX_SERVER_MESSAGE_BYTES, VERSIONS},
    proto::{self, client_message::Kind, server_message, statement::Content},
    random_bytes,
    statement::Believed,
    tls::{self, Identity},
};

pub(crate) use super::talk::Event;
use super::{
    awaited,
    talk::{Order, Talk, read, write},
};

/// What a link that is open always gives.
const ANSWER: &str = "an answer before the connection ends";

/// A computer with a key of its own.
#[derive(Clone)]
pub(crate) struct Host {
    tls: TlsConnector,
    key: HostKey,
}

/// A program that wants a seat.
#[derive(Debug, Clone)]
pub(crate) struct Emulator {
    pub(crate) name: String,
    pub(crate) hardware: &'static str,
    pub(crate) session: Option<SessionId>,
    pub(crate) run: [u8; 16],
    /// What it shows of its past.
    pub(crate) witnesses: Vec<proto::Signed>,
    /// What it says of its host.
    pub(crate) facts: Option<proto::HostFacts>,
}

impl Emulator {
    pub(crate) fn new(name: &str) -> Self {
        let run = random_bytes();
        let (hardware, witnesses) = ("Charon-SSP/4M", Vec::new());
        Self { name: name.to_owned(), hardware, session: None, run, witnesses, facts: None }
    }

    /// The same program, which knows its session.
    pub(crate) fn knowing(&self, session: SessionId) -> Self {
        Self { session: Some(session), ..self.clone() }
    }

    /// The same emulator, started anew.
    pub(crate) fn started_anew(&self) -> Self {
        Self { run: random_bytes(), session: None, ..self.clone() }
    }

    fn login(&self) -> proto::Login {
        proto::Login {
            product: "Charon-SSP".to_owned(),
            version: "5.2.1".to_owned(),
            virtual_hardware: self.hardware.to_owned(),
            cpus: 1,
            memory_mb: 64,
            emulator: self.name.clone(),
            session: self.session.map_or_else(Vec::new, |session| session.0.to_vec()),
            run: self.run.to_vec(),
            witnesses: self.witnesses.clone(),
            facts: self.facts.clone(),
            ..proto::Login::default()
        }
    }
}

/// A connection; cut off when dropped, without a word.
pub(crate) struct Link {
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::UnboundedReceiver<Event>,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A session, and the link that it is on.
pub(crate) struct Running {
    pub(crate) link: Link,
    pub(crate) emulator: Emulator,
    pub(crate) grant: Grant,
    /// The grant as it came.
    pub(crate) signed: proto::Signed,
    /// The receipt beside it.
    #[allow(dead_code, reason = "the stories of AutoVE read it")]
    pub(crate) receipt: String,
}

impl Host {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate();
        let identity = Identity::from_pkcs8(&key.pkcs8_der()).expect("a key for TLS");
        let host = identity.host_key();
        let config = tls::client_config(identity).expect("a TLS client");
        Self { tls: Arc::new(config).into(), key: host }
    }

    /// Connects and says hello; the server's reason when it shows no credential.
    pub(crate) async fn connect(&self, port: u16) -> Result<Link, Refusal> {
        self.connect_to((Ipv4Addr::LOCALHOST, port).into()).await
    }

    /// The same with a server that is elsewhere.
    pub(crate) async fn connect_to(&self, server: SocketAddr) -> Result<Link, Refusal> {
        awaited("the server's hello", self.greet(server)).await
    }

    /// The digest of its key.
    #[allow(dead_code, reason = "the stories of AutoVE ask for it")]
    pub(crate) fn key(&self) -> HostKey {
        self.key
    }

    async fn greet(&self, server: SocketAddr) -> Result<Link, Refusal> {
        let stream = TcpStream::connect(server).await.expect("a listening server");
        let stream = self.tls.connect(tls::server_name(), stream).await.expect("TLS");
        let server_key = tls::server_key(stream.get_ref().1.peer_certificates()).expect("a key");
        let mut reader = FrameReader::new(stream, MAX_SERVER_MESSAGE_BYTES);
        let nonce = Nonce(random_bytes());
        let hello = proto::ClientHello {
            peer_credentials: Vec::new(),
            versions: VERSIONS.to_vec(),
            nonce: nonce.0.to_vec(),
            software: "a test".to_owned(),
        };
        write(&mut reader, Kind::Hello(hello)).await.expect("a server that reads");
        let Some(server_message::Kind::Hello(hello)) = read(&mut reader).await else {
            panic!("the server said no hello");
        };
        if hello.credentials.is_empty() {
            let Some(server_message::Kind::Goodbye(goodbye)) = read(&mut reader).await else {
                panic!("the server did not say why it has no credential");
            };
            return Err(convert::refusal(&goodbye.refusal.expect("a reason")));
        }
        let (orders, to_do) = mpsc::unbounded_channel();
        let (happened, events) = mpsc::unbounded_channel();
        let (asked, host) = (HashMap::new(), self.key);
        let talk = Talk { reader, server_key, host, nonce, asked, happened };
        Ok(Link { orders, events, task: tokio::spawn(talk.run(to_do)) })
    }

    /// Connects and logs in on a link of its own.
    pub(crate) async fn run(&self, port: u16, emulator: &Emulator) -> Result<Running, Refusal> {
        self.run_at((Ipv4Addr::LOCALHOST, port).into(), emulator).await
    }

    /// The same with a server that is elsewhere.
    pub(crate) async fn run_at(
        &self,
        server: SocketAddr,
        emulator: &Emulator,
    ) -> Result<Running, Refusal> {
        let link = self.connect_to(server).await?;
        let (believed, answer) = link.ask_login(emulator).await.expect(ANSWER);
        let grant = granted(believed)?;
        let emulator = emulator.knowing(grant.session);
        let (signed, receipt) = (answer.signed.expect("it was believed"), answer.receipt);
        Ok(Running { link, emulator, grant, signed, receipt })
    }

    /// The refusal of a login that must be refused for this reason.
    #[track_caller]
    pub(crate) fn refused(
        &self,
        port: u16,
        emulator: &Emulator,
        code: ReasonCode,
    ) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            match self.run(port, emulator).await {
                Err(refusal) if refusal.code == code => refusal.sentence,
                Err(refusal) => panic!("{caller}: {code} expected: {refusal}"),
                Ok(_) => panic!("{caller}: {code} expected, but {} was let in", emulator.name),
            }
        }
    }
}

impl Link {
    /// Asks for a seat.
    pub(crate) async fn login(&self, emulator: &Emulator) -> Result<Grant, Refusal> {
        self.try_login(emulator).await.expect(ANSWER)
    }

    /// Asks whether the session is still licensed.
    pub(crate) async fn check(&self, session: SessionId) -> Result<Grant, Refusal> {
        self.try_check(session).await.expect(ANSWER)
    }

    /// Gives the seat back.
    pub(crate) async fn logout(&self, session: SessionId) -> Result<(), Refusal> {
        self.try_logout(session).await.expect(ANSWER)
    }

    /// A login whose answer may never come: `None` when the connection ended before.
    pub(crate) async fn try_login(&self, emulator: &Emulator) -> Option<Result<Grant, Refusal>> {
        self.ask_login(emulator).await.map(|(believed, _)| granted(believed))
    }

    async fn ask_login(&self, emulator: &Emulator) -> Option<(Believed, proto::Answer)> {
        let login = emulator.login();
        let login =
            move |request_id, nonce| Kind::Login(proto::Login { request_id, nonce, ..login });
        self.ask(login).await
    }

    /// The same for a check.
    pub(crate) async fn try_check(&self, session: SessionId) -> Option<Result<Grant, Refusal>> {
        let session = session.0.to_vec();
        let check = |request_id, nonce| Kind::Check(proto::Check { request_id, nonce, session });
        self.ask(check).await.map(|(believed, _)| granted(believed))
    }

    /// The same for a logout.
    pub(crate) async fn try_logout(&self, session: SessionId) -> Option<Result<(), Refusal>> {
        let session = session.0.to_vec();
        let logout = |request_id, nonce| Kind::Logout(proto::Logout { request_id, nonce, session });
        self.ask(logout).await.map(|(believed, _)| match believed.content {
            Content::LoggedOut(_) => Ok(()),
            Content::Refusal(refusal) => Err(convert::refusal(&refusal)),
            other => panic!("no answer to a logout: {other:?}"),
        })
    }

    async fn ask(
        &self,
        question: impl FnOnce(u64, Vec<u8>) -> Kind + Send + 'static,
    ) -> Option<(Believed, proto::Answer)> {
        let (sender, answer) = oneshot::channel();
        self.orders.send(Order::Ask(Box::new(question), sender)).ok()?;
        awaited("an answer", answer).await.ok()
    }

    /// What the server says next without being asked.
    pub(crate) async fn event(&mut self) -> Event {
        awaited("word from the server", self.events.recv()).await.unwrap_or(Event::Closed)
    }

    /// What the server has said so far without being asked.
    pub(crate) fn events_so_far(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Neither reads nor writes from now on, but stays connected.
    pub(crate) fn freeze(&self) {
        self.orders.send(Order::Freeze).expect("a link that is open");
    }
}

fn granted(answer: Believed) -> Result<Grant, Refusal> {
    match (answer.content, answer.session) {
        (Content::Grant(grant), Some(session)) => {
            Ok(convert::grant(&grant, session).expect("a grant within the limits"))
        }
        (Content::Refusal(refusal), _) => Err(convert::refusal(&refusal)),
        other => panic!("neither granted nor refused: {other:?}"),
    }
}
