//! Sections 7 and 8: how sessions and connections end, and how each side learns of it.

use std::time::{SystemTime, UNIX_EPOCH};

use ve_core::{license::KeyType, time::Utc};

use super::{
    client::Client,
    connection::Host,
    messages::{Login, Said},
    server::{Server, USUAL},
};

const ID: &str = "01.00000001.002.044";

#[test]
fn a_removed_license_revokes_its_sessions_at_once() {
    let server = Server::start(USUAL);
    let mut client = Client::connect(&server, &Host::new());
    let (one, two) = (client.log_in(&Login::of("one")), client.log_in(&Login::of("two")));
    server.control(&["licenses", "remove", ID]);
    for session in [&one, &two] {
        assert_eq!(client.wait_for_revocation(session).code, "license-not-available");
    }
    assert_eq!(client.refused(&Login::of("one")), "license-not-available");
    client.beat();
}

#[test]
fn a_license_that_runs_out_revokes_its_sessions() {
    let server = Server::start(USUAL);
    server.control(&["licenses", "remove", ID]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let end = i64::try_from(now).expect("a time") + 5;
    server.install(|license| {
        let expires = Some(Utc(end));
        license.id("01.00000001.002.045").with(|license| {
            license.key_type = KeyType::Normal { expires };
        })
    });
    let mut client = Client::connect(&server, &Host::new());
    let (session, grant) = client.login(&Login::of("vm")).expect("it is still valid");
    assert_eq!(grant.expires, u64::try_from(end).ok());
    assert_eq!(client.wait_for_revocation(&session).code, "license-expired");
    assert_eq!(client.refused(&Login::of("vm")), "license-expired");
}

#[test]
fn a_released_session_is_refused_until_its_program_starts_anew() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let mut client = Client::connect(&server, &host);
    let login = Login::of("vm");
    let session = client.log_in(&login);
    let number = server.sessions()[0]["id"].to_string();
    server.control(&["sessions", "release", &number]);
    assert_eq!(client.wait_for_revocation(&session).code, "released-by-administrator");
    assert!(server.sessions().is_empty());
    assert_eq!(client.refused(&login.resume(&session)), "released-by-administrator");
    assert_eq!(client.refused(&login), "released-by-administrator");
    client.log_in(&Login::of("vm"));
}

#[test]
fn a_left_seat_that_is_released_is_free_at_once() {
    let (server, host) = (Server::start(|license| license.instances(1)), Host::new());
    let login = Login::of("vm");
    Client::connect(&server, &host).log_in(&login);
    server.wait_for_line("has been disconnected");
    let number = server.sessions()[0]["id"].to_string();
    server.control(&["sessions", "release", &number]);
    Client::connect(&server, &Host::new()).log_in(&Login::of("another"));
}

#[test]
fn a_server_that_stops_tells_its_clients_and_lets_no_one_in() {
    let server = Server::start(USUAL);
    let (host, login) = (Host::new(), Login::of("vm"));
    let mut client = Client::connect(&server, &host);
    let mut idle = Client::connect(&server, &host);
    let session = client.log_in(&login);
    server.terminate();
    client.wait_for_closing();
    idle.wait_for_closing();
    assert_eq!(client.refused(&Login::of("late")), "server-draining");
    // Who runs is still licensed, and may still say goodbye.
    client.check(&session).expect("it runs");
    client.logout(&session);
    drop(idle);
    let left = client.wait_for_end();
    assert_eq!(left, [], "everything was said before");
    let (status, log) = server.end();
    assert!(status.success(), "{status}");
    assert!(log.ends_with("INFO MAIN The program is terminated.\n"), "{log}");
}

#[test]
fn heartbeats_are_answered_one_by_one() {
    let server = Server::start(USUAL);
    let mut client = Client::connect(&server, &Host::new());
    for _ in 0..10 {
        client.beat();
    }
}

#[test]
fn a_silent_link_is_dead_and_its_seat_stays_reserved() {
    let (server, host) = (Server::start(|license| license.instances(1)), Host::new());
    let login = Login::of("vm");
    let mut client = Client::connect(&server, &host);
    let session = client.log_in(&login);
    assert_eq!(client.wait_for_end(), [], "the server closes without a word");
    server.wait_for_line("has been disconnected");
    let listed = &server.sessions()[0];
    assert_eq!(listed["state"], "left", "{listed}");
    let reserved = listed["reserved_seconds"].as_u64().expect("a number");
    // The lease counts from the last message, which was a heartbeat time-out ago.
    assert!((1..=115).contains(&reserved), "{listed}");
    let mut client = Client::connect(&server, &host);
    assert_eq!(client.refused(&Login::of("newcomer")), "instance-limit");
    assert_eq!(client.log_in(&login.resume(&session)), session);
}

#[test]
fn a_client_that_closes_one_direction_has_closed_the_connection() {
    let server = Server::start(USUAL);
    let mut client = Client::connect(&server, &Host::new());
    client.log_in(&Login::of("vm"));
    client.connection.close_half();
    let said: Vec<Said> = client.wait_for_end();
    assert_eq!(said, []);
    server.wait_for_line("has been disconnected");
}
