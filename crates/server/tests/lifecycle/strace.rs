//! `strace` at a running process, or around one: system calls that are late, or the last ones.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{awaited, eventually, server::Server};

/// Tampers with a process's system calls; given up when dropped.
pub(crate) struct Strace(Child);

impl Strace {
    /// Ends it, so that what it held up goes on.
    pub(crate) async fn end(mut self) {
        self.0.kill().await.expect("strace's end");
    }
}

/// Whose system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    All,
    /// Only the one that writes the ledger.
    Ledger,
}

/// `calls` as `strace` names them, and what is done to them: `delay_enter=1000`, `signal=KILL:when=3`.
fn tampering(calls: &str, fault: &str) -> [String; 4] {
    ["-e".into(), format!("trace={calls}"), "-e".into(), format!("inject={calls}:{fault}")]
}

/// Does this to system calls of a running server. `None`, said aloud, where this machine doesn't let
/// us.
pub(crate) async fn attach(
    server: &Server,
    threads: Threads,
    calls: &str,
    fault: &str,
) -> Option<Strace> {
    let mut strace = Command::new("strace");
    match threads {
        Threads::All => strace.args(["-f", "-p", &server.pid().to_string()]),
        Threads::Ledger => {
            let thread = eventually("the ledger's thread", async || server.thread("ledger")).await;
            strace.args(["-p", &thread.to_string()])
        }
    };
    strace.args(tampering(calls, fault)).stderr(Stdio::piped()).kill_on_drop(true);
    let mut strace = match strace.spawn() {
        Ok(strace) => strace,
        Err(error) => {
            ve_testbed::skip(format_args!("there is no strace here: {error}"));
            return None;
        }
    };
    let mut said = BufReader::new(strace.stderr.take().expect("a pipe")).lines();
    let first =
        awaited("strace's first words", said.next_line()).await.expect("text").unwrap_or_default();
    if !first.contains("attached") {
        ve_testbed::skip(format_args!("strace may not look at another process here: {first}"));
        return None;
    }
    // Whoever writes to a pipe that nobody reads would hang as well.
    tokio::spawn(async move { while said.next_line().await.is_ok_and(|line| line.is_some()) {} });
    Some(Strace(strace))
}

/// The same for everything that a command does from its beginning. `None` where that can't be.
pub(crate) async fn around(command: &Command, calls: &str, fault: &str) -> Option<Command> {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output().await;
    match tried {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            ve_testbed::skip(format_args!("strace may not look at another process here: {why}"));
            return None;
        }
        Err(error) => {
            ve_testbed::skip(format_args!("there is no strace here: {error}"));
            return None;
        }
    }
    let command = command.as_std();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null"]).args(tampering(calls, fault));
    strace.arg(command.get_program()).args(command.get_args());
    for (variable, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(variable, value),
            None => strace.env_remove(variable),
        };
    }
    Some(strace)
}
