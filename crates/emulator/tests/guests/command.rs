//! The engine `command`: any program as a guest, with signals or a shutdown command.

use crate::common::{Running, start, start_with, vm_file};
use ve_emulator::{
    engine::{self, Console, GuestExit, ShutDownError, StartError},
    vm_file::{Hardware, VmFile},
};

const HEAD: &str = "architecture = \"other\"\ncpus = 2\nmemory_mb = 64";

/// A shell script as a guest; `more` stands below the command.
fn script(script: &str, more: &str) -> VmFile {
    vm_file(
        HEAD,
        &format!("kind = \"command\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n{more}"),
    )
}

#[tokio::test]
async fn its_exit_code_is_the_guests() {
    for (text, exit, code) in [
        ("exit 0", GuestExit::Code(0), 0),
        ("exit 3", GuestExit::Code(3), 3),
        ("kill -9 $$", GuestExit::Signal(9), 137),
    ] {
        let found = start(&script(text, "")).await.end().await;
        assert_eq!((found.exit_code(), found), (code, exit), "{text}");
    }
}

#[tokio::test]
async fn it_is_told_what_was_licensed() {
    let vm = script("echo $VE_NAME $VE_ARCHITECTURE $VE_CPUS $VE_MEMORY_MB; pwd", "");
    let mut running = start_with(&vm, Hardware { cpus: 1, memory_mb: 32 }).await;
    assert_eq!(running.screen.shows("\n/\n").await, "guest other 1 32");
}

#[tokio::test]
async fn it_inherits_no_secret() {
    let mut vm = script("echo ${HOME:-none}", "");
    vm.secret_variables = vec!["HOME".to_owned()];
    start(&vm).await.screen.shows("none\n").await;
}

/// A guest that ends cleanly at SIGTERM, and says so.
const POLITE: &str = "trap 'echo clean; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
/// A guest that hears nothing.
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.01; done";

#[tokio::test]
async fn sigterm_asks_it_to_shut_down() {
    let mut running = start(&script(POLITE, "")).await;
    running.screen.shows("ready").await;
    running.guest.shut_down().await.expect("a task").expect("the signal was sent");
    running.screen.shows("clean").await;
    assert_eq!(running.end().await, GuestExit::Code(5));
}

#[tokio::test]
async fn a_deaf_guest_is_killed_at_the_end_with_its_helpers() {
    // The helper holds the console open for as long as it lives.
    let mut running = start(&script(&format!("sleep 1000 & {DEAF}"), "")).await;
    running.screen.shows("ready").await;
    running.guest.shut_down().await.expect("a task").expect("the signal was sent");
    assert_eq!(running.guest.stop().await, GuestExit::Signal(9));
    running.screen.closes().await;
}

#[tokio::test]
async fn nobody_is_asked_after_the_end() {
    let mut running = start(&script("exit 0", "")).await;
    running.guest.wait().await;
    let outcome = running.guest.shut_down().await.expect("a task");
    assert!(matches!(outcome, Err(ShutDownError::Ended)), "{outcome:?}");
    assert_eq!(running.guest.stop().await, GuestExit::Code(0));
}

#[tokio::test]
async fn a_shutdown_command_goes_before_the_signal() {
    let more = "shutdown = [\"sh\", \"-c\", \"kill -USR1 $VE_GUEST_PID\"]";
    let guest = "trap 'exit 7' USR1; trap 'exit 8' TERM; echo ready; while :; do sleep 0.01; done";
    let mut running = start(&script(guest, more)).await;
    running.screen.shows("ready").await;
    running.guest.shut_down().await.expect("a task").expect("the command ran");
    assert_eq!(running.end().await, GuestExit::Code(7));
}

#[tokio::test]
async fn a_shutdown_command_that_fails_says_how() {
    for (command, expected) in [
        (
            "[\"false\"]",
            "the shutdown command failed with exit code 1; check what it does when run by hand",
        ),
        (
            "[\"sh\", \"-c\", \"kill $$\"]",
            "the shutdown command failed with signal 15; check what it does when run by hand",
        ),
        (
            "[\"/no/command\"]",
            "the shutdown command /no/command could not be started: No such file or directory (os error 2); check engine.shutdown",
        ),
    ] {
        assert_eq!(failure(command, "5m").await, expected);
    }
    let killed = "the shutdown command was killed after 50 ms; see engine.shutdown_timeout";
    assert_eq!(failure("[\"sleep\", \"1000\"]", "50ms").await, killed);
}

/// What is said of this shutdown command.
async fn failure(command: &str, shutdown_timeout: &str) -> String {
    let more = format!("shutdown = {command}\nshutdown_timeout = \"{shutdown_timeout}\"");
    let mut running = start(&script(DEAF, &more)).await;
    let error = running.guest.shut_down().await.expect("a task").expect_err("fails");
    running.guest.stop().await;
    error.to_string()
}

#[tokio::test]
async fn a_guest_that_is_dropped_is_killed() {
    let Running { guest, mut screen, .. } = start(&script("echo ready; exec sleep 1000", "")).await;
    screen.shows("ready").await;
    drop(guest);
    screen.closes().await;
}

#[tokio::test]
async fn a_program_that_is_missing_is_named() {
    let vm = vm_file(HEAD, "kind = \"command\"\ncommand = [\"no-such-program\"]");
    for error in [
        engine::check(&vm).expect_err("refused"),
        engine::start(&vm, vm.hardware, Console::Piped).await.expect_err("refused"),
    ] {
        assert!(matches!(error, StartError::ProgramMissing { .. }));
        assert_eq!(
            error.to_string(),
            "can't start the guest: the program no-such-program was not found or can't be executed; check engine.command"
        );
    }
}
