//! Hundreds of clients that come back at once, after a crash and beside as many strangers.

use std::fs;

use tokio::{net::TcpStream, task::JoinSet};
use ve_core::reason::ReasonCode;

use super::{
    awaited,
    client::{Emulator, Host, Running},
    site::Site,
};

const CLIENTS: usize = 300;

/// Emulators of as many hosts, each with a seat.
async fn everyone_runs(port: u16) -> Vec<(Host, Running)> {
    let mut logins = JoinSet::new();
    for number in 0..CLIENTS {
        logins.spawn(async move {
            let host = Host::new();
            let emulator = Emulator::new(&format!("vm {number}"));
            let running = host.run(port, &emulator).await.expect("a seat");
            (host, running)
        });
    }
    awaited("all seats", logins.join_all()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_who_comes_back_gets_the_own_seat_and_no_stranger_does() {
    let seats = u32::try_from(CLIENTS).expect("a few");
    let site = Site::licensed(|license| license.instances(seats)).await;
    let server = site.start().await;
    let clients = everyone_runs(server.port()).await;
    server.kill().await;

    let server = site.start().await;
    let port = server.port();
    let mut at_once = JoinSet::new();
    let strangers: Vec<Host> = (0..CLIENTS).map(|_| Host::new()).collect();
    for (number, (stranger, (host, before))) in strangers.into_iter().zip(clients).enumerate() {
        at_once.spawn(async move {
            let emulator = Emulator::new(&format!("stranger {number}"));
            stranger.refused(port, &emulator, ReasonCode::InstanceLimit).await;
            None
        });
        at_once.spawn(async move {
            let again = host.run(port, &before.emulator).await.expect("its own seat");
            assert_eq!(again.grant.session, before.grant.session);
            Some(again)
        });
    }
    let back = awaited("everyone", at_once.join_all()).await;
    assert_eq!(back.into_iter().flatten().count(), CLIENTS);
    let sessions = site.sessions().await;
    assert_eq!(sessions.len(), CLIENTS);
    let strangers = |session: &&serde_json::Value| {
        session["emulator"].as_str().is_some_and(|name| name.starts_with("stranger"))
    };
    assert_eq!(sessions.iter().find(strangers), None);
    server.kill().await;
}

/// Hundreds of emulators may be behind one address. A restart forgets their connections, not them.
#[tokio::test]
async fn an_address_whose_emulators_had_seats_is_not_held_to_the_limit_for_strangers() {
    let site = Site::licensed(|license| license.instances(20)).await;
    let config = "[limits]\nmax_links_per_address = 2\n";
    fs::write(site.home().join("config.toml"), config).expect("a file");
    let server = site.start().await;
    let mut clients = Vec::new();
    for number in 0..10 {
        let (host, emulator) = (Host::new(), Emulator::new(&format!("vm {number}")));
        let running = host.run(server.port(), &emulator).await.expect("a seat");
        clients.push((host, running));
    }
    server.kill().await;

    let server = site.start().await;
    // None of them has a session yet when the others come.
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(("127.0.0.1", server.port())).await.expect("a connection"));
    }
    let mut links = Vec::new();
    for (host, _) in &clients {
        links.push(host.connect(server.port()).await.expect("a license"));
    }
    for (link, (_, before)) in links.iter().zip(&clients) {
        let grant = link.login(&before.emulator).await.expect("its own seat");
        assert_eq!(grant.session, before.grant.session);
    }
    assert_eq!(server.count("max_links_per_address"), 0, "{:#?}", server.log());
    server.kill().await;
}
