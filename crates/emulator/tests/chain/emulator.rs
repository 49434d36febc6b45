//! An emulator that was started.

use std::{
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use ve_testbed::wait;

use crate::processes;

/// A `ve-emulator` that was started. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Emulator {
    process: Child,
    log: PathBuf,
    screen: PathBuf,
}

/// What is left of an emulator.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its log.
    pub(crate) log: String,
    /// What it and its guest printed.
    pub(crate) screen: String,
}

impl Emulator {
    pub(crate) fn new(process: Child, log: PathBuf, screen: PathBuf) -> Self {
        Self { process, log, screen }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until its log holds `text`; returns the log.
    #[track_caller]
    pub(crate) fn logs(&mut self, text: &str) -> String {
        self.says(text, &self.log.clone())
    }

    /// Waits until its console shows `text`.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> String {
        self.says(text, &self.screen.clone())
    }

    #[track_caller]
    fn says(&mut self, text: &str, file: &Path) -> String {
        let mut ended = None;
        let said = wait::try_until(|| {
            // Looked at before the file is read: what an ended one said is all there.
            ended = self.process.try_wait().expect("a process");
            let said = wait::content(file);
            (ended.is_some() || said.contains(text)).then_some(said)
        });
        match said {
            Some(said) if said.contains(text) => said,
            _ => panic!("no {text:?}; ended: {ended:?}\n{}", self.story()),
        }
    }

    /// What its log says so far.
    pub(crate) fn log(&self) -> String {
        wait::content(&self.log)
    }

    /// The process of its guest, which must run.
    #[track_caller]
    pub(crate) fn guest(&self) -> u32 {
        match processes::children(self.id())[..] {
            [guest] => guest,
            ref other => panic!("not one guest but {other:?}\n{}", self.story()),
        }
    }

    /// Asks it to end, as an operator or a service manager does.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("a running ve-emulator");
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("a running ve-emulator");
        self.process.wait().expect("its end");
    }

    /// Waits for its end, which must be with this exit code.
    #[track_caller]
    pub(crate) fn ends_with(mut self, code: i32) -> Ended {
        let status = self.end();
        assert_eq!(status.code(), Some(code), "{status}\n{}", self.story());
        Ended { log: self.log(), screen: wait::content(&self.screen) }
    }

    #[track_caller]
    fn end(&mut self) -> ExitStatus {
        match wait::try_until(|| self.process.try_wait().expect("a process")) {
            Some(status) => status,
            None => panic!("it doesn't end\n{}", self.story()),
        }
    }

    fn story(&self) -> String {
        format!("log:\n{}\nscreen:\n{}", self.log(), wait::content(&self.screen))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Fails only when it has ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The objects of a log in the style `json`.
pub(crate) fn events(log: &str) -> Vec<Value> {
    let parsed = log.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    parsed.collect()
}

/// The first object of an event, which must be there.
#[track_caller]
pub(crate) fn event(events: &[Value], name: &str) -> Value {
    match events.iter().find(|event| event["event"] == name) {
        Some(event) => event.clone(),
        None => panic!("no {name} in {events:#?}"),
    }
}
