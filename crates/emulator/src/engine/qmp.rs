//! A client of QEMU's control socket: the QEMU Machine Protocol, JSON objects one a line.
//!
//! Two tasks own the connection: one writes whole lines, one reads them and hands answers to whoever
//! waits. They end with the connection or with the [`Qmp`].

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{broadcast, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use ve_core::text::printable;

/// The longest line that is read from QEMU, in bytes.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// How long QEMU may take to answer a command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Commands that may wait to be written.
const MAX_WAITING_COMMANDS: usize = 16;
/// How much of QEMU's own words is repeated, in characters.
const SHOWN_CHARACTERS: usize = 400;

/// What QEMU tells of its guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestEvent {
    /// The power button was pressed.
    PowerDown,
    /// The machine goes off; `by_guest`: because its operating system wanted so.
    Shutdown {
        /// Whether the guest's own doing.
        by_guest: bool,
    },
}

/// Why a command could not be carried out.
#[derive(Debug, Error)]
pub enum QmpError {
    /// The connection failed.
    #[error("QEMU's control socket failed: {0}")]
    Io(#[from] io::Error),
    /// What came was no QMP.
    #[error("QEMU's control socket speaks no QMP: {0}")]
    NotQmp(&'static str),
    /// QEMU said no.
    #[error("QEMU refused {command}: {reason}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's own words.
        reason: String,
    },
    /// No answer in time.
    #[error("QEMU didn't answer {command} for {} ms", waited.as_millis())]
    NoAnswer {
        /// The command.
        command: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection has ended.
    #[error("QEMU closed its control socket: it has ended or is about to")]
    Closed,
}

type Answer = Result<Value, String>;

/// Who waits for which answer; `None` once the connection has ended.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>>;

/// A connection to a running QEMU.
#[derive(Debug)]
pub struct Qmp {
    lines: mpsc::Sender<String>,
    waiting: Waiting,
    next_id: AtomicU64,
    answer_timeout: Duration,
    /// The reader and the writer: they end when this is dropped.
    _tasks: JoinSet<()>,
}

impl Qmp {
    /// Greets QEMU on a fresh connection; what it tells of the guest goes to `events`.
    ///
    /// Waits without limit for QEMU's greeting, which comes when its machine is set up.
    pub(super) async fn connect(
        stream: UnixStream,
        events: broadcast::Sender<GuestEvent>,
    ) -> Result<Self, QmpError> {
        let (reader, writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let greeting = read_line(&mut reader).await?.ok_or(QmpError::Closed)?;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::NotQmp("there is no greeting"));
        }
        let (lines, to_write) = mpsc::channel(MAX_WAITING_COMMANDS);
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let mut tasks = JoinSet::new();
        tasks.spawn(write_lines(writer, to_write));
        tasks.spawn(read_lines(reader, Arc::clone(&waiting), events));
        let qmp = Self {
            lines,
            waiting,
            next_id: AtomicU64::new(1),
            answer_timeout: ANSWER_TIMEOUT,
            _tasks: tasks,
        };
        qmp.execute("qmp_capabilities", None).await?;
        Ok(qmp)
    }

    /// Has QEMU carry out `command` and returns its answer. May be cancelled; QEMU carries it out
    /// all the same.
    pub async fn execute(
        &self,
        command: &str,
        arguments: Option<Value>,
    ) -> Result<Value, QmpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "execute": command, "id": id });
        if let Some(arguments) = arguments {
            message["arguments"] = arguments;
        }
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).as_mut().ok_or(QmpError::Closed)?.insert(id, answer);
        let exchange = async {
            self.lines.send(format!("{message}\n")).await.map_err(|_| QmpError::Closed)?;
            answered.await.map_err(|_| QmpError::Closed)
        };
        let outcome = timeout(self.answer_timeout, exchange).await;
        if let Some(waiting) = lock(&self.waiting).as_mut() {
            waiting.remove(&id);
        }
        outcome
            .map_err(|_| QmpError::NoAnswer {
                command: command.to_owned(),
                waited: self.answer_timeout,
            })??
            .map_err(|reason| QmpError::Refused { command: command.to_owned(), reason })
    }
}

/// A panic elsewhere can't leave the map half changed.
fn lock(
    waiting: &Waiting,
) -> std::sync::MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write_lines(mut writer: OwnedWriteHalf, mut lines: mpsc::Receiver<String>) {
    while let Some(line) = lines.recv().await {
        if writer.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_lines(
    mut reader: BufReader<OwnedReadHalf>,
    waiting: Waiting,
    events: broadcast::Sender<GuestEvent>,
) {
    while let Ok(Some(message)) = read_line(&mut reader).await {
        if let Some(event) = guest_event(&message) {
            // Nobody has to listen.
            drop(events.send(event));
        } else if let Some((id, answer)) = answer_of(message) {
            let asker = lock(&waiting).as_mut().and_then(|waiting| waiting.remove(&id));
            if let Some(asker) = asker {
                drop(asker.send(answer));
            }
        }
    }
    // Whoever waits now, or asks later, learns that the connection has ended.
    *lock(&waiting) = None;
}

/// One line as JSON; `None` at the end of the connection.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> Result<Option<Value>, QmpError> {
    let mut line = Vec::new();
    reader.take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => serde_json::from_slice(&line)
            .map(Some)
            .map_err(|_| QmpError::NotQmp("a line is no JSON")),
        Some(_) => Err(QmpError::NotQmp("a line is cut off or longer than 1 MiB")),
    }
}

