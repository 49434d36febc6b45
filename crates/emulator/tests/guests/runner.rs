//! A runner in a process of its own, so that a test can kill it or give it a terminal: this test
//! program started again, with one test that is none.

use std::{
    env, io,
    process::{Command, Stdio},
};

use rustix::termios::{LocalModes, tcgetattr};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};
use ve_emulator::{
    engine::{self, Console, Guest},
    vm_file::VmFile,
};

use crate::common::vm_file;

/// Names the guest for [`runner`].
const GUEST: &str = "VE_TEST_GUEST";

/// The guests that a runner can run.
fn guest(name: &str) -> VmFile {
    match name {
        "sparc" => vm_file(
            "architecture = \"sun-4m\"\ncpus = 1\nmemory_mb = 64",
            "kind = \"qemu\"\naccel = \"tcg\"\nargs = [\"-nographic\"]",
        ),
        "echo" => vm_file(
            "architecture = \"other\"\ncpus = 1\nmemory_mb = 1",
            "kind = \"command\"\ncommand = [\"sh\", \"-c\", 'echo ready; while read -r line; do echo \"guest: $line\"; done']",
        ),
        "sleep" => vm_file(
            "architecture = \"other\"\ncpus = 1\nmemory_mb = 1",
            "kind = \"command\"\ncommand = [\"sh\", \"-c\", 'echo ready; exec sleep 1000']",
        ),
        unknown => panic!("no guest {unknown}"),
    }
}

/// A runner of the guest `name`, to be started.
pub(crate) fn runner_of(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(arguments()).env(GUEST, name).stdin(Stdio::null());
    command
}

/// The same as a command for a shell; the variable comes from the environment.
pub(crate) fn runner_line() -> String {
    let program = env::current_exe().expect("this program");
    format!("exec '{}' {}", program.display(), arguments().join(" "))
}

/// Sets the guest for [`runner_line`].
pub(crate) fn guest_variable(name: &str) -> (&'static str, &str) {
    (GUEST, name)
}

fn arguments() -> [&'static str; 5] {
    ["--exact", "runner::runner", "--ignored", "--nocapture", "--quiet"]
}

#[test]
#[ignore = "the other process of the tests about killed runners and terminals; alone it does nothing"]
fn runner() {
    let Ok(name) = env::var(GUEST) else { return };
    let vm = guest(&name);
    Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
        // Before the guest: whoever sees it may interrupt us.
        let interrupts = signal(SignalKind::interrupt()).expect("signals");
        let mut guest = engine::start(&vm, vm.hardware, Console::Inherited).await.expect("starts");
        println!("runner: guest {}", guest.process_id().expect("a process"));
        watch(&mut guest, interrupts).await;
    });
}

/// Tells of every interrupt and of the guest's end.
async fn watch(guest: &mut Guest, mut interrupts: Signal) {
    loop {
        tokio::select! {
            _ = interrupts.recv() => println!("runner: interrupted"),
            exit = guest.wait() => {
                let echoes = tcgetattr(io::stdin()).map(|now| now.local_modes.contains(LocalModes::ECHO));
                println!("runner: {exit}, the terminal echoes: {echoes:?}");
                return;
            }
        }
    }
}
