//! A running `licensed`: its process, and its log as it comes.

use std::{
    fs,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    sync::watch,
};

use super::awaited;

/// A server that serves; killed when dropped.
pub(crate) struct Server {
    process: Child,
    /// What it has logged so far: the same lines as in the file, as they come.
    log: watch::Receiver<Vec<String>>,
    port: u16,
}

impl Server {
    /// Starts a server and waits until it serves.
    pub(crate) async fn start(command: Command) -> Self {
        let mut server = Self::begin(command);
        server.logs("License server is ready to serve.").await;
        let listening = server.logs("INFO MAIN Listening on ").await;
        let port = listening.trim_end_matches('.').rsplit(':').next();
        server.port =
            port.and_then(|port| port.parse().ok()).expect("a port at the end of the line");
        server
    }

    /// Starts a server, which may not serve yet; it has no port that is known.
    pub(crate) fn begin(mut command: Command) -> Self {
        let mut process = command
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a program that starts");
        let log = follow(process.stderr.take().expect("a pipe"));
        Self { process, log, port: 0 }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().expect("a process that runs")
    }

    /// The system's number of one of the server's threads; a thread gives itself its name when it
    /// begins to run.
    pub(crate) fn thread(&self, name: &str) -> Option<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("a process");
        let mut tasks = tasks.filter_map(|task| Some(task.ok()?.path()));
        let found = tasks.find(|task| {
            fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        })?;
        found.file_name()?.to_str()?.parse().ok()
    }

    /// Waits until the server serves; false when it has ended before.
    pub(crate) async fn gets_ready(&self) -> bool {
        let mut log = self.log.clone();
        let ready = |lines: &Vec<String>| lines.iter().any(|line| line.contains("ready to serve"));
        awaited("a server that is ready, or its end", log.wait_for(ready)).await.is_ok()
    }

    /// What was logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// How many lines that contain `text` were logged so far.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.log.borrow().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until the log has a line that contains `text`; the first such line.
    pub(crate) async fn logs(&self, text: &str) -> String {
        self.logs_times(text, 1).await
    }

    /// Waits until the log has so many lines that contain `text`; the last of them.
    pub(crate) async fn logs_times(&self, text: &str, times: usize) -> String {
        let mut log = self.log.clone();
        let found =
            |lines: &Vec<String>| lines.iter().filter(|line| line.contains(text)).count() >= times;
        let waited = awaited(&format!("the line {text:?}"), log.wait_for(found)).await;
        let Ok(lines) = waited else {
            panic!("the server ended without logging {text:?}: {:#?}", self.log());
        };
        lines
            .iter()
            .filter(|line| line.contains(text))
            .nth(times - 1)
            .expect("it was found")
            .clone()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        signal_process(self.pid(), signal).expect("a process that is there");
    }

    /// Waits for the process's end: how it ended, and everything that it logged.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = awaited("the server's end", self.process.wait()).await.expect("a child");
        // The last words may still be in the pipe.
        let mut log = self.log.clone();
        let all = async { while log.changed().await.is_ok() {} };
        awaited("the end of the log", all).await;
        (status, self.log())
    }

    /// Kills the process at once, as a power cut would.
    pub(crate) async fn kill(self) {
        self.signal(Signal::KILL);
        let (status, log) = self.ended().await;
        assert!(!status.success(), "{log:#?}");
    }

    /// Ends the server as the service manager does.
    pub(crate) async fn terminate(self) {
        self.signal(Signal::TERM);
        let (status, log) = self.ended().await;
        assert!(status.success(), "{status}: {log:#?}");
    }
}

/// Sends a signal to a process that may be gone.
pub(crate) fn signal_process(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("no process is 0"), signal)
}

fn follow(stderr: ChildStderr) -> watch::Receiver<Vec<String>> {
    let (sender, log) = watch::channel(Vec::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|log| log.push(line));
        }
    });
    log
}
