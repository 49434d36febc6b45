//! What a change of licenses promises: when the tool has its answer, it is durable.

use serde_json::Value as Json;
use tokio::task::spawn_blocking;
use ve_core::id::LicenseId;
use ve_store::ReadOnly;

use super::{
    client::{Emulator, Host},
    site::Site,
    strace::{Threads, attach},
};

const ID: &str = "01.00000001.002.044";

/// The highest version that the ledger knows of, read while no server runs.
async fn version_seen(site: &Site) -> Option<u32> {
    let ledger = site.home().join("ledger.db");
    let read = spawn_blocking(move || ReadOnly::open(&ledger).expect("a ledger").remember());
    let remembered = read.await.expect("no panic").expect("a sound ledger");
    let id: LicenseId = ID.parse().expect("an ID");
    remembered.versions.get(&id).copied()
}

#[tokio::test]
async fn an_installed_version_is_durable_when_the_tool_says_so() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    // Whoever answers before the ledger has written is found out.
    let slow = attach(&server, Threads::Ledger, "pwrite64", "delay_enter=300000").await;
    let Some(strace) = slow else { return };
    site.install(|license| license.version(2)).await.fine();
    server.kill().await;
    strace.end().await;
    assert_eq!(version_seen(&site).await, Some(2));
}

#[tokio::test]
async fn a_removal_is_durable_when_the_tool_says_so() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let running = Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    let slow = attach(&server, Threads::Ledger, "pwrite64", "delay_enter=300000").await;
    let Some(strace) = slow else { return };
    site.tool("licensectl", &["licenses", "remove", ID]).await.fine();
    server.kill().await;
    strace.end().await;
    drop(running);
    // Its session was revoked with it, and the ledger knows.
    let server = site.start().await;
    assert_eq!(site.sessions().await, Vec::<Json>::new());
    server.terminate().await;
    assert_eq!(version_seen(&site).await, Some(1), "its marks stay");
}

#[tokio::test]
async fn a_disk_that_hangs_is_not_waited_for_and_the_tool_says_what_is_missing() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let (writes, hang) = ("pwrite64,fsync,fdatasync", "delay_enter=600000000");
    let Some(strace) = attach(&server, Threads::Ledger, writes, hang).await else { return };
    let message = site.install(|license| license.version(2)).await.failed(75);
    let expected = "License 01.00000001.002.044 version 2 is installed, but the ledger does not know \
                    of it yet: the disk has not answered yet, and is waited for.";
    assert!(message.contains(expected), "{message}");
    // It is served all the same, and the files are free for others.
    server.logs("license 01.00000001.002.044 version 2 is valid.").await;
    let licenses = site.report("licenses").await;
    assert_eq!(licenses["licenses"][0]["version"], 2, "{licenses:#}");
    strace.end().await;
    site.install(|license| license.version(3)).await.fine();
    server.terminate().await;
    assert_eq!(version_seen(&site).await, Some(3));
}
