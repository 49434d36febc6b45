//! One connection: TLS, the two hellos, then requests to the node and signed answers back.

mod counted;
mod error;
mod greeting;
mod pace;
mod stream;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_rustls::TlsAcceptor;
use ve_core::{
    grant::Witness,
    id::{HostKey, LinkId, Nonce, SessionId},
    license::Verified,
    node::io::{Answer, Ask, Input, Login, RequestId},
    registry::{HostFacts, Receipt},
    text::Name,
    time::Elapsed,
};
use ve_documents::{
    keys::{self, SigningKey},
    receipt,
};
use ve_host::clock;
use ve_wire::{
    convert,
    limits::HEARTBEAT_TIMEOUT_MS,
    proto::{self, ClientMessage, client_message, server_message, statement::Content},
    random_bytes,
    statement::{self, Bond},
    witness,
};

use self::{
    error::LinkError,
    greeting::{Greeted, greet},
    stream::{Reader, write},
};
use crate::{
    addresses::Place,
    credentials::Credentials,
    driver::{NodeHandle, Stopped, ToLink},
    log::Log,
    peer::accept::{self, Visitor},
    vouching::{Doubts, Vouching},
};

pub(crate) use self::counted::{Bytes, Counted};
pub use self::pace::Pace;
pub(crate) use self::stream::{CLOSE_TIMEOUT, close, say_goodbye};

/// How many requests of one link may be open; a client that sends more waits for answers first.
const MAX_OPEN_REQUESTS: usize = 1_280;

/// What a probe's grant names instead of a session.
const NO_SESSION: SessionId = SessionId([0; SessionId::LENGTH]);

/// What every link of a server shares.
#[derive(Clone)]
pub struct Shared {
    /// TLS with the license-bound key.
    pub tls: TlsAcceptor,
    /// The key that signs every answer.
    pub key: Arc<SigningKey>,
    /// What the server shows before login.
    pub credentials: Credentials,
    /// What hosts show of themselves.
    pub vouching: Vouching,
    /// The way to the node.
    pub node: NodeHandle,
    /// The log.
    pub log: Log,
}

/// A connection that was just taken in.
pub struct Newcomer {
    /// Names the link from now on.
    pub link: LinkId,
    /// The open socket.
    pub stream: TcpStream,
    /// The other end.
    pub address: SocketAddr,
    /// Its place among all links.
    pub place: Place,
    /// The pace of its handshake.
    pub pace: Arc<Pace>,
}

/// Serves one connection from its first byte to its last.
pub async fn serve(shared: Shared, newcomer: Newcomer) {
    let address = newcomer.address;
    if let Err(error) = run(&shared, newcomer).await
        && let Some(refusal) = error.refusal()
    {
        shared.log.connection_refused(address, &refusal);
    }
}

/// Everything but the talk itself is boxed: a link lasts for hours, and what its first and last
/// moments need must not be kept that long.
async fn run(shared: &Shared, newcomer: Newcomer) -> Result<(), LinkError> {
    let mut open = match Box::pin(open(shared, newcomer)).await? {
        None => return Ok(()),
        Some(Opened::Peer(visitor)) => {
            return Ok(Box::pin(accept::serve(shared, *visitor)).await?);
        }
        Some(Opened::Client(open)) => open,
    };
    let ended = open.talk().await;
    Box::pin(open.end(&ended)).await?;
    ended
}

/// Who has connected.
enum Opened<'a> {
    Client(Box<OpenLink<'a>>),
    Peer(Box<Visitor>),
}

/// Greets a newcomer and announces it to the node. `None`: there is nothing to talk about.
async fn open(shared: &Shared, newcomer: Newcomer) -> Result<Option<Opened<'_>>, LinkError> {
    let Newcomer { link, stream, address, place, pace } = newcomer;
    let greeted = greet(shared, stream, &pace, place.is_peer()).await?;
    let Some(Greeted { reader, host, nonce, peer_credentials }) = greeted else { return Ok(None) };
    if !peer_credentials.is_empty() {
        let visitor = Visitor { link, reader, credentials: peer_credentials, address, place };
        return Ok(Some(Opened::Peer(Box::new(visitor))));
    }
    let name = address.to_string().parse::<Name>();
    let name = name.expect("an address is a short name without control characters");
    let queue = shared.node.open_link(link, host, name).await?;
    Ok(Some(Opened::Client(Box::new(OpenLink {
        shared,
        link,
        address,
        reader,
        host,
        nonce,
        queue,
        asked: HashMap::new(),
        sessions: HashSet::new(),
        last_heard: Instant::now(),
        doubts: Doubts::default(),
        place,
    }))))
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
    address: SocketAddr,
    reader: Reader,
    /// The client's host.
    host: HostKey,
    /// The client's hello nonce: binds what is said unasked.
    nonce: Nonce,
    /// What the node wants said.
    queue: mpsc::Receiver<ToLink>,
    asked: HashMap<RequestId, Asked>,
    /// The sessions that were granted on this link and have not ended, as far as it was told.
    sessions: HashSet<SessionId>,
    last_heard: Instant,
    doubts: Doubts,
    place: Place,
}

