//! Every machine of QEMU that we start, for real: its firmware talks, it has what was licensed, and
//! it ends when told to.

use crate::common::{LIMIT, Running, start, start_with, vm_file};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, time::timeout};
use ve_emulator::{
    engine::{self, Console, GuestExit, StartError},
    vm_file::Hardware,
};

const NOGRAPHIC: &str = "kind = \"qemu\"\naccel = \"tcg\"\nargs = [\"-nographic\"]";

/// The top of a VM's file.
fn head(architecture: &str, cpus: u32, memory_mb: u64) -> String {
    format!("architecture = \"{architecture}\"\ncpus = {cpus}\nmemory_mb = {memory_mb}")
}

/// CPUs and megabytes as QEMU itself counts them.
async fn counted(running: &Running) -> Hardware {
    let qmp = timeout(LIMIT, running.guest.control()).await.expect("in time").expect("QMP");
    let cpus = qmp.execute("query-cpus-fast", None).await.expect("its CPUs");
    let memory = qmp.execute("query-memory-size-summary", None).await.expect("its memory");
    let bytes = memory.get("base-memory").and_then(Value::as_u64).expect("a size");
    assert_eq!(memory.get("plugged-memory").and_then(Value::as_u64).unwrap_or(0), 0);
    let cpus = u32::try_from(cpus.as_array().expect("a list").len()).expect("few");
    Hardware { cpus, memory_mb: bytes >> 20 }
}

/// Boots a machine until `prompt` shows, counts what it has, and stops it.
async fn boots(architecture: &str, hardware: Hardware, engine: &str, prompt: &str) {
    let vm = vm_file(&head(architecture, hardware.cpus, hardware.memory_mb), engine);
    engine::check(&vm).expect("QEMU is installed");
    let mut running = start(&vm).await;
    running.screen.shows(prompt).await;
    assert_eq!(counted(&running).await, hardware);
    let exit = timeout(LIMIT, running.guest.stop()).await.expect("stops");
    assert_eq!(exit, GuestExit::Code(0), "QEMU ended by `quit`");
    assert_eq!(running.guest.wait().await, exit, "the end stays known");
}

#[tokio::test]
async fn sparcstation_5() {
    boots("sun-4m", Hardware { cpus: 1, memory_mb: 64 }, NOGRAPHIC, "0 > ").await;
}

#[tokio::test]
async fn sparcstation_20() {
    boots("sun-4m", Hardware { cpus: 4, memory_mb: 512 }, NOGRAPHIC, "0 > ").await;
}

#[tokio::test]
async fn ultrasparc() {
    boots("sun-4u", Hardware { cpus: 1, memory_mb: 256 }, NOGRAPHIC, "0 > ").await;
}

#[tokio::test]
async fn hp_precision_architecture() {
    let engine = NOGRAPHIC.replace("-nographic\"", "-nographic\", \"-boot\", \"menu=on\"");
    boots("hppa", Hardware { cpus: 2, memory_mb: 256 }, &engine, "SeaBIOS").await;
}

#[tokio::test]
async fn alpha() {
    boots("alpha", Hardware { cpus: 2, memory_mb: 128 }, NOGRAPHIC, ">>>").await;
}

#[tokio::test]
async fn the_license_counts_and_not_the_wish() {
    let vm = vm_file(&head("sun-4m", 4, 256), NOGRAPHIC);
    let licensed = Hardware { cpus: 2, memory_mb: 128 };
    let mut running = start_with(&vm, licensed).await;
    assert_eq!(counted(&running).await, licensed);
    running.guest.stop().await;
}

#[tokio::test]
async fn nothing_can_be_plugged_in_later() {
    let vm = vm_file(&head("x86_64", 1, 128), NOGRAPHIC);
    let mut running = start(&vm).await;
    let qmp = running.guest.control().await.expect("QMP");
    for (driver, extra) in [
        ("qemu64-x86_64-cpu", serde_json::json!({ "socket-id": 1, "core-id": 0, "thread-id": 0 })),
        ("pc-dimm", serde_json::json!({ "memdev": "more" })),
    ] {
        if driver == "pc-dimm" {
            let more = serde_json::json!({ "qom-type": "memory-backend-ram", "id": "more", "size": 1 << 27 });
            qmp.execute("object-add", Some(more)).await.expect("host memory");
        }
        let mut arguments = extra;
        arguments["driver"] = driver.into();
        let outcome = qmp.execute("device_add", Some(arguments)).await;
        assert!(outcome.is_err(), "{driver} was plugged in");
    }
    assert_eq!(counted(&running).await, Hardware { cpus: 1, memory_mb: 128 });
    running.guest.stop().await;
}

#[tokio::test]
async fn the_console_reads_what_is_typed() {
    let mut running = start(&vm_file(&head("sun-4m", 1, 64), NOGRAPHIC)).await;
    running.screen.shows("0 > ").await;
    running.keyboard.write_all(b"6 7 * .\r").await.expect("typed");
    // OpenBIOS counts in hexadecimal.
    running.screen.shows("2a").await;
    running.guest.stop().await;
}

#[tokio::test]
async fn a_machine_that_ends_by_itself_is_noticed() {
    // Nothing to boot and no menu: the firmware halts the machine, and QEMU ends.
    let running = start(&vm_file(&head("hppa", 1, 256), NOGRAPHIC)).await;
    assert_eq!(running.end().await, GuestExit::Code(0));
}

#[tokio::test]
async fn arguments_that_qemu_refuses_end_it_with_its_own_code() {
    let engine = NOGRAPHIC.replace("-nographic", "-no-such-option");
    let mut running = start(&vm_file(&head("sun-4m", 1, 64), &engine)).await;
    running.complaints.shows("-no-such-option").await;
    assert_eq!(running.end().await, GuestExit::Code(1));
}

#[tokio::test]
async fn a_qemu_that_is_missing_is_named_with_its_package() {
    let vm = vm_file(&head("alpha", 1, 128), &format!("{NOGRAPHIC}\nprogram = \"/no/qemu\""));
    let error = engine::start(&vm, vm.hardware, Console::Piped).await.expect_err("refused");
    assert!(matches!(error, StartError::ProgramMissing { .. }), "{error}");
    assert!(error.to_string().contains("/no/qemu"), "{error}");
}
