//! Drives the client machine: connections in, things for the program to do out.

use std::{future::pending, time::Duration};

use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::sleep,
};
use ve_core::{
    client::{
        Client,
        io::{Attempt, ConnectError, Effect, Exit, Hook, Input, ServerIndex, Told},
    },
    text::Name,
    time::{Elapsed, Now},
};

use crate::{
    config::{Config, Server},
    connection::{Connection, MAX_WAITING, News, What},
    link::{EndOfLife, SILENT},
    question::{Asker, Question},
    trust::Trusted,
};

/// Timers stand still while the machine sleeps, the machine's clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Something for the program to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Start what is licensed.
    StartGuest,
    /// Ask it to shut down cleanly.
    ShutDownGuest,
    /// Stop it now.
    StopGuest,
    /// Tell the log.
    Tell(Told),
    /// Run the operator's command for this moment, if there is one.
    RunHook(Hook),
    /// Tell the log why the receipt of the host's registration is not kept. The license is as good as
    /// before.
    TellOfReceipt(String),
    /// End. There is nothing more to do.
    Exit(Exit),
}

/// Something that happened to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// What was started has ended.
    GuestEnded,
    /// It could not be started.
    GuestFailed,
    /// The operator wants it to end; the second time at once.
    StopRequested,
}

/// Keeps a program licensed.
#[derive(Debug)]
pub struct Licensing {
    machine: Client,
    clock: fn() -> Now,
    servers: Vec<Server>,
    asker: Asker,
    /// The customers that all servers which were trusted so far have in common; empty before the
    /// first.
    customers: Vec<Name>,
    /// At most one for each server.
    connections: Vec<Connection>,
    news: Receiver<News>,
    to_me: Sender<News>,
}

impl Licensing {
    /// Begins to ask for a license at the first call of [`Self::next`]; `clock` reads the boot and
    /// the wall clock. Looks into the folder of receipts.
    pub fn new(config: Config, clock: fn() -> Now) -> Self {
        let asker = Asker::of(&config, clock);
        let Config { servers, mut settings, .. } = config;
        settings.servers = servers.len();
        settings.home = asker.receipts.home();
        let (to_me, news) = mpsc::channel(MAX_WAITING);
        let mut machine = Client::new(settings);
        machine.handle(clock(), Input::Start);
        Self {
            machine,
            clock,
            servers,
            asker,
            customers: Vec::new(),
            connections: Vec::new(),
            news,
            to_me,
        }
    }

    /// Takes what happened to the program.
    pub fn report(&mut self, report: Report) {
        self.handle(match report {
            Report::GuestEnded => Input::GuestEnded,
            Report::GuestFailed => Input::GuestFailed,
            Report::StopRequested => Input::StopRequested,
        });
    }

    fn handle(&mut self, input: Input) {
        self.machine.handle((self.clock)(), input);
    }

