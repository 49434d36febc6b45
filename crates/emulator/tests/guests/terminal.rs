//! A guest on the operator's terminal. `script` (package bsdutils) gives a runner a real one.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    common::{LIMIT, Screen},
    runner::{guest_variable, runner_line},
};

/// A terminal with a runner in it.
struct Terminal {
    script: Child,
    keyboard: ChildStdin,
    screen: Screen<ChildStdout>,
}

/// Starts the guest `name` under a runner on a terminal.
fn terminal(name: &str) -> Terminal {
    let (variable, value) = guest_variable(name);
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", &runner_line(), "/dev/null"])
        .env(variable, value)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("script runs: install the package bsdutils");
    let keyboard = script.stdin.take().expect("a keyboard");
    let screen = Screen::new(script.stdout.take().expect("a screen"));
    Terminal { script, keyboard, screen }
}

impl Terminal {
    async fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.expect("typed");
    }

    async fn shows(&mut self, text: &str) {
        self.screen.shows(text).await;
    }

    /// What the runner says of the guest's process ID.
    async fn guest(&mut self) -> Pid {
        self.shows("runner: guest ").await;
        let digits = self.screen.shows("\r\n").await;
        Pid::from_raw(digits.parse().expect("a number")).expect("a process")
    }

    async fn closes(mut self) {
        let status = timeout(LIMIT, self.script.wait()).await.expect("ends").expect("a status");
        assert!(status.success(), "{status}");
    }
}

#[tokio::test]
async fn qemu_has_the_keyboard_and_ctrl_c_is_its_own() {
    let mut terminal = terminal("sparc");
    terminal.shows("0 > ").await;
    terminal.types("6 7 * .\r").await;
    terminal.shows("2a").await;
    // Ctrl-C, and the guest still counts; then Ctrl-A x, QEMU's own way out.
    terminal.types("\u{3}\r7 7 * .\r").await;
    terminal.shows("31").await;
    terminal.types("\u{1}x").await;
    terminal.shows("runner: exit code 0, the terminal echoes: Ok(true)").await;
    terminal.closes().await;
}

#[tokio::test]
async fn the_terminal_is_put_right_after_a_guest_that_was_killed() {
    let mut terminal = terminal("sparc");
    let guest = terminal.guest().await;
    terminal.shows("0 > ").await;
    kill_process(guest, Signal::KILL).expect("killed");
    terminal.shows("runner: signal 9, the terminal echoes: Ok(true)").await;
    terminal.closes().await;
}

#[tokio::test]
async fn ctrl_c_reaches_the_runner_and_not_a_command() {
    let mut terminal = terminal("echo");
    terminal.shows("ready").await;
    terminal.types("\u{3}").await;
    terminal.shows("runner: interrupted").await;
    terminal.types("still here\n").await;
    terminal.shows("guest: still here").await;
    // Ctrl-D at the start of a line ends the guest's input, and the guest.
    terminal.types("\u{4}").await;
    terminal.shows("runner: exit code 0").await;
    terminal.closes().await;
}
