//! One connection: TLS, the two hellos, then requests to the node and signed answers back.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use ve_core::{
    id::{LinkId, Nonce, SessionId},
    node::io::{Answer, Ask, Input, RequestId},
    reason::{ReasonCode, Refusal},
    text::Name,
};
use ve_documents::keys::SigningKey;
use ve_host::clock;
use ve_wire::{
    convert, random_bytes,
    frame::{self, FrameError, FrameReader},
    limits::{HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, HELLO_TIMEOUT_MS, MAX_CLIENT_MESSAGE_BYTES, MAX_VERSIONS, VERSIONS},
    proto::{
        self, ClientMessage, ServerMessage, client_message, server_message, statement::Content,
    },
    statement,
    tls::host_key,
};

use crate::{
    addresses::Place,
    credentials::Credentials,
    driver::{NodeHandle, ToLink},
    log::Log,
};

/// How many requests of one link may be open; a client that sends more waits for answers first.
const MAX_OPEN_REQUESTS: usize = 1_280;

/// What every link of a server shares.
#[derive(Clone)]
pub struct Shared {
    /// TLS with the license-bound key.
    pub tls: TlsAcceptor,
    /// The key that signs every answer.
    pub key: Arc<SigningKey>,
    /// What the server shows before login.
    pub credentials: Credentials,
    /// The way to the node.
    pub node: NodeHandle,
    /// The log.
    pub log: Log,
}

/// Why a link ended before its time.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("no TLS 1.3 connection came about: {0}")]
    Tls(std::io::Error),
    #[error("no hello came within {} seconds", HELLO_TIMEOUT_MS / 1_000)]
    NoHello,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{}", .0.sentence)]
    Protocol(Refusal),
    #[error("the connection failed: {0}")]
    Write(std::io::Error),
    #[error("the client reads too slowly")]
    TooSlow,
    #[error("no common protocol version; the client speaks {0:?}, this server {VERSIONS:?}")]
    Version(Vec<u32>),
    #[error("the license service has stopped")]
    Stopped(#[from] crate::driver::Stopped),
}

impl LinkError {
    /// What the other side did wrong, if it did.
    fn refusal(&self) -> Option<Refusal> {
        let bad = |sentence: String| Some(Refusal::new(ReasonCode::BadRequest, sentence));
        match self {
            Self::Protocol(refusal) => Some(refusal.clone()),
            Self::Version(_) => Some(Refusal::new(ReasonCode::ProtocolVersionInvalid, format!("{self}."))),
            Self::Tls(_) | Self::NoHello => bad(format!("{self}.")),
            Self::Frame(error) if error.is_their_fault() => bad(format!("{error}.")),
            Self::Frame(_) | Self::Write(_) | Self::TooSlow | Self::Stopped(_) => None,
        }
    }
}

/// Serves one connection from its first byte to its last.
pub async fn serve(shared: Shared, link: LinkId, stream: TcpStream, address: SocketAddr, place: Place) {
    if let Err(error) = run(&shared, link, stream, address, place).await
        && let Some(refusal) = error.refusal()
    {
        shared.log.connection_refused(address, &refusal);
    }
}

async fn run(
    shared: &Shared,
    link: LinkId,
    stream: TcpStream,
    address: SocketAddr,
    mut place: Place,
) -> Result<(), LinkError> {
    let deadline = Instant::now() + Duration::from_millis(HELLO_TIMEOUT_MS);
    let handshake = tokio::time::timeout_at(deadline, shared.tls.accept(stream));
    let stream = handshake.await.map_err(|_| LinkError::NoHello)?.map_err(LinkError::Tls)?;
    let host = host_key(stream.get_ref().1.peer_certificates());
    let host = host.ok_or_else(|| LinkError::Tls(std::io::Error::other("the client showed no key")))?;
    let mut reader = FrameReader::new(stream, MAX_CLIENT_MESSAGE_BYTES);
    let hello = tokio::time::timeout_at(deadline, greet(shared, &mut reader));
    let greeted = match hello.await {
        Ok(greeted) => greeted,
        Err(_) => Err(LinkError::NoHello),
    };
    let nonce = match greeted {
        Ok(Some(nonce)) => nonce,
        Ok(None) => return Ok(()),
        Err(error) => {
            say_goodbye(&mut reader, error.refusal()).await;
            return Err(error);
        }
    };
    let name: Name = address.to_string().parse().expect("an address is a short name without control characters");
    let queue = shared.node.open_link(link, host, name).await?;
    let mut open = OpenLink {
        shared,
        link,
        reader,
        nonce,
        asked: HashMap::new(),
        last_heard: Instant::now(),
        place: &mut place,
    };
    let ended = open.talk(queue).await;
    let silent_ms = u64::try_from(open.last_heard.elapsed().as_millis()).unwrap_or(u64::MAX);
    let now = clock::elapsed();
    let last_heard = ve_core::time::Elapsed(now.0.saturating_sub(silent_ms));
    shared.node.input(Input::LinkClosed { link, last_heard }).await?;
    if let Err(error) = &ended {
        say_goodbye(&mut open.reader, error.refusal()).await;
    } else {
        let _ = timeout(Duration::from_secs(1), open.reader.stream_mut().shutdown()).await;
    }
    ended
}