    /// The next thing to do. Cancel safe: it may be waited for beside other things. Must be called
    /// inside a tokio runtime with I/O and time; after [`Instruction::Exit`] nothing comes any more.
    pub async fn next(&mut self) -> Instruction {
        loop {
            while let Some(effect) = self.machine.poll() {
                if let Some(instruction) = self.carry_out(effect) {
                    return instruction;
                }
            }
            let pause = self.pause();
            let timer = async {
                match pause {
                    Some(pause) => sleep(pause).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Some(news) = self.news.recv() => self.take(news),
                why = self.asker.receipts.problem() => return Instruction::TellOfReceipt(why),
                () = timer => self.tick(),
            }
        }
    }

    /// How long there is nothing to do unless something happens.
    fn pause(&self) -> Option<Duration> {
        let now = (self.clock)().elapsed;
        let deadline = self.machine.deadline()?;
        Some(Duration::from_millis(deadline.since_ms(now)).min(LONGEST_SLEEP))
    }

    fn take(&mut self, News { attempt, what }: News) {
        // A connection that was given up is nobody's business any more.
        if !self.connections.iter().any(|open| open.attempt() == attempt) {
            return;
        }
        match what {
            What::Trusted { trusted, end_of_life } => {
                self.take_trusted(attempt, trusted, end_of_life);
            }
            What::Heard(input) => self.handle(input),
            What::NotConnected(why) => {
                self.disconnect(attempt);
                self.handle(Input::NotConnected { attempt, why });
            }
            What::Lost { why, since } => self.lose(attempt, why, since),
        }
    }

    /// What was lost before it is taken up here was lost then: the news may have waited.
    fn lose(&mut self, attempt: Attempt, why: String, since: Elapsed) {
        self.disconnect(attempt);
        let now = (self.clock)();
        let late_ms = now.elapsed.since_ms(since);
        self.machine.handle(now, Input::LinkLost { attempt, why, late_ms });
    }

    /// Time has passed. When this process was stopped or the machine slept, it is chance whether a
    /// connection's task finds that first; what the machine does about the time must not depend on it.
    fn tick(&mut self) {
        let now = (self.clock)().elapsed;
        let silent = |open: &Connection| Some((open.attempt(), open.is_silent_since(now)?));
        let silent: Vec<_> = self.connections.iter().filter_map(silent).collect();
        for (attempt, since) in silent {
            self.lose(attempt, SILENT.to_owned(), since);
        }
        self.handle(Input::Tick);
    }

    /// A backup of another customer's is no backup.
    fn take_trusted(&mut self, attempt: Attempt, trusted: Trusted, end_of_life: EndOfLife) {
        let Trusted { customers: shown, licenses, .. } = trusted;
        let mut customers = shown.clone();
        if !self.customers.is_empty() {
            customers.retain(|customer| self.customers.contains(customer));
        }
        if customers.is_empty() {
            self.disconnect(attempt);
            let why = format!(
                "the server belongs to {}, the others to {}",
                list(&shown),
                list(&self.customers)
            );
            let why = ConnectError::Unverified { why, refusal: None };
            return self.handle(Input::NotConnected { attempt, why });
        }
        self.customers = customers;
        if let Some(open) = self.connections.iter_mut().find(|open| open.attempt() == attempt) {
            open.stands_until(end_of_life);
        }
        self.handle(Input::Connected { attempt, licenses });
    }

    /// What a connection can do is done here; the rest is the program's.
    fn carry_out(&mut self, effect: Effect) -> Option<Instruction> {
        match effect {
            Effect::Connect { attempt, server } => self.connect(attempt, server),
            Effect::Login { attempt, session } => self.ask(attempt, Question::Login(session)),
            Effect::Check { attempt, session } => self.ask(attempt, Question::Check(session)),
            Effect::Logout { attempt, session } => self.ask(attempt, Question::Logout(session)),
            Effect::Disconnect { attempt } => self.disconnect(attempt),
            Effect::StartGuest => return Some(Instruction::StartGuest),
            Effect::ShutDownGuest => return Some(Instruction::ShutDownGuest),
            Effect::StopGuest => return Some(Instruction::StopGuest),
            Effect::Tell(told) => return Some(Instruction::Tell(told)),
            Effect::RunHook(hook) => return Some(Instruction::RunHook(hook)),
            Effect::Exit(exit) => return Some(Instruction::Exit(exit)),
        }
        None
    }

    fn connect(&mut self, attempt: Attempt, index: ServerIndex) {
        let Some(server) = self.servers.get(index).cloned() else {
            let why = ConnectError::Unreachable("no license server is configured".to_owned());
            return self.handle(Input::NotConnected { attempt, why });
        };
        // Never more than one for each server, whatever the machine thinks.
        self.connections.retain(|open| open.server() != index);
        let (asker, to_me) = (self.asker.clone(), self.to_me.clone());
        self.connections.push(Connection::open(attempt, index, server, asker, to_me));
    }

    fn ask(&self, attempt: Attempt, question: Question) {
        // Without a connection the machine gives the question up when its time is over.
        if let Some(connection) = self.connections.iter().find(|open| open.attempt() == attempt) {
            connection.ask(question);
        }
    }

    fn disconnect(&mut self, attempt: Attempt) {
        self.connections.retain(|open| open.attempt() != attempt);
    }
}

fn list(customers: &[Name]) -> String {
    let names: Vec<&str> = customers.iter().map(Name::as_str).collect();
    names.join(", ")
}
