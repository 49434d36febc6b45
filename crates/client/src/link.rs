//! One connection to one server: TLS, the hellos, trust, then questions and answers.

use std::{collections::HashMap, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use ve_core::{
    client::io::ConnectError,
    grant::Grant,
    id::{Nonce, RunId, ServerKey, SessionId},
    reason::Refusal,
    text::{Name, printable},
};
use ve_documents::keys;
use ve_wire::{
    convert,
    frame::{self, FrameReader},
    limits::{HELLO_TIMEOUT_MS, MAX_SERVER_MESSAGE_BYTES, VERSIONS},
    proto::{
        self, ClientMessage, ServerMessage, client_message, server_message, statement::Content,
    },
    random_bytes,
    statement::{self, Believed},
    tls,
};

use crate::{
    config::{HostIdentity, Program, Server},
    trust,
};

/// The longest that a heartbeat time-out may be, whatever a server says, in milliseconds.
const MAX_HEARTBEAT_MS: u32 = 60_000;

/// A question to a server.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// A seat; or, as a probe, whether there would be one.
    Login { session: Option<SessionId>, probe: bool },
    /// Whether the session is still licensed.
    Check(SessionId),
    /// The session is over.
    Logout(SessionId),
}

/// What a server says.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    Granted(Box<Grant>),
    Refused(Refusal),
    LoggedOut,
    Revoked(Refusal),
    /// Whether a session still runs; answered with [`Link::pong`].
    Ping(SessionId),
}

/// The connection is of no further use, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Lost(pub(crate) String);

/// What a link needs to know beyond its server.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) program: Program,
    pub(crate) host: HostIdentity,
    pub(crate) vendor_keys: Vec<keys::VerifyingKey>,
    pub(crate) run: RunId,
}

/// A connection to a server that has proved that its vendor knows it.
pub(crate) struct Link {
    reader: FrameReader<TlsStream<TcpStream>>,
    server_key: ServerKey,
    customer: Name,
    nonce: Nonce,
    asked: HashMap<u64, Nonce>,
    last_request: u64,
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
    last_heard: Instant,
    last_said: Instant,
}