/// Exchanges the hellos. `None`: all is said, and there is nothing to talk about.
async fn greet(
    shared: &Shared,
    reader: &mut FrameReader<TlsStream<TcpStream>>,
) -> Result<Option<Nonce>, LinkError> {
    let Some(first) = reader.next::<ClientMessage>().await? else { return Ok(None) };
    let protocol = |sentence: &str| LinkError::Protocol(Refusal::new(ReasonCode::BadRequest, sentence));
    let Some(client_message::Kind::Hello(hello)) = first.kind else {
        return Err(protocol("the first message must be a hello."));
    };
    if hello.versions.is_empty() || hello.versions.len() > MAX_VERSIONS {
        return Err(protocol("a hello names 1 to 16 protocol versions."));
    }
    let nonce = convert::nonce(&hello.nonce).map_err(LinkError::Protocol)?;
    let version = convert::common_version(&hello.versions, VERSIONS);
    let credentials = shared.credentials.current();
    let ours = proto::ServerHello {
        version: version.unwrap_or(0),
        versions: VERSIONS.to_vec(),
        credentials: credentials.to_vec(),
        software: format!("licensed {}", env!("CARGO_PKG_VERSION")),
        heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS,
        heartbeat_timeout_ms: HEARTBEAT_TIMEOUT_MS,
    };
    write(reader, server_message::Kind::Hello(ours)).await?;
    if version.is_none() {
        return Err(LinkError::Version(hello.versions));
    }
    if credentials.is_empty() {
        let why = shared.node.look(|node, _| node.why_no_license()).await?;
        say_goodbye(reader, Some(why)).await;
        return Ok(None);
    }
    Ok(Some(nonce))
}

async fn write(
    reader: &mut FrameReader<TlsStream<TcpStream>>,
    kind: server_message::Kind,
) -> Result<(), LinkError> {
    let patience = Duration::from_millis(HEARTBEAT_TIMEOUT_MS.into());
    let message = ServerMessage { kind: Some(kind) };
    let written = timeout(patience, frame::write(reader.stream_mut(), &message)).await;
    written.map_err(|_| LinkError::TooSlow)?.map_err(LinkError::Write)
}

/// Says why the connection ends, to a client that listens; nobody waits long for one that does not.
async fn say_goodbye(reader: &mut FrameReader<TlsStream<TcpStream>>, refusal: Option<Refusal>) {
    let Some(refusal) = refusal else { return };
    let goodbye = proto::Goodbye { refusal: Some(convert::refusal_message(&refusal)) };
    if write(reader, server_message::Kind::Goodbye(goodbye)).await.is_ok() {
        let _ = timeout(Duration::from_secs(1), reader.stream_mut().shutdown()).await;
    }
}

/// A question that is open: what its answer must repeat.
struct Asked {
    nonce: Nonce,
    session: Option<SessionId>,
}

/// A link after its hellos.
struct OpenLink<'a> {
    shared: &'a Shared,
    link: LinkId,
    reader: FrameReader<TlsStream<TcpStream>>,
    /// The client's hello nonce: binds what is said unasked.
    nonce: Nonce,
    asked: HashMap<RequestId, Asked>,
    last_heard: Instant,
    place: &'a mut Place,
}

