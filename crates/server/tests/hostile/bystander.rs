//! A client that is licensed while others attack, and proves it.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    connection::Host,
    messages::Login,
    server::{LONG, Server},
};

/// How long it is silent at most; far below the heartbeat time-out.
const BEAT: Duration = Duration::from_secs(1);

/// A licensed client in a thread of its own. It beats all the time, so it also fails when the server
/// is held up for a moment in between.
pub(crate) struct Bystander {
    questions: Sender<()>,
    proofs: Receiver<Duration>,
}

impl Bystander {
    pub(crate) fn log_in(server: &Server) -> Self {
        let mut client = Client::connect(server, &Host::new());
        let session = client.log_in(&Login::of("bystander"));
        let (questions, asked) = channel();
        let (answers, proofs) = channel();
        thread::spawn(move || {
            loop {
                match asked.recv_timeout(BEAT) {
                    Ok(()) => {
                        let since = Instant::now();
                        client.check(&session).expect("its license goes on");
                        client.beat();
                        // The test may have failed meanwhile.
                        let _ = answers.send(since.elapsed());
                    }
                    Err(RecvTimeoutError::Timeout) => client.beat(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        Self { questions, proofs }
    }

    /// It was licensed all the time and is licensed now; says how long the server took to say so.
    pub(crate) fn prove(&self, after: &str) -> Duration {
        let asked = self.questions.send(());
        let proof = asked.ok().and_then(|()| self.proofs.recv_timeout(LONG).ok());
        proof.unwrap_or_else(|| panic!("{after}: the bystander has lost its license"))
    }
}