fn guest_event(message: &Value) -> Option<GuestEvent> {
    match message.get("event")?.as_str()? {
        "POWERDOWN" => Some(GuestEvent::PowerDown),
        "SHUTDOWN" => {
            let by_guest = message.pointer("/data/guest").and_then(Value::as_bool).unwrap_or(false);
            Some(GuestEvent::Shutdown { by_guest })
        }
        _ => None,
    }
}

fn answer_of(mut message: Value) -> Option<(u64, Answer)> {
    let id = message.get("id")?.as_u64()?;
    if let Some(value) = message.get_mut("return") {
        return Some((id, Ok(value.take())));
    }
    let reason =
        message.pointer("/error/desc").and_then(Value::as_str).unwrap_or("no reason given");
    Some((id, Err(printable(reason, SHOWN_CHARACTERS))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": []}}"#;

    /// A QEMU that says these lines, one in answer to each line that it reads, and then hangs up.
    fn answering(lines: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        tokio::spawn(async move {
            let (reader, mut writer) = theirs.into_split();
            let mut commands = BufReader::new(reader).lines();
            for (number, line) in lines.iter().enumerate() {
                let asked = number == 0 || matches!(commands.next_line().await, Ok(Some(_)));
                if !asked || writer.write_all(format!("{line}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        ours
    }

    async fn connect(
        lines: &'static [&'static str],
    ) -> Result<(Qmp, broadcast::Receiver<GuestEvent>), QmpError> {
        let (sender, events) = broadcast::channel(4);
        Ok((Qmp::connect(answering(lines), sender).await?, events))
    }

    #[tokio::test]
    async fn answers_find_their_askers_and_events_their_listeners() {
        let (qmp, mut events) = connect(&[
            GREETING,
            r#"{"return": {}, "id": 1}"#,
            // Another's answer and an event come before the answer.
            "{\"return\": 5, \"id\": 77}\n{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n{\"return\": 6, \"id\": 2}",
            r#"{"error": {"class": "GenericError", "desc": "no\n such"}, "id": 3}"#,
        ])
        .await
        .expect("connected");
        assert_eq!(qmp.execute("a", None).await.expect("an answer"), 6);
        assert_eq!(events.recv().await, Ok(GuestEvent::Shutdown { by_guest: true }));
        let refused = qmp.execute("b", Some(json!({"c": 1}))).await.expect_err("refused");
        assert_eq!(refused.to_string(), "QEMU refused b: no\\u{a} such");
        // It has hung up by now.
        assert!(matches!(qmp.execute("d", None).await, Err(QmpError::Closed)));
    }

    #[tokio::test]
    async fn what_is_no_qmp_is_refused() {
        let giant: &'static str = "x".repeat(usize::try_from(MAX_LINE_BYTES).expect("fits")).leak();
        let giant: &'static [&'static str] = vec![giant].leak();
        for (lines, expected) in [
            (&["{}"] as &[&str], "QEMU's control socket speaks no QMP: there is no greeting"),
            (&["HTTP/1.1 400"], "QEMU's control socket speaks no QMP: a line is no JSON"),
            (giant, "QEMU's control socket speaks no QMP: a line is cut off or longer than 1 MiB"),
            (&[], "QEMU closed its control socket: it has ended or is about to"),
            (&[GREETING], "QEMU closed its control socket: it has ended or is about to"),
            (&[GREETING, "[]"], "QEMU closed its control socket: it has ended or is about to"),
        ] {
            let error = connect(lines).await.map(|_| ()).expect_err("refused");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[tokio::test]
    async fn a_qemu_that_is_silent_is_given_up() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let (reader, writer) = ours.into_split();
        let (lines, to_write) = mpsc::channel(MAX_WAITING_COMMANDS);
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let mut tasks = JoinSet::new();
        tasks.spawn(write_lines(writer, to_write));
        tasks.spawn(read_lines(
            BufReader::new(reader),
            Arc::clone(&waiting),
            broadcast::channel(1).0,
        ));
        let qmp = Qmp {
            lines,
            waiting,
            next_id: AtomicU64::new(1),
            answer_timeout: Duration::from_millis(1),
            _tasks: tasks,
        };
        let error = qmp.execute("quit", None).await.expect_err("given up");
        assert_eq!(error.to_string(), "QEMU didn't answer quit for 1 ms");
        assert!(lock(&qmp.waiting).as_ref().is_some_and(HashMap::is_empty));
    }
}
