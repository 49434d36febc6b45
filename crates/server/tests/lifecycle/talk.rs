//! The task behind a link: asks, hears, and checks every answer as the real client does.

use std::{collections::HashMap, time::Duration};

use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::interval,
};
use tokio_rustls::client::TlsStream;
use ve_core::{
    id::{HostKey, Nonce, ServerKey, SessionId},
    reason::Refusal,
};
use ve_documents::keys;
use ve_wire::{
    convert,
    frame::{self, FrameReader},
    limits::HEARTBEAT_INTERVAL_MS,
    proto::{
        self, ClientMessage, ServerMessage, client_message::Kind, server_message,
        statement::Content,
    },
    random_bytes,
    statement::{self, Believed, Bond},
};

/// What a server says unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Revoked(SessionId, Refusal),
    Closing,
    /// The connection is gone.
    Closed,
}

/// What was answered, and as it came.
pub(crate) type Answer = oneshot::Sender<(Believed, proto::Answer)>;

/// What a link is told to do.
pub(crate) enum Order {
    /// Asks something, under this request number and with this nonce.
    Ask(Box<dyn FnOnce(u64, Vec<u8>) -> Kind + Send>, Answer),
    /// Neither reads nor writes any more.
    Freeze,
}

pub(crate) type Reader = FrameReader<TlsStream<TcpStream>>;

pub(crate) async fn write(reader: &mut Reader, kind: Kind) -> std::io::Result<()> {
    frame::write(reader.stream_mut(), &ClientMessage { kind: Some(kind) }).await
}

pub(crate) async fn read(reader: &mut Reader) -> Option<server_message::Kind> {
    reader.next::<ServerMessage>().await.ok().flatten()?.kind
}

/// A connection after its hellos.
pub(crate) struct Talk {
    pub(crate) reader: Reader,
    pub(crate) server_key: ServerKey,
    pub(crate) host: HostKey,
    /// The nonce of the client's hello.
    pub(crate) nonce: Nonce,
    pub(crate) asked: HashMap<u64, (Nonce, Answer)>,
    pub(crate) happened: mpsc::UnboundedSender<Event>,
}

impl Talk {
    /// Talks until either side ends it.
    pub(crate) async fn run(mut self, mut to_do: mpsc::UnboundedReceiver<Order>) {
        let mut heartbeat = interval(Duration::from_millis(HEARTBEAT_INTERVAL_MS.into()));
        let mut last_request = 0;
        loop {
            tokio::select! {
                order = to_do.recv() => match order {
                    Some(Order::Ask(question, answer)) => {
                        last_request += 1;
                        let nonce = Nonce(random_bytes());
                        self.asked.insert(last_request, (nonce, answer));
                        let question = question(last_request, nonce.0.to_vec());
                        // A connection that is gone shows itself when it is read.
                        let _ = write(&mut self.reader, question).await;
                    }
                    Some(Order::Freeze) => std::future::pending().await,
                    None => return,
                },
                message = read(&mut self.reader) => {
                    let Some(kind) = message else { return };
                    self.hear(kind).await;
                }
                _ = heartbeat.tick() => {
                    let _ = write(&mut self.reader, Kind::Heartbeat(proto::Heartbeat {})).await;
                }
            }
        }
    }

    async fn hear(&mut self, kind: server_message::Kind) {
        let event = match kind {
            server_message::Kind::Answer(answer) => {
                let (nonce, asker) =
                    self.asked.remove(&answer.request_id).expect("a question that was asked");
                let believed = self.believe(answer.signed.as_ref(), nonce);
                let _ = asker.send((believed, answer));
                return;
            }
            server_message::Kind::Peer(_) => panic!("this client is no server"),
            server_message::Kind::Revoked(revoked) => {
                let believed = self.believe(revoked.signed.as_ref(), self.nonce);
                let Content::Revoked(refusal) = believed.content else { panic!("no revocation") };
                Event::Revoked(believed.session.expect("a session"), convert::refusal(&refusal))
            }
            server_message::Kind::Ping(ping) => {
                let answer = proto::Pong { session: ping.session, runs: true };
                let _ = write(&mut self.reader, Kind::Pong(answer)).await;
                return;
            }
            server_message::Kind::Closing(_) => Event::Closing,
            server_message::Kind::Goodbye(_)
            | server_message::Kind::Heartbeat(_)
            | server_message::Kind::Hello(_) => return,
        };
        let _ = self.happened.send(event);
    }

    fn believe(&self, signed: Option<&proto::Signed>, nonce: Nonce) -> Believed {
        let key = self.server_key;
        let bond = Bond { nonce, server_key: key, host: self.host };
        let verify =
            |message: &[u8], signature: &[u8]| keys::verify(&key, message, signature).is_ok();
        statement::open(signed, bond, verify).expect("a statement that can be believed")
    }
}
