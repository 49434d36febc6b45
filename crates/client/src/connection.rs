//! The task of one connection, from its first byte to its last: questions in, what happens out.

use tokio::{
    sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};
use ve_core::{
    client::io::{Attempt, ConnectError, Input, ServerIndex},
    time::Elapsed,
};

use crate::{
    config::Server,
    hello,
    link::{EndOfLife, Heard, Lost, Step},
    question::{Asker, Question},
    trust::Trusted,
};

/// How many things that a server said may wait to be taken up; then it is not listened to.
pub(crate) const MAX_WAITING: usize = 16;

/// What a connection's task reports.
#[derive(Debug)]
pub(crate) struct News {
    /// Whose connection it is.
    pub(crate) attempt: Attempt,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// The server is trusted.
    Trusted {
        /// By its vendor, who says this of it.
        trusted: Trusted,
        /// When it is to be given up.
        end_of_life: EndOfLife,
    },
    /// Something was heard.
    Heard(Input),
    /// It never came about. Nothing comes after this.
    NotConnected(ConnectError),
    /// It has ended. Nothing comes after this.
    Lost {
        /// Why, for the log.
        why: String,
        /// Since when, by the boot clock.
        since: Elapsed,
    },
}

/// A connection; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    attempt: Attempt,
    server: ServerIndex,
    questions: UnboundedSender<Question>,
    /// When it is to be given up, once it stands.
    end_of_life: Option<EndOfLife>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Begins to connect. Must be called inside a tokio runtime with I/O and time.
    pub(crate) fn open(
        attempt: Attempt,
        index: ServerIndex,
        server: Server,
        asker: Asker,
        news: Sender<News>,
    ) -> Self {
        let (questions, to_ask) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let end = live(attempt, &server, &asker, to_ask, &news).await;
            if let Some(end) = end {
                tell(&news, attempt, end).await;
            }
        });
        Self { attempt, server: index, questions, end_of_life: None, task }
    }

    /// Which attempt made it.
    pub(crate) fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Which server it leads to.
    pub(crate) fn server(&self) -> ServerIndex {
        self.server
    }

    /// It stands, until then at the latest.
    pub(crate) fn stands_until(&mut self, end_of_life: EndOfLife) {
        self.end_of_life = Some(end_of_life);
    }

    /// Since when its server is silent for too long, if it is by `now`.
    pub(crate) fn is_silent_since(&self, now: Elapsed) -> Option<Elapsed> {
        self.end_of_life.as_ref().map(EndOfLife::at).filter(|end| *end < now)
    }

    /// Asks the server, once the connection stands.
    pub(crate) fn ask(&self, question: Question) {
        // A task that has ended has reported why.
        let _ = self.questions.send(question);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tell(to: &Sender<News>, attempt: Attempt, what: What) {
    // Nobody listens only when everything is over.
    let _ = to.send(News { attempt, what }).await;
}

/// The whole life of a connection, and what ends it; `None`: nobody asks any more.
async fn live(
    attempt: Attempt,
    server: &Server,
    asker: &Asker,
    mut questions: UnboundedReceiver<Question>,
    news: &Sender<News>,
) -> Option<What> {
    let mut link = match hello::connect(server, asker).await {
        Ok(link) => link,
        Err(why) => return Some(What::NotConnected(why)),
    };
    let (trusted, end_of_life) = (link.trusted().clone(), link.end_of_life());
    tell(news, attempt, What::Trusted { trusted, end_of_life: end_of_life.clone() }).await;
    loop {
        let next = tokio::select! {
            question = questions.recv() => Next::Ask(question?),
            step = link.next() => Next::Step(step),
        };
        // Writing is never cancelled half-way: it happens here, outside the select.
        let outcome = match next {
            Next::Ask(question) => link.ask(question, asker, server).await,
            Next::Step(Ok(Step::Owes(owed))) => link.pay(owed).await,
            Next::Step(Ok(Step::Heard(heard))) => {
                tell(news, attempt, What::Heard(input(attempt, heard))).await;
                Ok(())
            }
            Next::Step(Err(lost)) => Err(lost),
        };
        if let Err(lost) = outcome {
            // Timers sleep with the machine, and the server's clock does not.
            let since = (asker.clock)().elapsed.min(end_of_life.at());
            return Some(What::Lost { why: lost.to_string(), since });
        }
    }
}

/// What a connection does next.
enum Next {
    Ask(Question),
    Step(Result<Step, Lost>),
}

fn input(attempt: Attempt, heard: Heard) -> Input {
    match heard {
        Heard::Granted(grant) => Input::Granted { attempt, grant: *grant },
        Heard::Refused(refusal) => Input::Refused { attempt, refusal },
        Heard::Revoked(refusal) => Input::Revoked { attempt, refusal },
        Heard::LoggedOut => Input::LoggedOut { attempt },
        Heard::Closing => Input::Closing { attempt },
    }
}
