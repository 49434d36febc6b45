//! `ledger.db` taken away under a running server: nobody is promised what the next start wouldn't know.

use std::fs;

use ve_core::reason::ReasonCode;

use super::{
    client::{Emulator, Host},
    eventually,
    site::Site,
};

#[tokio::test]
async fn a_ledger_that_was_removed_keeps_newcomers_out_and_no_hour_is_lost() {
    let site = Site::licensed(|license| license.instances(10).hours(100)).await;
    let server = site.start().await;
    let host = Host::new();
    let mut running = host.run(server.port(), &Emulator::new("early")).await.expect("a seat");
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        fs::remove_file(site.home().join(name)).expect("removed");
    }
    let late = host.run(server.port(), &Emulator::new("late")).await.err().expect("a refusal");
    assert_eq!(late.code, ReasonCode::ServerBusy, "{late}");
    let why = "ledger.db was removed or replaced while the server runs: restart the server.";
    assert!(late.sentence.contains(why.trim_end_matches('.')), "{late}");
    server.logs(&format!("ERROR MAIN The ledger can't be written: {why} Sessions go on")).await;
    let status = site.tool("licensectl", &["status"]).await.fine();
    assert!(status.contains(&format!("Attention: The ledger can't be written: {why}")), "{status}");
    let charged = async || {
        let grant = running.link.check(running.grant.session).await.expect("who runs goes on");
        Some(grant.marks.hours_used_ms).filter(|used_ms| *used_ms >= 2_000)
    };
    let charged_ms = eventually("two seconds on the meter", charged).await;
    assert_eq!(running.link.events_so_far(), []);
    drop(running.link);
    server.terminate().await;

    let server = site.start().await;
    server.logs("ERROR MAIN ledger.db was missing").await;
    let again = host.run(server.port(), &running.emulator).await.expect("a seat");
    assert!(again.grant.marks.hours_used_ms >= charged_ms, "{:?}", again.grant);
    server.terminate().await;
}
