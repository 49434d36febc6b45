//! Drives the client machine: connections in, things for the program to do out.

use std::{future::pending, time::Duration};

use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
    time::sleep,
};
use ve_core::{
    client::{
        Client,
        io::{Attempt, ConnectError, Effect, Exit, Hook, Input, ServerIndex, Told},
    },
    id::SessionId,
    text::Name,
    time::Now,
};

use crate::{
    config::{Config, Server},
    link::{Asker, Heard, Link, Question},
};

/// Timers stand still while the machine sleeps, the machine's clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Something for the program to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Todo {
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
    /// The customer of the first server that was trusted; every other must name the same.
    customer: Option<Name>,
    connection: Option<Connection>,
    inputs: UnboundedReceiver<FromLink>,
    to_me: UnboundedSender<FromLink>,
}

/// What a connection's task reports.
#[derive(Debug)]
enum FromLink {
    Input(Input),
    Customer(Attempt, Name),
}

/// The task of the current connection; ends when this is dropped.
#[derive(Debug)]
struct Connection {
    questions: UnboundedSender<Question>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Licensing {
    /// Begins to ask for a license at the first call of [`Self::next`]; `clock` reads the boot and
    /// the wall clock.
    pub fn new(config: Config, clock: fn() -> Now) -> Self {
        let Config { servers, program, vendor_keys, host, run, mut settings } = config;
        settings.servers = servers.len();
        let (to_me, inputs) = mpsc::unbounded_channel();
        let mut machine = Client::new(settings);
        machine.handle(clock(), Input::Start);
        let asker = Asker { program, host, vendor_keys, run };
        Self { machine, clock, servers, asker, customer: None, connection: None, inputs, to_me }
    }

    /// Takes what happened to the program.
    pub fn report(&mut self, report: Report) {
        let input = match report {
            Report::GuestEnded => Input::GuestEnded,
            Report::GuestFailed => Input::GuestFailed,
            Report::StopRequested => Input::StopRequested,
        };
        self.machine.handle((self.clock)(), input);
    }

    /// The next thing to do. Cancel safe: it may be waited for beside other things.
    pub async fn next(&mut self) -> Todo {
        loop {
            while let Some(effect) = self.machine.poll() {
                if let Some(todo) = self.carry_out(effect) {
                    return todo;
                }
            }
            let now = (self.clock)();
            let pause = self.machine.deadline().map(|deadline| Duration::from_millis(deadline.since_ms(now.elapsed)));
            let timer = async {
                match pause {
                    Some(pause) => sleep(pause.min(LONGEST_SLEEP)).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Some(from_link) = self.inputs.recv() => self.take(from_link),
                () = timer => self.machine.handle((self.clock)(), Input::Tick),
            }
        }
    }

    fn take(&mut self, from_link: FromLink) {
        let now = (self.clock)();
        match from_link {
            FromLink::Input(input) => self.machine.handle(now, input),
            FromLink::Customer(attempt, customer) => {
                let expected = self.customer.get_or_insert_with(|| customer.clone());
                let input = if *expected == customer {
                    Input::Connected { attempt }
                } else {
                    let why = format!("the server belongs to {customer}, the others to {expected}");
                    Input::NotConnected { attempt, why: ConnectError::Unreachable(why) }
                };
                self.machine.handle(now, input);
            }
        }
    }

    /// What a connection can do is done here; the rest is the program's.
    fn carry_out(&mut self, effect: Effect) -> Option<Todo> {
        match effect {
            Effect::Connect { attempt, server } => self.connect(attempt, server),
            Effect::Login { session } => self.ask(Question::Login { session, probe: false }),
            Effect::Check { session } => self.ask(Question::Check(session)),
            Effect::Logout { session } => self.ask(Question::Logout(session)),
            Effect::Disconnect => self.connection = None,
            Effect::StartGuest => return Some(Todo::StartGuest),
            Effect::ShutDownGuest => return Some(Todo::ShutDownGuest),
            Effect::StopGuest => return Some(Todo::StopGuest),
            Effect::Tell(told) => return Some(Todo::Tell(told)),
            Effect::RunHook(hook) => return Some(Todo::RunHook(hook)),
            Effect::Exit(exit) => return Some(Todo::Exit(exit)),
        }
        None
    }

    fn connect(&mut self, attempt: Attempt, index: ServerIndex) {
        let (questions, asked) = mpsc::unbounded_channel();
        let talk = talk(attempt, self.servers[index].clone(), self.asker.clone(), asked, self.to_me.clone());
        // The task of an earlier attempt ends with its connection.
        self.connection = Some(Connection { questions, task: tokio::spawn(talk) });
    }

    fn ask(&self, question: Question) {
        if let Some(connection) = &self.connection {
            // A task that has ended has reported why.
            let _ = connection.questions.send(question);
        }
    }
}

/// What a connection does next.
enum Next {
    Ask(Question),
    Beat,
    Heard(Heard),
}

/// The whole life of one connection.
async fn talk(
    attempt: Attempt,
    server: Server,
    asker: Asker,
    mut questions: UnboundedReceiver<Question>,
    to_machine: UnboundedSender<FromLink>,
) {
    // Nobody listens only when everything is over.
    let report = |input| {
        let _ = to_machine.send(FromLink::Input(input));
    };
    let mut link = match Link::connect(&server, &asker).await {
        Ok(link) => link,
        Err(why) => return report(Input::NotConnected { attempt, why }),
    };
    let _ = to_machine.send(FromLink::Customer(attempt, link.customer().clone()));
    let mut holds: Option<SessionId> = None;
    loop {
        let step = tokio::select! {
            question = questions.recv() => match question {
                Some(question) => Ok(Next::Ask(question)),
                None => return,
            },
            heard = link.hear() => heard.map(|heard| heard.map_or(Next::Beat, Next::Heard)),
        };
        // Writing is never cancelled half-way: it happens here, outside the select.
        let step = match step {
            Ok(Next::Ask(question)) => link.ask(question, &asker, &server).await.map(|()| None),
            Ok(Next::Beat) => link.beat().await.map(|()| None),
            Ok(Next::Heard(heard)) => Ok(Some(heard)),
            Err(lost) => Err(lost),
        };
        let heard = match step {
            Ok(None) => continue,
            Ok(Some(heard)) => heard,
            Err(lost) => return report(Input::LinkLost { attempt, why: lost.to_string() }),
        };
        match heard {
            Heard::Granted(grant) => {
                holds = Some(grant.session);
                report(Input::Granted { attempt, grant: *grant });
            }
            Heard::Refused(refusal) => report(Input::Refused { attempt, refusal }),
            Heard::Revoked(refusal) => report(Input::Revoked { attempt, refusal }),
            Heard::LoggedOut => report(Input::LoggedOut),
            Heard::Ping(session) => {
                if let Err(lost) = link.pong(session, holds == Some(session)).await {
                    return report(Input::LinkLost { attempt, why: lost.to_string() });
                }
            }
        }
    }
}
