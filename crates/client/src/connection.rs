//! The task of one connection, from its first byte to its last: questions in, what happens out.

use tokio::{
    sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};
use ve_core::{
    client::io::{Attempt, Input},
    text::Name,
};

use crate::{
    config::Server,
    hello,
    link::{Heard, Lost, Step},
    question::{Asker, Question},
};

/// How many things that a server said may wait to be taken up; then it is not listened to.
pub(crate) const MAX_WAITING: usize = 16;

/// What a connection's task reports.
#[derive(Debug)]
pub(crate) enum News {
    /// The server is trusted, and belongs to these customers.
    Trusted(Attempt, Vec<Name>),
    /// What the machine needs to know.
    Input(Input),
}

/// A connection; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    attempt: Attempt,
    questions: UnboundedSender<Question>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Begins to connect. Must be called inside a tokio runtime with I/O and time.
    pub(crate) fn open(attempt: Attempt, server: Server, asker: Asker, news: Sender<News>) -> Self {
        let (questions, to_ask) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let input = live(attempt, &server, &asker, to_ask, &news).await;
            if let Some(input) = input {
                tell(&news, News::Input(input)).await;
            }
        });
        Self { attempt, questions, task }
    }

    /// Which attempt made it.
    pub(crate) fn attempt(&self) -> Attempt {
        self.attempt
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

async fn tell(to: &Sender<News>, news: News) {
    // Nobody listens only when everything is over.
    let _ = to.send(news).await;
}

/// The whole life of a connection, and what ends it; `None`: nobody asks any more.
async fn live(
    attempt: Attempt,
    server: &Server,
    asker: &Asker,
    mut questions: UnboundedReceiver<Question>,
    news: &Sender<News>,
) -> Option<Input> {
    let mut link = match hello::connect(server, asker).await {
        Ok(link) => link,
        Err(why) => return Some(Input::NotConnected { attempt, why }),
    };
    tell(news, News::Trusted(attempt, link.customers().to_vec())).await;
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
                tell(news, News::Input(input(attempt, heard))).await;
                Ok(())
            }
            Next::Step(Err(lost)) => Err(lost),
        };
        if let Err(lost) = outcome {
            let late_ms = link.late_ms();
            return Some(Input::LinkLost { attempt, why: lost.to_string(), late_ms });
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
    }
}
