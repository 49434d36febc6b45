//! A license of hours: what was used stays used.

use std::time::Duration;

use serde_json::Value as Json;
use ve_store::ReadOnly;

use super::{
    client::{Emulator, Host, Running},
    eventually,
    site::Site,
};

const HOURS: u32 = 100;
const LICENSED_SECONDS: u64 = HOURS as u64 * 3_600;

/// What the tools say of the only license: seconds used and left. A server that runs may count on
/// between two looks.
async fn shown(site: &Site) -> (u64, u64) {
    let said = site.tool("license_viewer", &["--json"]).await.fine();
    let viewer = seconds(&serde_json::from_str(&said).expect("JSON"));
    let control = seconds(&site.report("licenses").await);
    assert!(viewer.0 <= control.0 && control.1 <= viewer.1, "{viewer:?}, then {control:?}");
    assert!(viewer.0.abs_diff(control.0) < 60, "{viewer:?}, then {control:?}");
    control
}

/// Seconds used and left, of the only license in a report.
fn seconds(report: &Json) -> (u64, u64) {
    let license = &report["licenses"][0];
    let seconds =
        |field: &str| license[field].as_u64().unwrap_or_else(|| panic!("no {field} in {report:#}"));
    let (used, left) = (seconds("used_seconds"), seconds("remaining_seconds"));
    // Both are whole seconds of one sum.
    assert!(LICENSED_SECONDS.abs_diff(used + left) <= 1, "{used} + {left}");
    (used, left)
}

/// Lets a session run until its meter has gone on by a second; what the server has charged, in ms.
async fn run_a_while(running: &Running) -> u64 {
    let first = running.grant.marks.hours_used_ms;
    let charged = async || {
        let grant = running.link.check(running.grant.session).await.expect("a license");
        Some(grant.marks.hours_used_ms).filter(|used_ms| *used_ms >= first + 1_000)
    };
    eventually("a second on the meter", charged).await
}

/// What the ledger knows to be used, in milliseconds.
async fn durable_ms(site: &Site) -> u64 {
    let ledger = site.home().join("ledger.db");
    let remembered = tokio::task::spawn_blocking(move || {
        ReadOnly::open(&ledger).expect("a ledger").remember().expect("a sound ledger")
    });
    remembered
        .await
        .expect("no panic")
        .meters
        .values()
        .map(|metered| metered.used_ms)
        .max()
        .unwrap_or(0)
}

#[tokio::test]
async fn hours_that_were_used_survive_an_orderly_end() {
    let site = Site::licensed(|license| license.hours(HOURS)).await;
    assert_eq!(shown(&site).await, (0, LICENSED_SECONDS));
    let server = site.start().await;
    let (host, emulator) = (Host::new(), Emulator::new("ss5"));
    let running = host.run(server.port(), &emulator).await.expect("a seat");
    let charged_ms = run_a_while(&running).await;
    server.terminate().await;
    assert!(durable_ms(&site).await >= charged_ms);
    let (used, _) = shown(&site).await;
    assert!(used >= charged_ms / 1_000);

    let server = site.start().await;
    let again = host.run(server.port(), &running.emulator).await.expect("its seat");
    assert!(again.grant.marks.hours_used_ms >= charged_ms);
    run_a_while(&again).await;
    assert!(shown(&site).await.0 > used);
    server.terminate().await;
}

#[tokio::test]
async fn hours_that_were_written_down_survive_a_crash() {
    let site = Site::licensed(|license| license.hours(HOURS)).await;
    let server = site.start().await;
    let host = Host::new();
    let running = host.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    // The server writes by itself, and no later than the protocol of a crash allows: a minute.
    let written = async || Some(durable_ms(&site).await).filter(|used_ms| *used_ms > 0);
    let written_ms = eventually("the meter in the ledger", written).await;
    let charged_ms = run_a_while(&running).await;
    let minute_ms = u64::try_from(Duration::from_mins(1).as_millis()).expect("a minute");
    assert!(charged_ms - written_ms < minute_ms, "{written_ms} of {charged_ms} ms are durable");
    server.kill().await;

    let (used, _) = shown(&site).await;
    assert!(used >= written_ms / 1_000, "{used} s after {written_ms} ms");
    let server = site.start().await;
    let again = host.run(server.port(), &running.emulator).await.expect("its seat");
    assert!(again.grant.marks.hours_used_ms >= written_ms);
    run_a_while(&again).await;
    assert!(shown(&site).await.0 > used);
    server.terminate().await;
}
