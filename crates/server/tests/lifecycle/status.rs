//! What `licensectl status` says of the service itself.

use std::fs;

use super::{
    client::{Emulator, Host},
    eventually,
    site::Site,
};

#[tokio::test]
async fn a_server_that_is_fine_has_nothing_to_say() {
    let site = Site::licensed(|license| license.hours(100)).await;
    let server = site.start().await;
    let status = site.report("status").await;
    assert_eq!(status["marks_raised"], 0, "{status:#}");
    for nothing in ["ledger_failure", "holders_unknown_seconds"] {
        assert!(status[nothing].is_null(), "{nothing}: {status:#}");
    }
    assert_eq!(status["attention"], serde_json::json!([]), "{status:#}");
    assert_eq!(status["licenses"][0]["remaining_seconds"], 360_000, "{status:#}");
    let text = site.tool("licensectl", &["status"]).await.fine();
    assert!(!text.contains("Attention"), "{text}");
    assert!(text.contains("100 hour(s) left"), "{text}");
    server.terminate().await;
}

/// An administrator copies an old ledger into the home; the first client that comes back shows what
/// was there before.
#[tokio::test]
async fn hours_that_an_older_ledger_has_forgotten_come_back_with_their_client() {
    let site = Site::licensed(|license| license.hours(100)).await;
    let ledger = site.home().join("ledger.db");
    let old = site.beside("old.db");
    site.start().await.terminate().await;
    fs::copy(&ledger, &old).expect("a copy");

    let server = site.start().await;
    let host = Host::new();
    let running = host.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    let some_time = async || {
        let grant = running.link.check(running.grant.session).await.expect("a license");
        (grant.marks.hours_used_ms >= 1_500).then_some(())
    };
    eventually("a second and a half on the meter", some_time).await;
    drop(running.link);
    server.logs("has been disconnected").await;
    let back = host.run(server.port(), &running.emulator).await.expect("its own seat");
    let proved_ms = back.grant.marks.hours_used_ms;
    assert!(proved_ms >= 1_500, "{:?}", back.grant);
    server.terminate().await;
    fs::copy(&old, &ledger).expect("a copy");
    // The reserve would know as well; an administrator who goes back takes it away.
    let _ = fs::remove_file(site.home().join("marks.reserve"));

    let server = site.start().await;
    let showing = Emulator { witnesses: vec![back.signed], ..back.emulator };
    let again = host.run(server.port(), &showing).await.expect("a seat");
    assert!(again.grant.marks.hours_used_ms >= proved_ms, "{:?}", again.grant);
    let told = "WARN License An older ledger was put in place: a client's grant shows that ";
    server.logs(told).await;
    let status = site.report("status").await;
    let raised = status["marks_raised"].as_u64().expect("a count");
    assert!(raised > 0, "{status:#}");
    let text = site.tool("licensectl", &["status"]).await.fine();
    assert!(text.contains("Attention: Clients' grants have raised "), "{text}");
    server.kill().await;

    // It was durable before the client was let in, and a second time it is nothing new.
    let server = site.start().await;
    let showing = Emulator { session: Some(again.grant.session), ..showing };
    let once_more = host.run(server.port(), &showing).await.expect("its own seat");
    assert_eq!(once_more.grant.session, again.grant.session);
    assert!(once_more.grant.marks.hours_used_ms >= proved_ms, "{:?}", once_more.grant);
    assert_eq!(server.count(told), 0, "{:#?}", server.log());
    assert_eq!(site.report("status").await["marks_raised"], 0);
    server.terminate().await;
}
