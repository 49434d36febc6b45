//! Sections 4 and 5: what is said first, and by whom.

use super::{
    client::Client,
    connection::{Connection, Host, Offer},
    messages::{self, Refusal, Said, ServerHello, random},
    server::{Server, USUAL},
};

/// A new connection's answers to a hello that names these versions.
fn greet(server: &Server, versions: &[u32]) -> (ServerHello, Connection) {
    let mut connection = Connection::open(server.address, &Offer::of(&Host::new())).expect("TLS");
    let hello = messages::hello(versions, &random::<32>(), "a test");
    connection.send(&hello).expect("an open connection");
    match connection.receive() {
        Some(Said::Hello(hello)) => (hello, connection),
        other => panic!("no hello: {other:?}"),
    }
}

/// The last words on a connection that the server ends.
fn goodbye(mut connection: Connection) -> Refusal {
    let said = connection.receive();
    let Some(Said::Goodbye(refusal)) = said else { panic!("no goodbye: {said:?}") };
    assert_eq!(connection.receive(), None, "a goodbye is the last message");
    refusal
}

#[test]
fn the_server_says_hello_as_documented() {
    let server = Server::start(USUAL);
    let hello = Client::connect(&server, &Host::new()).hello;
    assert_eq!(hello.credentials.len(), 1);
    assert_eq!((hello.heartbeat_interval_ms, hello.heartbeat_timeout_ms), (1_500, 5_000));
    assert!(hello.software.starts_with("licensed "), "{hello:?}");
}

#[test]
fn the_best_common_version_is_spoken() {
    let server = Server::start(USUAL);
    for versions in [&[1][..], &[7, 1], &[1, 7], &[u32::MAX, 0, 1]] {
        let (hello, _connection) = greet(&server, versions);
        assert_eq!((hello.version, hello.versions), (1, vec![1]), "offered: {versions:?}");
    }
}

#[test]
fn without_a_common_version_both_sides_learn_what_the_other_speaks() {
    let server = Server::start(USUAL);
    let (hello, connection) = greet(&server, &[7, 8]);
    assert_eq!((hello.version, hello.versions), (0, vec![1]));
    assert_eq!(goodbye(connection).code, "protocol-version-invalid");
    let line = server.wait_for_line("was refused: protocol-version-invalid: ");
    assert!(line.contains("[7, 8]"), "{line}");
}

#[test]
fn a_server_without_a_license_says_why_and_closes() {
    let server = Server::start_with("", &[]);
    let (hello, connection) = greet(&server, &[1]);
    assert_eq!((hello.version, hello.credentials.len()), (1, 0));
    assert_eq!(goodbye(connection).code, "license-not-available");
}

#[test]
fn a_server_shows_the_credential_of_each_license_as_it_comes_and_goes() {
    const SECOND: &str = "01.00000001.002.045";
    let server = Server::start_with("", &[USUAL, |license| license.id(SECOND)]);
    let shown = || greet(&server, &[1]).0.credentials.len();
    assert_eq!(shown(), 2);
    server.install(|license| license.id("01.00000001.002.046"));
    assert_eq!(shown(), 3);
    server.control(&["licenses", "remove", SECOND]);
    assert_eq!(shown(), 2);
    Client::connect(&server, &Host::new()).beat();
}