impl OpenLink<'_> {
    /// Talks until one side ends it.
    async fn talk(&mut self, mut queue: mpsc::Receiver<ToLink>) -> Result<(), LinkError> {
        let patience = Duration::from_millis(HEARTBEAT_TIMEOUT_MS.into());
        loop {
            let may_ask = self.asked.len() < MAX_OPEN_REQUESTS;
            tokio::select! {
                message = self.reader.next::<ClientMessage>(), if may_ask => match message? {
                    Some(message) => self.hear(message).await?,
                    None => return Ok(()),
                },
                // Without its queue the link was cut off by the driver.
                message = queue.recv() => match message {
                    Some(message) => self.say(message).await?,
                    None => return Err(LinkError::TooSlow),
                },
                () = sleep_until(self.last_heard + patience), if may_ask => return Ok(()),
            }
        }
    }

    async fn hear(&mut self, message: ClientMessage) -> Result<(), LinkError> {
        self.last_heard = Instant::now();
        let bad = |sentence: &str| LinkError::Protocol(Refusal::new(ReasonCode::BadRequest, sentence));
        match message.kind {
            Some(client_message::Kind::Heartbeat(_)) => {
                write(&mut self.reader, server_message::Kind::Heartbeat(proto::Heartbeat {})).await
            }
            Some(client_message::Kind::Login(login)) => self.hear_login(&login).await,
            Some(client_message::Kind::Check(check)) => {
                self.hear_about(check.request_id, &check.nonce, &check.session, Ask::Check).await
            }
            Some(client_message::Kind::Logout(logout)) => {
                self.hear_about(logout.request_id, &logout.nonce, &logout.session, Ask::Logout).await
            }
            Some(client_message::Kind::Pong(pong)) => {
                let session = convert::session(&pong.session).map_err(LinkError::Protocol)?;
                let pong = Input::Pong { link: self.link, session, runs: pong.runs };
                Ok(self.shared.node.input(pong).await?)
            }
            Some(client_message::Kind::Hello(_)) => Err(bad("a hello is said once.")),
            None => Err(bad("the message is of no known kind.")),
        }
    }

    /// Notes a question, so that its answer can repeat its nonce.
    fn ask(&mut self, request: RequestId, nonce: &[u8], session: Option<SessionId>) -> Result<(), LinkError> {
        let nonce = convert::nonce(nonce).map_err(LinkError::Protocol)?;
        if self.asked.insert(request, Asked { nonce, session }).is_none() {
            return Ok(());
        }
        let sentence = "the request_id of an open request was used again.";
        Err(LinkError::Protocol(Refusal::new(ReasonCode::BadRequest, sentence)))
    }

    async fn hear_login(&mut self, message: &proto::Login) -> Result<(), LinkError> {
        let request = message.request_id;
        self.ask(request, &message.nonce, None)?;
        let login = match convert::login(message) {
            Ok(login) => login,
            Err(refusal) => {
                if let Some(address) = self.address() {
                    self.shared.log.connection_refused(address, &refusal);
                }
                return self.answer(request, Answer::Refused(refusal)).await;
            }
        };
        let ask = if message.probe { Ask::Probe(login) } else { Ask::Login { login, fresh: SessionId(random_bytes()) } };
        Ok(self.shared.node.input(Input::Request { link: self.link, request, ask }).await?)
    }

    async fn hear_about(
        &mut self,
        request: RequestId,
        nonce: &[u8],
        session: &[u8],
        ask: impl FnOnce(SessionId) -> Ask,
    ) -> Result<(), LinkError> {
        let session = convert::session(session).map_err(LinkError::Protocol)?;
        self.ask(request, nonce, Some(session))?;
        Ok(self.shared.node.input(Input::Request { link: self.link, request, ask: ask(session) }).await?)
    }

    fn address(&self) -> Option<SocketAddr> {
        self.reader.stream().get_ref().0.peer_addr().ok()
    }

    async fn say(&mut self, message: ToLink) -> Result<(), LinkError> {
        match message {
            ToLink::Answer(request, answer) => self.answer(request, answer).await,
            ToLink::Revoked(session, refusal) => {
                let content = Content::Revoked(convert::refusal_message(&refusal));
                let signed = self.seal(self.nonce, Some(session), content);
                let revoked = proto::Revoked { signed: Some(signed) };
                write(&mut self.reader, server_message::Kind::Revoked(revoked)).await
            }
            ToLink::Ping(session) => {
                let ping = proto::Ping { session: session.0.to_vec() };
                write(&mut self.reader, server_message::Kind::Ping(ping)).await
            }
            ToLink::Closing => write(&mut self.reader, server_message::Kind::Closing(proto::Closing {})).await,
        }
    }

    async fn answer(&mut self, request: RequestId, answer: Answer) -> Result<(), LinkError> {
        let Some(Asked { nonce, session }) = self.asked.remove(&request) else { return Ok(()) };
        let (session, content) = match answer {
            Answer::Granted(grant) => {
                self.place.mark_licensed();
                (Some(grant.session), Content::Grant(convert::grant_message(&grant)))
            }
            Answer::Refused(refusal) => (session, Content::Refusal(convert::refusal_message(&refusal))),
            Answer::LoggedOut(session) => (Some(session), Content::LoggedOut(proto::LoggedOut {})),
        };
        let signed = self.seal(nonce, session, content);
        let answer = proto::Answer { request_id: request, signed: Some(signed) };
        write(&mut self.reader, server_message::Kind::Answer(answer)).await
    }

    fn seal(&self, nonce: Nonce, session: Option<SessionId>, content: Content) -> proto::Signed {
        let key = &self.shared.key;
        statement::seal(nonce, key.public(), session, content, |message| key.sign(message))
    }
}
