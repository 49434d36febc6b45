//! Drives the node: one task owns it, feeds it what happens, and carries out what it decides.
//!
//! The task waits for nothing but its own inbox. Disks and sockets are slow elsewhere: an append
//! goes to the writer's queue and comes back as an input, an answer goes to its link's queue.

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};
use ve_core::{
    id::{HostKey, LinkId, SessionId, SessionNumber},
    node::{
        Node,
        event::{AppendError, Record},
        io::{Answer, AppendId, Durable, Effect, Input, RequestId, Ticket},
    },
    reason::Refusal,
    text::Name,
    time::Now,
};
use ve_host::clock;
use ve_store::Writer;

use crate::{
    health::Health,
    log::{Log, Module},
};

/// How many inputs may wait for the node. A link that finds no room waits, and so does its client.
const INBOX: usize = 4_096;

/// How many messages may wait for a link. A client that reads so slowly is cut off.
const LINK_QUEUE: usize = 2_560;

/// How many inputs are taken before the effects of the first of them are carried out: what waits
/// together shares a look at the clocks and a wake-up of the writer.
const BATCH: usize = 256;

/// How long the ledger may take for what is decided, once the server is to end. With the links' and
/// the log's last moments that stays below the five seconds that an end may take.
const PATIENCE: Duration = Duration::from_millis(1_200);

/// How long the node is left alone at most: timers stand still while the machine sleeps, the
/// node's clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// What a link is to send. It is small: the queue of an idle link has room for dozens of them.
#[derive(Debug)]
pub enum ToLink {
    /// The answer to a request.
    Answer(RequestId, Box<Answer>),
    /// A session is taken back.
    Revoked(SessionId, Box<Refusal>),
    /// A session's client is asked whether it runs.
    Ping(SessionId),
    /// The server is about to stop.
    Closing,
}

type Look = Box<dyn FnOnce(&Node, &Health, Now) + Send>;

/// What the node replies to the administrator.
type Reply = Result<String, Refusal>;

/// What comes into the driver's inbox.
enum Message {
    Input(Input),
    Open { link: LinkId, host: HostKey, address: Name, queue: mpsc::Sender<ToLink> },
    Release { number: SessionNumber, reply: oneshot::Sender<Reply> },
    Settle { reply: oneshot::Sender<Reply> },
    Look(Look),
    Stop,
}

/// The node is gone: the server is stopping, or has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the license service has stopped")]
pub struct Stopped;

/// The thread that writes the ledger is gone: a mistake in this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's writer has stopped")]
pub struct WriterGone;

/// The way to the node, for everyone who has something to say to it.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    inbox: mpsc::Sender<Message>,
}

impl NodeHandle {
    /// Hands in what happened; waits while the inbox is full.
    pub async fn input(&self, input: Input) -> Result<(), Stopped> {
        self.inbox.send(Message::Input(input)).await.map_err(|_| Stopped)
    }

    /// Announces a link and gives the queue of what it is to send.
    pub async fn open_link(
        &self,
        link: LinkId,
        host: HostKey,
        address: Name,
    ) -> Result<mpsc::Receiver<ToLink>, Stopped> {
        let (queue, receiver) = mpsc::channel(LINK_QUEUE);
        self.inbox.send(Message::Open { link, host, address, queue }).await.map_err(|_| Stopped)?;
        Ok(receiver)
    }

    /// Takes a session's seat back, and says what became of it.
    pub async fn release(&self, number: SessionNumber) -> Result<Reply, Stopped> {
        let (reply, outcome) = oneshot::channel();
        self.inbox.send(Message::Release { number, reply }).await.map_err(|_| Stopped)?;
        outcome.await.map_err(|_| Stopped)
    }

    /// Waits until everything that was handed in before is durable; a refusal says why some of it
    /// is not. On a disk that hangs that takes as long as the disk.
    pub async fn settle(&self) -> Result<Result<(), Refusal>, Stopped> {
        let (reply, outcome) = oneshot::channel();
        self.inbox.send(Message::Settle { reply }).await.map_err(|_| Stopped)?;
        outcome.await.map(|settled| settled.map(drop)).map_err(|_| Stopped)
    }

    /// Looks at the node.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        self.look_at_all(|node, _, now| look(node, now)).await
    }

    /// Looks at the node, and at what it has told of the service's health.
    pub async fn look_at_all<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node, &Health, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, seen) = oneshot::channel();
        let look: Look = Box::new(move |node, health, now| {
            // Whoever asked may have gone away.
            let _ = sender.send(look(node, health, now));
        });
        self.inbox.send(Message::Look(look)).await.map_err(|_| Stopped)?;
        seen.await.map_err(|_| Stopped)
    }

    /// Whether the node is gone.
    pub fn is_stopped(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Ends the driver after everything that was handed in before.
    pub async fn stop(&self) {
        let _ = self.inbox.send(Message::Stop).await;
    }
}

/// The task that owns the node.
pub struct Driver {
    node: Node,
    health: Health,
    log: Log,
    writer: Writer,
    inbox: mpsc::Receiver<Message>,
    outcomes: mpsc::UnboundedReceiver<(AppendId, Result<Durable, AppendError>)>,
    links: HashMap<LinkId, mpsc::Sender<ToLink>>,
    tickets: HashMap<Ticket, oneshot::Sender<Reply>>,
    last_ticket: Ticket,
    /// Appends whose outcome is not known yet.
    under_way: usize,
}

/// What the writer reports, on its way to the driver.
pub type Outcomes = mpsc::UnboundedReceiver<(AppendId, Result<Durable, AppendError>)>;

