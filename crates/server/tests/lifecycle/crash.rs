//! A server that is killed, and what its ledger still knows.

use std::collections::BTreeSet;

use tokio::{sync::mpsc, task::JoinSet};
use ve_core::{id::SessionId, license::Lease, reason::ReasonCode};
use ve_store::ReadOnly;

use super::{
    awaited,
    client::{Emulator, Host},
    site::Site,
};

/// The sessions that the ledger knows of, read as the tools read it while no server runs.
fn known_sessions(site: &Site) -> BTreeSet<SessionId> {
    let mut ledger = ReadOnly::open(&site.home().join("ledger.db")).expect("a ledger");
    ledger
        .remember()
        .expect("a sound ledger")
        .sessions
        .into_iter()
        .map(|session| session.id)
        .collect()
}

#[tokio::test]
async fn known_sessions_come_back_to_their_seats_before_anyone_new() {
    let site = Site::licensed(|license| license.instances(2)).await;
    let server = site.start().await;
    let (host, other) = (Host::new(), Host::new());
    let first = host.run(server.port(), &Emulator::new("first")).await.expect("a seat");
    let second = host.run(server.port(), &Emulator::new("second")).await.expect("a seat");
    let before = site.sessions().await;
    server.kill().await;

    let server = site.start().await;
    let newcomer = Emulator::new("newcomer");
    other.refused(server.port(), &newcomer, ReasonCode::InstanceLimit).await;
    let again = host.run(server.port(), &first.emulator).await.expect("its own seat");
    assert_eq!(again.grant.session, first.grant.session);
    other.refused(server.port(), &newcomer, ReasonCode::InstanceLimit).await;
    let states = |sessions: &[serde_json::Value]| -> Vec<(u64, String)> {
        let pair = |session: &serde_json::Value| {
            (
                session["id"].as_u64().expect("a number"),
                session["state"].as_str().expect("a state").to_owned(),
            )
        };
        sessions.iter().map(pair).collect()
    };
    let ids: Vec<u64> = states(&before).into_iter().map(|(id, _)| id).collect();
    let expected = [(ids[0], "live".to_owned()), (ids[1], "left".to_owned())];
    assert_eq!(states(&site.sessions().await), expected);

    // A session is its host's alone: its name does not help another one.
    let thief = second.emulator.clone();
    other.refused(server.port(), &thief, ReasonCode::InstanceLimit).await;
    let again = host.run(server.port(), &second.emulator).await.expect("its own seat");
    assert_eq!(again.grant.session, second.grant.session);
    server.terminate().await;
}

#[tokio::test]
async fn a_seat_whose_holder_does_not_come_back_is_free_after_the_lease() {
    let site = Site::licensed(|license| {
        license.instances(1).with(|license| license.lease = Lease::For(1_000))
    })
    .await;
    let server = site.start().await;
    Host::new().run(server.port(), &Emulator::new("gone")).await.expect("a seat");
    server.kill().await;
    let server = site.start().await;
    server.logs("did not come back in time, its seat is free.").await;
    let newcomer = Emulator::new("newcomer");
    let host = Host::new();
    let seat =
        super::eventually("the free seat", async || host.run(server.port(), &newcomer).await.ok())
            .await;
    assert_eq!(site.sessions().await.len(), 1);
    drop(seat);
    server.terminate().await;
}

#[tokio::test]
async fn whoever_was_granted_a_seat_has_it_after_a_crash_amid_logins() {
    const SEATS: u32 = 60;
    const ASKERS: usize = 80;
    // Killed after the first grants, amid them, and when all seats are taken.
    for killed_after in [1, SEATS / 3, SEATS] {
        let site = Site::licensed(|license| license.instances(SEATS)).await;
        let server = site.start().await;
        let (told, mut granted) = mpsc::unbounded_channel();
        let mut askers = JoinSet::new();
        for index in 0..ASKERS {
            let (host, port, told) = (Host::new(), server.port(), told.clone());
            let emulator = Emulator::new(&format!("emulator {index}"));
            let link = host.connect(port).await.expect("a license");
            askers.spawn(async move {
                let Some(Ok(grant)) = link.try_login(&emulator).await else { return None };
                // The test may have seen enough.
                let _ = told.send(());
                Some((host, emulator.knowing(grant.session), link))
            });
        }
        for _ in 0..killed_after {
            awaited("a grant", granted.recv()).await.expect("an asker");
        }
        server.kill().await;
        let granted: Vec<_> =
            awaited("the askers", askers.join_all()).await.into_iter().flatten().collect();
        assert!(granted.len() >= killed_after as usize);

        let known = known_sessions(&site);
        assert!(known.len() <= SEATS as usize, "{} sessions", known.len());
        let server = site.start().await;
        assert_eq!(site.sessions().await.len(), known.len(), "a restart loses and adds nobody");
        for (host, emulator, _) in &granted {
            let session = emulator.session.expect("it was granted");
            assert!(known.contains(&session), "the ledger does not know a granted session");
            let again = host.run(server.port(), emulator).await.expect("its own seat");
            assert_eq!(again.grant.session, session);
        }
        server.terminate().await;
    }
}
