//! Drives the node: one task owns it, feeds it what happens, and carries out what it decides.
//!
//! The task waits for nothing but its own inbox. Disks and sockets are slow elsewhere: an append
//! goes to the writer's queue and comes back as an input, an answer goes to its link's queue.

mod handle;
mod words;
mod writers;

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};
use ve_core::{
    id::LinkId,
    node::{
        Node,
        io::{Effect, Input, Ticket},
    },
};
use ve_host::clock;

use crate::{
    health::Health,
    log::{Log, Module},
};

pub use handle::{Newcomer, NodeHandle, Reply, Stopped, ToLink};
pub use words::Words;
pub use writers::{WriterGone, Writers};

use handle::{Message, Question};
use words::Word;
use writers::Outcome;

/// How many inputs are taken before the effects of the first of them are carried out: what waits
/// together shares a look at the clocks and a wake-up of the writer.
const BATCH: usize = 256;

/// How long the ledger may take for what is decided, once the server is to end. With the links' and
/// the log's last moments that stays below the five seconds that an end may take.
const PATIENCE: Duration = Duration::from_millis(1_200);

/// How long the node is left alone at most: timers stand still while the machine sleeps, the
/// node's clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// The task that owns the node.
pub struct Driver {
    node: Node,
    health: Health,
    log: Log,
    writers: Writers,
    inbox: mpsc::Receiver<Message>,
    links: HashMap<LinkId, mpsc::Sender<ToLink>>,
    /// Which of the links lead to servers.
    peers: HashSet<LinkId>,
    tickets: HashMap<Ticket, oneshot::Sender<Reply>>,
    last_ticket: Ticket,
}

impl Driver {
    /// A driver of `node`, which hands to `writers` what is to be remembered.
    pub fn new(node: Node, log: Log, writers: Writers) -> (Self, NodeHandle) {
        let (handle, inbox) = NodeHandle::new();
        let driver = Self {
            node,
            health: Health::default(),
            log,
            writers,
            inbox,
            links: HashMap::new(),
            peers: HashSet::new(),
            tickets: HashMap::new(),
            last_ticket: 0,
        };
        (driver, handle)
    }

    /// Runs until it is told to stop, and then until ledger and registry have everything.
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
                heard = self.writers.hear(&mut settled, BATCH) => {
                    heard?;
                    settled.drain(..).for_each(|outcome| self.settle(outcome));
                }
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

    fn settle(&mut self, outcome: Outcome) {
        self.handle(match outcome {
            Outcome::Appended(id, outcome) => Input::Appended { id, outcome },
            Outcome::Enrolled(id, outcome) => Input::Enrolled { id, outcome },
        });
    }

    fn take(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Input(input) => self.take_input(input),
            Message::PeerSaid(Word { link, message, .. }) => {
                self.handle(Input::PeerSaid { link, message });
            }
            Message::Open { link, host, address, queue } => {
                self.links.insert(link, queue);
                self.handle(Input::LinkOpened { link, host, address });
            }
            Message::OpenPeer { newcomer, queue } => {
                let Newcomer { link, credential: peer, address, dialed } = newcomer;
                self.links.insert(link, queue);
                self.peers.insert(link);
                self.handle(Input::PeerOpened { link, peer, address, dialed });
            }
            Message::Ask { question, reply } => {
                let ticket = self.ticket(reply);
                self.handle(match question {
                    Question::Release(number) => Input::Release { ticket, number },
                    Question::Settle => Input::Settle { ticket },
                    Question::Retire(host) => Input::Retire { ticket, host },
                    Question::Import(entries) => Input::ImportHosts { ticket, entries },
                });
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

    fn take_input(&mut self, input: Input) {
        if let Input::LinkClosed { link, .. } = &input {
            self.links.remove(link);
            self.peers.remove(link);
        }
        let drains = matches!(input, Input::Drain);
        self.handle(input);
        if drains {
            // Its clients learn it from the node; a peer has nothing to wait for.
            self.carry_out();
            for link in std::mem::take(&mut self.peers) {
                self.send(link, ToLink::Closing);
            }
        }
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
                Effect::Append { id, records } => {
                    if let Err(error) = self.writers.append(id, records) {
                        self.handle(Input::Appended { id, outcome: Err(error) });
                    }
                }
                Effect::Enroll { id, batch } => {
                    if let Err(error) = self.writers.enroll(id, batch) {
                        self.handle(Input::Enrolled { id, outcome: Err(error) });
                    }
                }
                Effect::Answer { link, request, answer } => {
                    self.send(link, ToLink::Answer(request, Box::new(answer)));
                }
                Effect::TellPeer { link, message } => {
                    self.send(link, ToLink::Peer(Box::new(message)));
                }
                Effect::RefusePeer { link, refusal } => {
                    self.send(link, ToLink::RefusePeer(Box::new(refusal)));
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

    fn send(&mut self, link: LinkId, message: ToLink) {
        if let Some(queue) = self.links.get(&link)
            && queue.try_send(message).is_err()
        {
            // It reads too slowly or has just ended; without its queue it ends itself.
            self.links.remove(&link);
        }
    }

    /// Waits for the outcomes that are still to come, so that nothing decided is lost, and closes
    /// ledger and registry. A disk that hangs is not waited for: what it did not take was promised to
    /// no one.
    async fn finish(mut self) {
        let deadline = Instant::now() + PATIENCE;
        let settled = timeout_at(deadline, async {
            let mut settled = Vec::new();
            self.carry_out();
            while self.writers.are_busy() {
                if self.writers.hear(&mut settled, BATCH).await.is_err() {
                    return;
                }
                settled.drain(..).for_each(|outcome| self.settle(outcome));
                self.carry_out();
            }
        });
        let settled = settled.await;
        let closed = timeout_at(deadline, self.writers.finish()).await;
        match (settled, closed) {
            (Ok(()), Ok(troubles)) => {
                for trouble in troubles {
                    self.log.error(Module::Main, trouble);
                }
            }
            (Err(_), _) | (_, Err(_)) => {
                self.log.error(Module::Main, "The ledger did not take everything in time.");
            }
        }
    }
}