impl Link {
    /// Connects and says hello; everything within the time that the protocol gives.
    pub(crate) async fn connect(server: &Server, asker: &Asker) -> Result<Self, ConnectError> {
        let patience = Duration::from_millis(HELLO_TIMEOUT_MS);
        match timeout(patience, Self::connect_and_greet(server, asker)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::Unreachable(format!("no answer within {} seconds", patience.as_secs()))),
        }
    }

    async fn connect_and_greet(server: &Server, asker: &Asker) -> Result<Self, ConnectError> {
        let unreachable = |why: String| ConnectError::Unreachable(why);
        let stream = TcpStream::connect((server.host.as_str(), server.port)).await;
        let stream = stream.map_err(|error| unreachable(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let connector = TlsConnector::from(asker.host.tls.clone());
        let stream = connector.connect(tls::server_name(), stream).await;
        let stream = stream.map_err(|error| unreachable(format!("no TLS connection: {error}")))?;
        let server_key = tls::server_key(stream.get_ref().1.peer_certificates());
        let mut reader = FrameReader::new(stream, MAX_SERVER_MESSAGE_BYTES);
        let nonce = Nonce(random_bytes());
        let hello = proto::ClientHello {
            versions: VERSIONS.to_vec(),
            nonce: nonce.0.to_vec(),
            software: format!("ve-client {}", env!("CARGO_PKG_VERSION")),
        };
        let hello = ClientMessage { kind: Some(client_message::Kind::Hello(hello)) };
        frame::write(reader.stream_mut(), &hello).await.map_err(|error| unreachable(error.to_string()))?;
        let hello = read_hello(&mut reader).await?;
        let Some(server_key) = server_key else { return Err(ConnectError::Unverified(None)) };
        let credential = trust::find_credential(&hello.credentials, server_key, &asker.vendor_keys);
        let Some(credential) = credential else {
            return Err(ConnectError::Unverified(read_goodbye(&mut reader, hello.credentials.is_empty()).await));
        };
        let now = Instant::now();
        let duration = |ms: u32| Duration::from_millis(ms.clamp(100, MAX_HEARTBEAT_MS).into());
        Ok(Self {
            reader,
            server_key,
            customer: credential.customer,
            nonce,
            asked: HashMap::new(),
            last_request: 0,
            heartbeat_interval: duration(hello.heartbeat_interval_ms),
            heartbeat_timeout: duration(hello.heartbeat_timeout_ms),
            last_heard: now,
            last_said: now,
        })
    }

    /// Whose server it is.
    pub(crate) fn customer(&self) -> &Name {
        &self.customer
    }

    /// Asks; the answer comes through [`Self::hear`].
    pub(crate) async fn ask(&mut self, question: Question, asker: &Asker, server: &Server) -> Result<(), Lost> {
        let nonce = Nonce(random_bytes());
        self.last_request += 1;
        let request_id = self.last_request;
        self.asked.insert(request_id, nonce);
        let nonce = nonce.0.to_vec();
        let kind = match question {
            Question::Login { session, probe } => {
                let login = proto::Login { request_id, nonce, probe, ..login_message(asker, server, session) };
                client_message::Kind::Login(login)
            }
            Question::Check(session) => {
                client_message::Kind::Check(proto::Check { request_id, nonce, session: session.0.to_vec() })
            }
            Question::Logout(session) => {
                client_message::Kind::Logout(proto::Logout { request_id, nonce, session: session.0.to_vec() })
            }
        };
        self.say(kind).await
    }

    /// Says whether a session still runs.
    pub(crate) async fn pong(&mut self, session: SessionId, runs: bool) -> Result<(), Lost> {
        self.say(client_message::Kind::Pong(proto::Pong { session: session.0.to_vec(), runs })).await
    }

    async fn say(&mut self, kind: client_message::Kind) -> Result<(), Lost> {
        self.last_said = Instant::now();
        let message = ClientMessage { kind: Some(kind) };
        let written = timeout(self.heartbeat_timeout, frame::write(self.reader.stream_mut(), &message)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Lost(format!("the connection failed: {error}"))),
            Err(_) => Err(Lost("the server does not read".to_owned())),
        }
    }

    /// The next thing that the server says; `None` when it is time for [`Self::beat`]. Gives up when
    /// the server is silent for too long. Cancel safe: nothing is written here, and what was read
    /// stays read.
    pub(crate) async fn hear(&mut self) -> Result<Option<Heard>, Lost> {
        loop {
            let beat_at = self.last_said + self.heartbeat_interval;
            let dead_at = self.last_heard + self.heartbeat_timeout;
            tokio::select! {
                message = self.reader.next::<ServerMessage>() => {
                    let message = message.map_err(|error| Lost(error.to_string()))?;
                    let message = message.ok_or_else(|| Lost("the server closed the connection".to_owned()))?;
                    self.last_heard = Instant::now();
                    if let Some(heard) = self.understand(message)? {
                        return Ok(Some(heard));
                    }
                }
                () = sleep_until(dead_at) => return Err(Lost("the server is silent".to_owned())),
                () = sleep_until(beat_at) => return Ok(None),
            }
        }
    }

    /// Shows that this side lives.
    pub(crate) async fn beat(&mut self) -> Result<(), Lost> {
        self.say(client_message::Kind::Heartbeat(proto::Heartbeat {})).await
    }

    fn understand(&mut self, message: ServerMessage) -> Result<Option<Heard>, Lost> {
        match message.kind {
            Some(server_message::Kind::Answer(answer)) => {
                let nonce = self.asked.remove(&answer.request_id);
                let nonce = nonce.ok_or_else(|| Lost("the server answered what was not asked".to_owned()))?;
                let believed = self.believe(answer.signed.as_ref(), nonce)?;
                answered(believed).map(Some)
            }
            Some(server_message::Kind::Revoked(revoked)) => {
                let believed = self.believe(revoked.signed.as_ref(), self.nonce)?;
                match believed.content {
                    Content::Revoked(refusal) => Ok(Some(Heard::Revoked(convert::refusal(&refusal)))),
                    _ => Err(Lost("the server sent a revocation that is none".to_owned())),
                }
            }
            Some(server_message::Kind::Ping(ping)) => {
                let session = convert::session(&ping.session).map_err(|refusal| Lost(refusal.to_string()))?;
                Ok(Some(Heard::Ping(session)))
            }
            Some(server_message::Kind::Closing(_)) => Err(Lost("the server is about to stop".to_owned())),
            Some(server_message::Kind::Goodbye(goodbye)) => Err(Lost(parting_words(goodbye))),
            // Heartbeats, and what a later version of the protocol adds.
            Some(server_message::Kind::Heartbeat(_) | server_message::Kind::Hello(_)) | None => Ok(None),
        }
    }

    fn believe(&self, signed: Option<&proto::Signed>, nonce: Nonce) -> Result<Believed, Lost> {
        let verify = |message: &[u8], signature: &[u8]| keys::verify(&self.server_key, message, signature).is_ok();
        statement::open(signed, nonce, self.server_key, verify).map_err(|error| Lost(error.to_string()))
    }
}