impl Driver {
    /// A driver of `node`; `outcomes` is what `writer` reports.
    pub fn new(node: Node, log: Log, writer: Writer, outcomes: Outcomes) -> (Self, NodeHandle) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let driver = Self {
            node,
            health: Health::default(),
            log,
            writer,
            inbox,
            outcomes,
            links: HashMap::new(),
            tickets: HashMap::new(),
            last_ticket: 0,
            under_way: 0,
        };
        (driver, NodeHandle { inbox: sender })
    }

    /// Runs until it is told to stop, and then until the ledger has everything.
    pub async fn run(mut self) -> Result<(), WriterGone> {
        let mut messages = Vec::with_capacity(BATCH);
        let mut settled = Vec::with_capacity(BATCH);
        loop {
            self.carry_out();
            let now = clock::elapsed();
            if self.node.deadline() <= now {
                // Under load the inbox is never empty; time passes all the same.
                self.handle(Input::Tick);
                self.carry_out();
            }
            let pause =
                Duration::from_millis(self.node.deadline().since_ms(now)).min(LONGEST_SLEEP);
            tokio::select! {
                // Outcomes first: they set seats free and answers on their way.
                biased;
                count = self.outcomes.recv_many(&mut settled, BATCH) => match count {
                    0 => return Err(WriterGone),
                    _ => settled.drain(..).for_each(|(id, outcome)| self.settle(id, outcome)),
                },
                _ = self.inbox.recv_many(&mut messages, BATCH) => {
                    // No message at all: nobody is left who could say anything.
                    if messages.is_empty() || messages.drain(..).any(|message| self.take(message).is_break()) {
                        break;
                    }
                }
                () = sleep(pause) => self.handle(Input::Tick),
            }
        }
        self.finish().await;
        Ok(())
    }

    fn settle(&mut self, id: AppendId, outcome: Result<Durable, AppendError>) {
        self.under_way -= 1;
        self.handle(Input::Appended { id, outcome });
    }

    fn take(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Input(input) => {
                if let Input::LinkClosed { link, .. } = &input {
                    self.links.remove(link);
                }
                self.handle(input);
            }
            Message::Open { link, host, address, queue } => {
                self.links.insert(link, queue);
                self.handle(Input::LinkOpened { link, host, address });
            }
            Message::Release { number, reply } => {
                let ticket = self.ticket(reply);
                self.handle(Input::Release { ticket, number });
            }
            Message::Settle { reply } => {
                let ticket = self.ticket(reply);
                self.handle(Input::Settle { ticket });
            }
            Message::Look(look) => {
                // Who looks has seen done what was handed in before.
                self.carry_out();
                look(&self.node, &self.health, clock::now());
            }
            Message::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Names a question of the administrator's, to be answered with `reply`.
    fn ticket(&mut self, reply: oneshot::Sender<Reply>) -> Ticket {
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, reply);
        self.last_ticket
    }

    fn handle(&mut self, input: Input) {
        self.node.handle(clock::now(), input);
    }

    /// The one place where what the node decides is done.
    fn carry_out(&mut self) {
        while let Some(effect) = self.node.poll() {
            match effect {
                Effect::Append { id, records } => self.append(id, records),
                Effect::Answer { link, request, answer } => {
                    self.send(link, ToLink::Answer(request, Box::new(answer)));
                }
                Effect::Revoke { link, session, refusal } => {
                    self.send(link, ToLink::Revoked(session, Box::new(refusal)));
                }
                Effect::Ping { link, session } => self.send(link, ToLink::Ping(session)),
                Effect::Closing { link } => self.send(link, ToLink::Closing),
                Effect::Reply { ticket, outcome } => {
                    if let Some(reply) = self.tickets.remove(&ticket) {
                        // Whoever asked may have gone away.
                        let _ = reply.send(outcome);
                    }
                }
                Effect::Note(note) => {
                    self.health.hear(&note);
                    self.log.note(&note);
                }
            }
        }
    }

    fn append(&mut self, id: AppendId, records: Vec<Record>) {
        match self.writer.submit(id, records) {
            Ok(()) => self.under_way += 1,
            Err(error) => self.handle(Input::Appended { id, outcome: Err(error) }),
        }
    }

    fn send(&mut self, link: LinkId, message: ToLink) {
        if let Some(queue) = self.links.get(&link)
            && queue.try_send(message).is_err()
        {
            // It reads too slowly or has just ended; without its queue it ends itself.
            self.links.remove(&link);
        }
    }

    /// Waits for the outcomes that are still to come, so that nothing decided is lost, and closes the
    /// ledger. A disk that hangs is not waited for: what it did not take was promised to no one.
    async fn finish(mut self) {
        let deadline = Instant::now() + PATIENCE;
        let settled = timeout_at(deadline, async {
            self.carry_out();
            while self.under_way > 0 {
                let Some((id, outcome)) = self.outcomes.recv().await else { return };
                self.settle(id, outcome);
                self.carry_out();
            }
        });
        let settled = settled.await;
        let writer = self.writer;
        let closed = timeout_at(deadline, spawn_blocking(move || writer.finish())).await;
        match (settled, closed) {
            (Ok(()), Ok(Ok(Ok(())))) => {}
            (Ok(()), Ok(Ok(Err(error)))) => self.log.error(Module::Main, error),
            (Ok(()), Ok(Err(panic))) => self.log.error(Module::Main, panic),
            (Err(_), _) | (_, Err(_)) => {
                self.log.error(Module::Main, "The ledger did not take everything in time.");
            }
        }
    }
}
