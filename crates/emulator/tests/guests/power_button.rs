//! A real operating system that reacts to the power button of its machine: Debian's kernel.

use crate::common::{LIMIT, start, test_guest, vm_file};
use tokio::time::timeout;
use ve_emulator::{
    engine::{self, GuestEvent, GuestExit},
    vm_file::VmFile,
};

/// The test guest as an `x86_64` machine, translated by QEMU itself so that it runs anywhere.
fn linux() -> VmFile {
    let folder = test_guest();
    let folder = folder.to_str().expect("a folder in UTF-8");
    let vm = vm_file(
        "architecture = \"x86_64\"\ncpus = 1\nmemory_mb = 256",
        &format!(
            "kind = \"qemu\"\naccel = \"tcg\"\nargs = [\"-nographic\", \"-no-reboot\", \
             \"-kernel\", '{folder}/vmlinuz', \"-initrd\", '{folder}/initramfs.gz', \
             \"-append\", \"console=ttyS0 quiet panic=-1\"]"
        ),
    );
    engine::check(&vm).expect("QEMU is installed");
    vm
}

#[tokio::test]
async fn a_guest_shuts_down_cleanly_when_asked() {
    let vm = linux();
    assert!(engine::shutdown_is_heard(&vm));
    let mut running = start(&vm).await;
    let mut events = running.guest.events();
    running.screen.shows("guest: ready").await;
    running.guest.shut_down().await.expect("a task").expect("the button was pressed");
    running.screen.shows("guest: powering off cleanly").await;
    assert_eq!(running.end().await, GuestExit::Code(0));
    assert_eq!(events.recv().await, Ok(GuestEvent::PowerDown));
    assert_eq!(events.recv().await, Ok(GuestEvent::Shutdown { by_guest: true }));
}

#[tokio::test]
async fn waiting_may_be_given_up_and_taken_up_again() {
    let mut running = start(&linux()).await;
    running.screen.shows("guest: ready").await;
    let request = running.guest.shut_down();
    // `biased`: the wait is polled first, and dropped as soon as the button was pressed.
    let gave_up = tokio::select! {
        biased;
        _ = running.guest.wait() => false,
        pressed = request => pressed.expect("a task").is_ok(),
    };
    assert!(gave_up, "the guest can't be gone before it was asked");
    assert_eq!(running.end().await, GuestExit::Code(0));
}

#[tokio::test]
async fn a_guest_that_is_stopped_is_gone() {
    let mut running = start(&linux()).await;
    running.screen.shows("guest: ready").await;
    let exit = timeout(LIMIT, running.guest.stop()).await.expect("stops");
    assert_eq!((exit, running.guest.process_id()), (GuestExit::Code(0), None));
}
