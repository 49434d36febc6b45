//! How many connections there may be, and whom that never keeps out.

use std::net::{Ipv4Addr, TcpStream};

use super::{
    attacks::{ROOMY, beside_bystander_of},
    client::Client,
    connection::{Connection, Host, Offer},
    messages::Login,
    server::Server,
    socket::{connect_from, is_closed, read_to_end},
};

/// Runs `act` beside a bystander, where addresses have narrow limits.
fn with_narrow_limits(act: fn(&Server)) {
    let server = Server::start_with("[limits]\nmax_links_per_address = 4", &[ROOMY]);
    beside_bystander_of(server, |server, _| act(server));
}

/// The attacker's address; the bystander's is 127.0.0.1.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A client that connects from the attacker's address.
fn client(server: &Server, host: &Host) -> Client {
    let stream = connect_from(SOURCE, server.address);
    Client::greet(server, Connection::over(stream, &Offer::of(host)).expect("TLS"))
}

/// Connections that say nothing.
fn idle(server: &Server, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| connect_from(SOURCE, server.address)).collect()
}

fn refused_at_the_limit(server: &Server) {
    let stream = connect_from(SOURCE, server.address);
    assert!(read_to_end(&stream).is_empty());
    let address = stream.local_addr().expect("a socket");
    let line = server.wait_for_line(&format!("{address} was refused: server-busy: "));
    assert!(line.contains("[limits] max_links_per_address"), "{line}");
}

#[test]
fn an_address_without_a_session_has_its_limit() {
    with_narrow_limits(|server| {
        let waiting = idle(server, 4);
        refused_at_the_limit(server);
        refused_at_the_limit(server);
        assert!(waiting.iter().all(|stream| !is_closed(stream)), "the others are not affected");
        // A place is free again as soon as its connection has ended.
        for stream in &waiting {
            read_to_end(stream);
        }
        client(server, &Host::new()).beat();
    });
}

#[test]
fn an_address_with_a_live_session_is_never_blocked_by_its_own_limit() {
    with_narrow_limits(|server| {
        let host = Host::new();
        let mut first = client(server, &host);
        let session = first.log_in(&Login::of("vm"));
        let _waiting = idle(server, 20);
        let mut second = client(server, &host);
        second.log_in(&Login::of("another"));
        first.check(&session).expect("it runs");
    });
}

#[test]
fn a_host_that_has_just_lost_its_connection_may_come_back() {
    with_narrow_limits(|server| {
        let (host, login) = (Host::new(), Login::of("vm"));
        let mut first = client(server, &host);
        let session = first.log_in(&login);
        let _waiting = idle(server, 20);
        drop(first);
        server.wait_for_line("has been disconnected");
        assert_eq!(client(server, &host).log_in(&login.resume(&session)), session);
    });
}

#[test]
fn only_a_session_lifts_the_limit() {
    with_narrow_limits(|server| {
        let mut client = client(server, &Host::new());
        let probe = Login::of("vm").with(|login| login.probe = true);
        client.login(&probe).expect("there is a seat");
        let waiting = idle(server, 3);
        refused_at_the_limit(server);
        let session = client.log_in(&Login::of("vm"));
        let _more = idle(server, 1);
        client.logout(&session);
        refused_at_the_limit(server);
        drop(waiting);
    });
}

#[test]
fn a_full_server_says_so() {
    let server = Server::start_with("[limits]\nmax_links = 4", &[ROOMY]);
    beside_bystander_of(server, |server, bystander| {
        let _waiting = idle(server, 3);
        let stream = connect_from(SOURCE, server.address);
        assert!(read_to_end(&stream).is_empty());
        let address = stream.local_addr().expect("a socket");
        let line = server.wait_for_line(&format!("{address} was refused: server-busy: "));
        assert!(line.contains("[limits] max_links)"), "{line}");
        bystander.prove("a full server");
    });
}

#[test]
fn connections_leave_descriptors_for_everything_else() {
    let server = Server::start_with_files(200, "", &[ROOMY]);
    server.wait_for_line("Only 100 connections are taken in at a time instead of 18000");
    beside_bystander_of(server, |server, bystander| {
        let _waiting = idle(server, 150);
        server.wait_for_line("100 links are open, which is this server's limit");
        bystander.prove("no more descriptors");
        assert_eq!(server.sessions().len(), 1, "the administrator is served");
        server.install(|license| license.version(2));
        bystander.prove("a license is installed");
    });
}