impl OpenLink<'_> {
    /// Talks until one side ends it.
    async fn talk(&mut self) -> Result<(), LinkError> {
        let patience = Duration::from_millis(HEARTBEAT_TIMEOUT_MS.into());
        loop {
            let may_ask = self.asked.len() < MAX_OPEN_REQUESTS;
            tokio::select! {
                // What has come is heard before time is judged: this process may have slept. A
                // client can't starve its answers so: it may only ask so much before they are read.
                biased;
                message = self.reader.next::<ClientMessage>(), if may_ask => match message? {
                    Some(message) => self.hear(message).await?,
                    None => return Ok(()),
                },
                message = self.queue.recv() => match message {
                    Some(message) => self.say(message).await?,
                    None if self.shared.node.is_stopped() => return Err(Stopped.into()),
                    // The driver took the queue away because it was full.
                    None => return Err(LinkError::TooSlow),
                },
                () = sleep_until(self.last_heard + patience), if may_ask => return Ok(()),
            }
        }
    }

    /// Tells the node, then the client.
    async fn end(&mut self, ended: &Result<(), LinkError>) -> Result<(), LinkError> {
        let (link, last_heard) = (self.link, self.last_heard());
        self.shared.node.input(Input::LinkClosed { link, last_heard }).await?;
        match ended {
            Ok(()) => close(&mut self.reader).await,
            Err(error) => {
                if let Some(refusal) = error.last_words() {
                    say_goodbye(&mut self.reader, &refusal).await;
                }
            }
        }
        Ok(())
    }

    async fn hear(&mut self, message: ClientMessage) -> Result<(), LinkError> {
        self.last_heard = Instant::now();
        match message.kind {
            Some(client_message::Kind::Heartbeat(_)) => {
                write(&mut self.reader, server_message::Kind::Heartbeat(proto::Heartbeat {})).await
            }
            Some(client_message::Kind::Login(login)) => self.hear_login(&login).await,
            Some(client_message::Kind::Check(check)) => {
                self.hear_about(check.request_id, &check.nonce, &check.session, Ask::Check).await
            }
            Some(client_message::Kind::Logout(logout)) => {
                self.hear_about(logout.request_id, &logout.nonce, &logout.session, Ask::Logout)
                    .await
            }
            Some(client_message::Kind::Pong(pong)) => {
                let session = convert::session(&pong.session).map_err(LinkError::Protocol)?;
                if !pong.runs {
                    self.forget(session);
                }
                let pong = Input::Pong { link: self.link, session, runs: pong.runs };
                Ok(self.shared.node.input(pong).await?)
            }
            Some(client_message::Kind::Hello(_)) => {
                Err(LinkError::protocol("a hello is said once."))
            }
            Some(client_message::Kind::Peer(_)) => {
                Err(LinkError::protocol("only a peer that has introduced itself may say this."))
            }
            None => Err(LinkError::protocol("the message is of no known kind.")),
        }
    }

    /// Notes a question, so that its answer can repeat its nonce.
    fn ask(
        &mut self,
        request: RequestId,
        nonce: &[u8],
        session: Option<SessionId>,
    ) -> Result<(), LinkError> {
        let nonce = convert::nonce(nonce).map_err(LinkError::Protocol)?;
        if self.asked.insert(request, Asked { nonce, session }).is_none() {
            return Ok(());
        }
        Err(LinkError::protocol("the request_id of an open request was used again."))
    }

    async fn hear_login(&mut self, message: &proto::Login) -> Result<(), LinkError> {
        let request = message.request_id;
        self.ask(request, &message.nonce, None)?;
        let facts = message.facts.as_ref().map(convert::facts).transpose();
        let login = match convert::login(message).and_then(|login| Ok((login, facts?))) {
            Ok((login, shown)) => Login {
                witnesses: self.witnesses(message),
                facts: shown.map(|shown| self.believed(shown)),
                ..login
            },
            Err(refusal) => {
                self.shared.log.connection_refused(self.address, &refusal);
                return self.answer(request, Answer::Refused(refusal)).await;
            }
        };
        let ask = if message.probe {
            Ask::Probe(login)
        } else {
            Ask::Login { login, fresh: SessionId(random_bytes()) }
        };
        Ok(self.shared.node.input(Input::Request { link: self.link, request, ask }).await?)
    }

    /// What this server had granted to this host before; what doesn't prove that is nothing.
    fn witnesses(&self, message: &proto::Login) -> Vec<Verified<Witness>> {
        let key = self.shared.key.public();
        let verify = |bytes: &[u8], signature: &[u8]| keys::verify(&key, bytes, signature).is_ok();
        let shown = message.witnesses.iter();
        shown.filter_map(|signed| witness::read(signed, key, self.host, verify)).collect()
    }

    /// What a host says of itself, as far as it holds.
    fn believed(&mut self, shown: convert::FactsShown) -> HostFacts {
        let known = self.shared.credentials.current();
        self.shared.vouching.check(shown, &known.vendor_keys, &mut self.doubts)
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
        Ok(self
            .shared
            .node
            .input(Input::Request { link: self.link, request, ask: ask(session) })
            .await?)
    }

    async fn say(&mut self, message: ToLink) -> Result<(), LinkError> {
        match message {
            ToLink::Answer(request, answer) => self.answer(request, *answer).await,
            ToLink::Revoked(session, refusal) => {
                self.forget(session);
                let content = Content::Revoked(convert::refusal_message(&refusal));
                let signed = self.seal(self.nonce, Some(session), content);
                let revoked = proto::Revoked { signed: Some(signed) };
                write(&mut self.reader, server_message::Kind::Revoked(revoked)).await
            }
            ToLink::Ping(session) => {
                let ping = proto::Ping { session: session.0.to_vec() };
                write(&mut self.reader, server_message::Kind::Ping(ping)).await
            }
            ToLink::Closing => {
                write(&mut self.reader, server_message::Kind::Closing(proto::Closing {})).await
            }
            // No client is ever sent those.
            ToLink::Peer(_) | ToLink::RefusePeer(_) => Ok(()),
        }
    }

    async fn answer(&mut self, request: RequestId, answer: Answer) -> Result<(), LinkError> {
        let Some(Asked { nonce, session }) = self.asked.remove(&request) else { return Ok(()) };
        if self.asked.is_empty() {
            // An idle link keeps no room for the requests of its busiest moment.
            self.asked = HashMap::new();
        }
        let mut receipt = String::new();
        let (session, content) = match answer {
            Answer::Granted(mut grant) => {
                receipt = self.signed_receipt(grant.receipt.take());
                self.remember(grant.session);
                (Some(grant.session), Content::Grant(convert::grant_message(&grant)))
            }
            Answer::Refused(refusal) => {
                if let Some(session) = session {
                    self.forget(session);
                }
                (session, Content::Refusal(convert::refusal_message(&refusal)))
            }
            Answer::LoggedOut(session) => {
                self.forget(session);
                (Some(session), Content::LoggedOut(proto::LoggedOut {}))
            }
        };
        let signed = self.seal(nonce, session, content);
        let answer = proto::Answer { request_id: request, signed: Some(signed), receipt };
        write(&mut self.reader, server_message::Kind::Answer(answer)).await
    }

    /// The receipt that goes with a grant; nothing when there is none, or when the license that it is
    /// of was removed just now.
    fn signed_receipt(&self, receipt: Option<Box<Receipt>>) -> String {
        let Some(receipt) = receipt else { return String::new() };
        let known = self.shared.credentials.current();
        known.of_license(&receipt.issuer).map_or_else(String::new, |credential| {
            receipt::sign(&receipt, credential, &self.shared.key)
        })
    }

    fn remember(&mut self, session: SessionId) {
        // A probe's grant names no session.
        if session != NO_SESSION && self.sessions.insert(session) {
            self.place.set_licensed(true);
        }
    }

    fn forget(&mut self, session: SessionId) {
        if self.sessions.remove(&session) {
            self.place.set_licensed(!self.sessions.is_empty());
        }
    }

    /// When the last message came, on the node's clock.
    fn last_heard(&self) -> Elapsed {
        let silent_ms = u64::try_from(self.last_heard.elapsed().as_millis()).unwrap_or(u64::MAX);
        Elapsed(clock::elapsed().0.saturating_sub(silent_ms))
    }

    fn seal(&self, nonce: Nonce, session: Option<SessionId>, content: Content) -> proto::Signed {
        let key = &self.shared.key;
        let bond = Bond { nonce, server_key: key.public(), host: self.host };
        statement::seal(bond, session, content, |message| key.sign(message))
    }
}
