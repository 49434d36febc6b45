//! A guest never outlives its runner, and lives as long as it.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt, process::Command, runtime::Handle};

use crate::{
    common::{Screen, start, vm_file},
    runner::runner_of,
};

/// Kills a runner when its guest has printed `sign`, and waits until the guest is gone as well.
async fn dies_with_its_runner(guest: &str, sign: &str) {
    let mut command = Command::from(runner_of(guest));
    let mut runner = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("a runner");
    let mut screen = Screen::new(runner.stdout.take().expect("its output"));
    screen.shows(sign).await;
    runner.kill().await.expect("SIGKILL");
    // The guest holds the other end of this pipe for as long as it lives.
    screen.closes().await;
}

#[tokio::test]
async fn qemu_dies_with_its_runner() {
    dies_with_its_runner("sparc", "0 > ").await;
}

#[tokio::test]
async fn a_command_dies_with_its_runner() {
    dies_with_its_runner("sleep", "ready").await;
}

#[tokio::test]
async fn a_guest_does_not_die_with_the_thread_that_asked_for_it() {
    let runtime = Handle::current();
    // A thread of its own that ends when the guest has begun, and not before.
    let asking = move || {
        let vm = vm_file(
            "architecture = \"other\"\ncpus = 1\nmemory_mb = 1",
            "kind = \"command\"\ncommand = [\"sh\", \"-c\", 'echo ready; read line; echo \"guest: $line\"']",
        );
        runtime.block_on(async {
            let mut running = start(&vm).await;
            running.screen.shows("ready").await;
            running
        })
    };
    let thread = std::thread::spawn(asking);
    let joined = tokio::task::spawn_blocking(|| thread.join()).await.expect("a task");
    let mut running = joined.expect("a thread");
    running.keyboard.write_all(b"alive\n").await.expect("written");
    running.screen.shows("guest: alive").await;
}