fn login_message(asker: &Asker, server: &Server, session: Option<SessionId>) -> proto::Login {
    let program = &asker.program;
    proto::Login {
        product: program.product.to_string(),
        version: program.version.to_string(),
        virtual_hardware: program.virtual_hardware.to_string(),
        cpus: program.cpus,
        memory_mb: program.memory_mb,
        passphrase: server.passphrase.as_ref().map_or_else(String::new, |secret| secret.reveal().to_owned()),
        emulator: program.emulator.to_string(),
        session: session.map_or_else(Vec::new, |session| session.0.to_vec()),
        run: asker.run.0.to_vec(),
        ..proto::Login::default()
    }
}

async fn read_hello(reader: &mut FrameReader<TlsStream<TcpStream>>) -> Result<proto::ServerHello, ConnectError> {
    let unreachable = |why: String| Err(ConnectError::Unreachable(why));
    let message = match reader.next::<ServerMessage>().await {
        Ok(Some(message)) => message,
        Ok(None) => return unreachable("the server closed the connection".to_owned()),
        Err(error) => return unreachable(error.to_string()),
    };
    match message.kind {
        Some(server_message::Kind::Hello(hello)) if VERSIONS.contains(&hello.version) => Ok(hello),
        Some(server_message::Kind::Hello(hello)) => Err(ConnectError::ProtocolVersion(format!(
            "the server speaks the protocol versions {:?}, this client {VERSIONS:?}.",
            hello.versions
        ))),
        Some(server_message::Kind::Goodbye(goodbye)) => unreachable(parting_words(goodbye)),
        _ => unreachable("the server did not say hello".to_owned()),
    }
}

/// A server without any credential says why it has none; a stranger's words are not waited for.
async fn read_goodbye(reader: &mut FrameReader<TlsStream<TcpStream>>, expected: bool) -> Option<Refusal> {
    if !expected {
        return None;
    }
    match reader.next::<ServerMessage>().await.ok()??.kind? {
        server_message::Kind::Goodbye(goodbye) => goodbye.refusal.as_ref().map(convert::refusal),
        _ => None,
    }
}

fn answered(believed: Believed) -> Result<Heard, Lost> {
    match (believed.content, believed.session) {
        (Content::Grant(grant), Some(session)) => {
            let grant = convert::grant(&grant, session);
            grant.map(|grant| Heard::Granted(Box::new(grant))).map_err(|refusal| Lost(format!("the server's grant: {}", refusal.sentence)))
        }
        (Content::Refusal(refusal), _) => Ok(Heard::Refused(convert::refusal(&refusal))),
        (Content::LoggedOut(_), _) => Ok(Heard::LoggedOut),
        (Content::Grant(_) | Content::Revoked(_), _) => Err(Lost("the server's answer is none".to_owned())),
    }
}

fn parting_words(goodbye: proto::Goodbye) -> String {
    let words = goodbye.refusal.map(|refusal| convert::refusal(&refusal).to_string());
    format!("the server ended the connection: {}", printable(&words.unwrap_or_default(), 512))
}
